"""Lives in the small world: what shop, customers, two workers and a relay do, and what must hold after it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from channels.base import Outcome
from tests.flow.faults.household import START, Household
from tests.flow.faults.small_world import Claimed, News, World

MINUTE = timedelta(seconds=60)
TAKEN = ("sending", "accepted", "unknown")
OUTCOMES: Mapping[str, Outcome] = {
    "taken": Outcome("accepted", "2.0.0"),
    "taken, no answer": Outcome("unknown", code="no answer"),
    "lost, no answer": Outcome("unknown", code="no answer"),
    "busy": Outcome("retry_wait", code="4.3.2", again_after=timedelta(0)),
    "refused": Outcome("failed", code="5.2.2"),
    "barred": Outcome("failed", code="5.1.1", suppress=True),
    "withheld": Outcome("retry_wait", code="not_sent", costs_a_try=False),
}


class Life:
    """Households at the same shop, in the same time; two workers, of which one may die; a relay that does what it
    likes. Each household leads a life of its own: nothing that one does may be felt by another."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop, households: int = 1) -> None:
        self.world = world
        self.loop = loop
        self.now = START
        self.paused = False
        self.homes = [Household(number) for number in range(households)]
        self.held: list[tuple[Claimed, int]] = []
        """Claimed, not yet handed to the relay; with the worker."""
        self.answers: list[tuple[Claimed, int, str]] = []
        """The relay has spoken, the worker has not recorded it yet."""
        self.late: list[tuple[Claimed, str]] = []
        """Answers that dead workers would have recorded."""
        self.run(self.world.begins(START))

    def run(self, doing: Any) -> Any:
        return self.loop.run_until_complete(doing)

    def can(self, what: str) -> bool:
        """Whether there is anything to do it with."""
        needs = {
            "the_relay_is_asked": self.held,
            "an_answer_is_recorded": self.answers,
            "a_worker_dies": self.held or self.answers,
            "a_frozen_worker_wakes_up": self.late,
        }
        return bool(needs.get(what, True))

    def home(self, one: Claimed) -> Household:
        return self.homes[int(one.cart.split("-")[1])]

    def people_do(self, deeds: Iterable[tuple[Household, str, Mapping[str, Any]]]) -> None:
        """What somebody of these households does, and with what; the shop hears of all at once."""
        news = News()
        for home, what, words in deeds:
            getattr(home, what)(news, **words)
        self.run(self.world.hears(news))

    def the_brake_is_pulled_or_let_go(self) -> None:
        self.paused = not self.paused
        self.run(self.world.brakes(on=self.paused))
        for home in self.homes:
            home.model.paused, home.model.resumed = self.paused, self.now

    def time_passes(self, minutes: int, planned: bool) -> None:
        """Whoever holds a message for longer than the thirty seconds to the final dot drops it."""
        self.record([(one, "withheld") for one, _ in self.held])
        self.held.clear()
        self.now += timedelta(minutes=minutes)
        for home in self.homes:
            home.model.now = self.now
        self.run(self.world.turns_to(self.now))
        if planned:
            self.run(self.world.plans())

    def the_planner_is_at_work(self) -> None:
        self.run(self.world.plans())

    def the_sweep_comes_by(self) -> None:
        self.run(self.world.sweeps())

    def a_worker_claims(self, worker: int, most: int) -> None:
        self.claim(worker, most * len(self.homes))

    def a_worker_delivers(self, worker: int, fates: Sequence[str], told: bool) -> None:
        """As many as there are fates. What it is told, it records as a group, as the daemon does."""
        self.claim(worker, len(fates))
        self.hand_over(self.held[: -len(fates) - 1 : -1], fates)
        if told:
            self.record([(one, fate) for one, _, fate in self.answers])
            self.answers.clear()

    def the_relay_is_asked(self, number: int, fates: Sequence[str]) -> None:
        first = number % len(self.held)
        self.hand_over(self.held[first : first + len(fates)], fates)

    def an_answer_is_recorded(self, number: int) -> None:
        first = number % len(self.answers)
        some = slice(first, first + len(self.homes))
        self.record([(one, fate) for one, _, fate in self.answers[some]])
        del self.answers[some]

    def a_worker_dies(self, worker: int) -> None:
        """What it held is unknown once its lease is over, whatever the relay did with it."""
        dead = [one for one, whose in self.held if whose == worker]
        self.late += [(one, fate) for one, whose, fate in self.answers if whose == worker]
        dead += [one for one, whose, _ in self.answers if whose == worker]
        self.held = [(one, whose) for one, whose in self.held if whose != worker]
        self.answers = [answer for answer in self.answers if answer[1] != worker]
        reaped = self.run(self.world.reaps(dead))
        assert sorted(reaped) == sorted(one.message for one in dead)
        for one in dead:
            self.home(one).model.spent.add((one.cart, one.step))

    def a_frozen_worker_wakes_up(self) -> None:
        """Its answers come late. What the relay took becomes accepted; a late `busy` has nothing sent again."""
        for one, fate in self.late:
            self.record([(one, fate)], late=True)
        self.late.clear()

    def everything_due_is_done(self) -> None:
        """A relay that takes all; afterwards nothing that the model asks for is left."""
        self.finish()
        self.run(self.world.sweeps())
        while True:
            self.run(self.world.plans())
            if not self.claim(0, 64):
                break
            self.finish()
        assert [left for home in self.homes if (left := home.model.expected())] == []
        assert self.run(self.world.contradictions(MINUTE)) == []

    def finish(self) -> None:
        self.hand_over(self.held, ["taken"] * len(self.held))
        self.record([(one, fate) for one, _, fate in self.answers])
        self.answers.clear()

    def claim(self, worker: int, most: int) -> int:
        """How many were at the gate. Each that it let through is held against the model."""
        found: tuple[int, list[Claimed]] = self.run(self.world.claims(most))
        for one in found[1]:
            self.home(one).passes(one)
            self.held.append((one, worker))
        return found[0]

    def hand_over(self, some: Sequence[tuple[Claimed, int]], fates: Sequence[str]) -> None:
        """These of the held ones, after a last look at each."""
        if not some:
            return
        wanted = self.run(self.world.still_wanted([one for one, _ in some]))
        for (one, worker), fate in zip(list(some), fates, strict=False):
            self.held.remove((one, worker))
            self.answers.append((one, worker, self.home(one).leaves(one, fate, wanted=one.message in wanted)))

    def record(self, told: Sequence[tuple[Claimed, str]], *, late: bool = False) -> None:
        if not told:
            return
        self.run(self.world.records([(one, OUTCOMES[fate]) for one, fate in told]))
        for one, fate in told:
            self.home(one).learns(one, fate, late=late)

    def nothing_was_sent_twice_or_lost(self) -> None:
        """The relay's own count beside the books."""
        relayed: Counter[tuple[int, str]] = Counter()
        for home in self.homes:
            relayed += home.model.relayed
        assert all(count == 1 for count in relayed.values())
        states = self.run(self.world.states())
        for key in relayed:
            assert states[key] in TAKEN, f"{key} was taken, and is {states[key]}"
        recorded = {(one.recovery, one.step) for home in self.homes for one in home.accepted}
        assert recorded == {key for key, state in states.items() if state == "accepted"}

    def the_books_are_clean(self) -> None:
        assert self.run(self.world.contradictions()) == []
