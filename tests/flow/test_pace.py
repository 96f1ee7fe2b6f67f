"""The relay's rate, on a clock of its own: no window of a span ever gets more beginnings than the rate."""

from __future__ import annotations

import random
from bisect import bisect_right
from heapq import heappop, heappush
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.flow import pace
from daemon.flow.pace import Pace
from daemon.rates import read_rate

NEVER = 1e9


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pace, "monotonic", made)
    return made


def alone(rate: str) -> Pace:
    """All tokens are ours for good; nobody asks a database for them."""
    context: Any = SimpleNamespace(ring=lambda *_: None, process="p")
    made = Pace(context, "email", read_rate(rate))
    made.share, made.until, made.keeper = made.rate.tokens, NEVER, SimpleNamespace(cancel=lambda: None)  # type: ignore[assignment]
    return made


def fullest(instants: list[float], span: float) -> int:
    """Of all windows shorter than `span`."""
    instants = sorted(instants)
    return max(place - bisect_right(instants, at - span + 1e-9) + 1 for place, at in enumerate(instants))


KINDS = {
    "a steady relay": lambda dice, no: (0.0, 0.03, 0.01),
    "one that answers late": lambda dice, no: (0.0, dice.choice((0.01, 0.8)), dice.choice((0.01, 1.5))),
    "a worker that stalls": lambda dice, no: (dice.choice((0.0, 0.0, 0.4)), 0.01, 0.01),
    "a worker that stalls while it starts": lambda dice, no: (0.4 if no < 60 else 0.0, 0.01, 0.01),
    "a relay that warms up": lambda dice, no: (0.0, dice.uniform(0.2, 0.3), dice.uniform(0.0, 0.1)),
    "refusals": lambda dice, no: (0.0, dice.choice((0.001, 0.5)), None),
}
"""Seconds from our first byte to the relay's sight of it, from there to its answer, and from there to its acceptance;
None: it refuses."""


def sent_through(
    made: Pace, clock: Clock, kind: Any, dice: random.Random, mails: int
) -> tuple[list[float], list[float]]:
    """(our first bytes, when the relay saw them), of so many mails that all wait from the beginning."""
    left, seen = [], []
    due: list[tuple[float, int, str]] = []
    turns = {fence: made.turn(fence) for fence in range(mails)}
    while turns or due:
        for fence in [fence for fence, turn in turns.items() if turn.done()]:
            del turns[fence]
            made.begins(fence)
            stall, answer, accepted = kind(dice, len(left))
            left.append(clock.now)
            seen.append(clock.now + stall)
            if accepted is None:
                heappush(due, (clock.now + stall + answer, fence, "refused"))
            else:
                if dice.random() < 0.7:  # asked again before the body only if 50 ms have passed
                    heappush(due, (clock.now + stall + answer, fence, "answered"))
                heappush(due, (clock.now + stall + answer + accepted, fence, "accepted"))
        following = [due[0][0]] if due else []
        following += [made.cooling[0]] if turns and made.cooling else []
        clock.now = max(clock.now, min(following, default=clock.now))
        while due and due[0][0] <= clock.now:
            _, fence, what = heappop(due)
            if what == "answered":
                made.answered(fence)
            else:
                made.used(fence, accepted=what == "accepted")
        made._settle()
    if made.timer is not None:
        made.timer.cancel()
    return left, seen


@pytest.mark.parametrize("rate", ["60/s", "7/s", "90/m"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_no_window_gets_more_beginnings_than_the_rate(clock: Clock, kind: Any, rate: str) -> None:
    dice = random.Random(rate)
    made = alone(rate)
    left, seen = sent_through(made, clock, kind, dice, 8 * made.rate.tokens)
    assert len(left) == 8 * made.rate.tokens
    assert fullest(left, made.rate.span) <= made.rate.tokens
    assert fullest(seen, made.rate.span) <= made.rate.tokens


async def test_a_refusal_gives_no_part_of_its_span_back(clock: Clock) -> None:
    """Slow acceptances say nothing of how soon a refused mail was over."""
    made = alone("10/s")
    for fence in range(10 * 60):
        made.turn(fence)
        made.begins(fence)
        clock.now += 0.8
        made.answered(fence)
        made.used(fence, accepted=True)
        clock.now += made.rate.span
    assert made.in_use() == 0
    for fence in range(1000, 1010):
        assert made.turn(fence).done()
        made.used(fence)
    clock.now += 0.99
    assert made.free() == 0
    clock.now += 0.01
    assert made.free() == 10
