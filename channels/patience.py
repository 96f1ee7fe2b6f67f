"""Time-outs for what happens a thousand times a second and hardly ever runs out: many of them share one timer."""

from __future__ import annotations

import asyncio
from math import inf
from operator import attrgetter
from types import TracebackType
from typing import Any

WHEN = attrgetter("when")
TICK = 0.001
"""Seconds: uvloop's timers count in these, and may be early by a half."""


class Patience:
    """As `asyncio.timeout_at`, in one event loop. The timer is set for the earliest time-out and, when it goes off, for
    the earliest that is left; one that ends well touches no timer."""

    def __init__(self) -> None:
        self.open: set[Until] = set()
        self.rings_at = inf

    def until(self, when: float) -> Until:
        """For a `with` around what may last until loop time `when`: then it is cancelled, and TimeoutError raised."""
        return Until(self, when)

    def arm(self, when: float) -> None:
        self.rings_at = when
        asyncio.get_running_loop().call_at(when, self.ring, when)

    def ring(self, when: float) -> None:
        """A timer went off; one that an earlier one has overtaken means nothing."""
        if when != self.rings_at:
            return
        self.rings_at = inf
        now = asyncio.get_running_loop().time() + TICK
        for one in sorted((one for one in self.open if one.when <= now), key=WHEN):
            one.run_out()
        if (following := min((one.when for one in self.open), default=inf)) < inf:
            self.arm(following)


class Until:
    """One time-out."""

    __slots__ = ("before", "patience", "ran_out", "task", "when")

    def __init__(self, patience: Patience, when: float) -> None:
        self.patience = patience
        self.when = when
        self.ran_out = False

    def __enter__(self) -> None:
        task: asyncio.Task[Any] | None = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time-out outside of a task")
        self.task, self.before = task, task.cancelling()
        self.patience.open.add(self)
        if self.when < self.patience.rings_at:
            self.patience.arm(self.when)

    def run_out(self) -> None:
        self.patience.open.discard(self)
        self.ran_out = True
        self.task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.ran_out:
            self.patience.open.discard(self)
        elif self.task.uncancel() <= self.before and kind is asyncio.CancelledError:
            raise TimeoutError from error
