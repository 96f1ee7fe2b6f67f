"""Planner and sender do nothing that the small model forbids, and leave out nothing that it asks for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, note, seed
from hypothesis import settings as Words
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from daemon.clock import monotonic
from daemon.flow import deliver
from daemon.store import messages
from rules import questions
from rules.facts import Go
from tests.flow.faults.deeds import PEOPLE, SHOP, Chance, chosen, first_carts
from tests.flow.faults.life import Life
from tests.flow.faults.small_world import World, quiet_house, settings

T = TypeVar("T")
LONGEST, FEWEST = float(os.environ.get("LIVES_FOR", "400")), 250
"""Seconds in which a new ten examples may begin, and how many lives are led however long they take."""
BOOKS_EVERY = 4
"""Steps between two looks at the books, and one at the end: a contradiction stays until somebody looks."""
QUICK: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "phases": (Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}


@dataclass
class Drawn:
    """Each choice is one of Hypothesis', which shrinks it."""

    data: Any

    def choice(self, seq: Sequence[T]) -> T:
        return self.data.draw(st.sampled_from(seq))  # type: ignore[no-any-return]


class PlannerAndSender(RuleBasedStateMachine):
    """One household. One rule draws from all deeds by weight: Hypothesis itself would leave most of them out of each
    example."""

    world: World
    loop: asyncio.AbstractEventLoop
    households = 1
    led = 0
    """Steps in which something happened, of each household of each example."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(self.world, self.loop, self.households)
        self.steps = 0
        self.happened = False

    def chance(self, data: Any) -> Chance | None:
        """What decides about this step; None: nothing happens."""
        return Drawn(data)

    @initialize(data=st.data())
    def carts_are_left(self, data: Any) -> None:
        if chance := self.chance(data):
            self.life.people_do((home, *deed) for home in self.life.homes for deed in first_carts(chance))

    @rule(data=st.data())
    def something_happens(self, data: Any) -> None:
        chance = self.chance(data)
        self.happened = chance is not None
        if chance is None:
            return
        self.steps += 1
        type(self).led += self.households
        what, words = chosen(chance, SHOP, self.life.can, self.households)
        if what == "people_do":
            deeds = [(home, *chosen(chance, PEOPLE, home.can, 1)) for home in self.life.homes]
            note("\n".join(f"household {home.number}: {name} {told}" for home, name, told in deeds))
            self.life.people_do(deeds)
        else:
            note(f"{what} {words}")
            getattr(self.life, what)(**words)

    @precondition(lambda self: self.happened)
    @invariant()
    def nothing_was_sent_twice_or_lost(self) -> None:
        self.life.nothing_was_sent_twice_or_lost()

    @precondition(lambda self: self.happened and self.steps % BOOKS_EVERY == 0)
    @invariant()
    def the_books_are_clean(self) -> None:
        self.life.the_books_are_clean()

    def teardown(self) -> None:
        self.life.the_books_are_clean()


class ManyHouseholds(PlannerAndSender):
    """Each leads a life of its own beside the others, at a fraction of what it costs alone: one statement is for all.
    One number of Hypothesis' decides about a step, so all of them fit into an example; it shrinks by leaving steps out.
    """

    households = 30

    def chance(self, data: Any) -> Chance | None:
        number = data.draw(st.integers(0, 2**32 - 1))
        return Random(number) if number else None


def play(database: str, folder: Path, machine: type[PlannerAndSender], examples: int, steps: int, **how: Any) -> None:
    """One run of Hypothesis over a database that belongs to this test alone."""
    with asyncio.Runner() as runner:
        loop, stack = runner.get_loop(), AsyncExitStack()
        context = loop.run_until_complete(stack.enter_async_context(quiet_house(settings(folder, database), database)))
        words = Words(**{**QUICK, **how}, max_examples=examples, stateful_step_count=steps)
        try:
            machine.loop, machine.world = loop, World(context)
            run_state_machine_as_test(machine, settings=words)
        finally:
            loop.run_until_complete(stack.aclose())


def another(machine: type[PlannerAndSender], number: int) -> type[PlannerAndSender]:
    """The same with a seed of its own, so that other lives are led, and the same ones each time."""
    return seed(number)(type(machine.__name__, (machine,), {}))


def lead(database: str, folder: Path, lives: int, steps: int, first: int, **how: Any) -> int:
    """At least so many, each in company; fewer where they take too long. How many there were. `first`: of the seeds.

    Ten examples at a time: from the eleventh on Hypothesis changes a little of the one before, and most of each life
    would have been led already.
    """
    until, led, number = monotonic() + LONGEST, 0, first
    while led < lives and (led < FEWEST or monotonic() < until):
        machine = another(ManyHouseholds, number)
        play(database, folder, machine, 10, steps, derandomize=False, **how)
        led, number = led + machine.led // steps, number + 1
    return led


def test_twenty_lives_of_forty_steps_each_alone(database: str, open_folder: Path) -> None:
    play(database, open_folder, another(PlannerAndSender, 1), 20, 40, derandomize=False)


def test_two_hundred_lives_of_forty_steps(database: str, open_folder: Path) -> None:
    assert lead(database, open_folder, 200, 40, 0) >= 200


@pytest.mark.long(200)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("half", range(2))
def test_five_thousand_lives_of_eighty_steps(database: str, open_folder: Path, half: int, record_property: Any) -> None:
    """Each half takes some 140 s on a machine with little else to do: a life 27 ms of ours and as much of PostgreSQL's.
    Led one after the other, they would take eight times as long: each statement would be for one household."""
    led = lead(database, open_folder, 2500, 80, 1000 * (1 + half))
    record_property("lives", led)
    print(f"{led} lives of 80 steps")


async def nothing_overtakes(db: Any, shop_id: int, claims: Any) -> set[int]:
    return {message for message, _ in claims}


async def nothing_is_lost(db: Any, shop_id: int, now: Any, most: int) -> list[int]:
    query = "UPDATE message SET state = 'retry_wait', lease_until_real = NULL WHERE state = 'sending' AND shop_id = $1"
    return [row["id"] for row in await db.fetch(query + " RETURNING id", shop_id)]


SABOTAGES = {
    "the gate lets all through": (deliver, "passage", lambda policy, planned, facts, now: Go(planned.basis)),
    "nobody looks again before the first byte": (messages, "still_wanted", nothing_overtakes),
    "the reaper has it sent again": (messages, "reap", nothing_is_lost),
    "nights count for nothing": (questions, "out_of_hours", lambda policy, facts, channel, now: None),
    "caps count for nothing": (questions, "over_cap", lambda policy, facts, channel, now: None),
}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("where", "name", "instead"), SABOTAGES.values(), ids=SABOTAGES)
def test_a_guard_that_is_taken_away_is_missed(
    database: str, open_folder: Path, monkeypatch: Any, where: Any, name: str, instead: Any
) -> None:
    monkeypatch.setattr(where, name, instead)
    with pytest.raises(AssertionError):
        lead(database, open_folder, 1000, 40, 1, phases=(Phase.generate,))
