"""Crash points: a process dies, or stands still, at a named place, so that tests can show what is left.

The product says `points.reached(name)` there, which calls an empty function: 15 ns, at most seven times a message.
Nothing in the product arms a point, and no setting does: `TILLBELL_FAULT` in the environment is refused like any other
unknown setting. A test that forks a worker calls `arm` in the child, and finds `FIRED` in what that worker wrote to its
standard error.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass

from channels import points

POINTS = {
    "before_claim_commit": "the gate has moved the messages, the transaction is open",
    "after_claim_commit": "the claim is committed, nothing has been handed over",
    "before_connect": "handed over, and about to connect to the provider",
    "dot_written": "the last byte has left, the answer has not come",
    "outcome_known": "the answer has come, nobody has been told",
    "recording": "the outcomes are on their way to the database, its answer has not come",
    "recorded": "the outcomes are committed, nothing else has been done about them",
    "reaping": "the reaper has committed, its work is not yet given back",
}
"""Each name and where it stands, in the order of a message's life."""

UNDER_WAY = {"dot_written": 0.002, "recording": 0.002}
"""What these stand for comes after the point was passed: seconds until the system has the bytes."""

SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}
FIRED = "fault fired:"


@dataclass(slots=True)
class Fault:
    """One accident, at the `nth` time that its point is reached."""

    point: str
    signal: signal.Signals
    nth: int = 1
    passed: int = 0

    def reached(self, point: str) -> None:
        if point != self.point:
            return
        self.passed += 1
        if self.passed == self.nth:
            if delay := UNDER_WAY.get(point):
                asyncio.get_running_loop().call_later(delay, self.strike)
            else:
                self.strike()

    def strike(self) -> None:
        """Said before it is done: afterwards nobody is there to say it."""
        os.write(2, f"{FIRED} {self.point}\n".encode())
        os.kill(os.getpid(), self.signal)


def arm(words: str) -> None:
    """Only for tests: `point:kill`, or `point:freeze:3` for the third time it is reached. Raises ValueError."""
    point, _, rest = words.partition(":")
    deed, _, nth = rest.partition(":")
    if point not in POINTS or deed not in SIGNALS or not (nth or "1").isdecimal():
        raise ValueError(f"{words!r} is not point:kill or point:freeze, with a number behind it if need be")
    points.reached = Fault(point, SIGNALS[deed], int(nth or "1")).reached
