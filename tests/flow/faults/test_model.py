"""Planner and sender do nothing that the small model forbids, and leave out nothing that it asks for."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as Words
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from daemon.clock import monotonic
from daemon.flow import deliver
from daemon.store import messages
from rules import questions
from rules.facts import Go
from tests.flow.faults.life import Life
from tests.flow.faults.small_world import World, quiet_house, settings

LONGEST, FEWEST = float(os.environ.get("LIVES_FOR", "180")), 200
"""Seconds in which a new fifty may begin, and how many are led however long they take. All five thousand take hours:
set it so, for a night."""
BOOKS_EVERY = 4
"""Steps between two looks at the books, and one at the end: a contradiction stays until somebody looks."""
NUMBERS = st.integers(0, 2)
WHO: dict[str, Any] = {"kind": st.sampled_from(["k", "k", "g"]), "number": NUMBERS}
FATES = st.sampled_from(["taken", "taken", "taken", "taken, no answer", "lost, no answer", "busy", "refused", "barred"])
SPANS = st.sampled_from([1, 15, 30, 60, 60, 120, 240, 540, 1440])
WORKER = st.integers(0, 1)
MOSTLY = st.sampled_from([True, True, True, False])
DEEDS: dict[str, tuple[int, dict[str, Any]]] = {
    "a_cart_changes": (4, {**WHO, "pieces": st.integers(1, 3), "agrees": MOSTLY}),
    "a_cart_is_emptied": (1, WHO),
    "an_order_arrives": (1, WHO),
    "somebody_is_in_the_shop": (1, WHO),
    "consent_is_withdrawn": (1, WHO),
    "a_guest_turns_out_to_be_a_customer": (1, {"number": NUMBERS}),
    "a_reader_unsubscribes": (1, {"number": st.integers(0, 9)}),
    "an_address_is_suppressed": (1, WHO),
    "the_brake_is_pulled_or_let_go": (1, {}),
    "time_passes": (8, {"minutes": SPANS, "planned": MOSTLY}),
    "the_planner_is_at_work": (1, {}),
    "the_sweep_comes_by": (1, {}),
    "a_worker_claims": (4, {"worker": WORKER, "most": st.integers(1, 4)}),
    "a_worker_delivers": (
        6, {"worker": WORKER, "fates": st.lists(FATES, min_size=1, max_size=4), "told": MOSTLY},
    ),
    "the_relay_is_asked": (2, {"number": st.integers(0, 9), "fate": FATES}),
    "an_answer_is_recorded": (2, {"number": st.integers(0, 9)}),
    "a_worker_dies": (2, {"worker": WORKER}),
    "a_frozen_worker_wakes_up": (2, {}),
    "everything_due_is_done": (4, {}),
}  # fmt: skip
"""What can happen: how often, and with what."""
QUICK: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "phases": (Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}


class PlannerAndSender(RuleBasedStateMachine):
    """One rule draws from all deeds by weight: Hypothesis itself would leave most of them out of each example."""

    world: World
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(self.world, self.loop)
        self.steps = 0

    @initialize(first=st.lists(st.tuples(WHO["kind"], NUMBERS), min_size=2, max_size=4, unique=True))
    def carts_are_left(self, first: list[tuple[str, int]]) -> None:
        for kind, number in first:
            self.life.a_cart_changes(kind, number, 1)

    @rule(data=st.data())
    def something_happens(self, data: Any) -> None:
        able = [name for name, (weight, _) in DEEDS.items() for _ in range(weight) if self.life.can(name)]
        what = data.draw(st.sampled_from(able))
        getattr(self.life, what)(**data.draw(st.fixed_dictionaries(DEEDS[what][1])))

    @invariant()
    def nothing_was_sent_twice_or_lost(self) -> None:
        self.life.nothing_was_sent_twice_or_lost()

    @invariant()
    def the_books_are_clean(self) -> None:
        self.steps += 1
        if self.steps % BOOKS_EVERY == 0:
            self.life.the_books_are_clean()

    def teardown(self) -> None:
        self.life.the_books_are_clean()


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


@pytest.mark.parametrize("quarter", range(4))
def test_two_hundred_lives_of_forty_steps(database: str, open_folder: Path, quarter: int) -> None:
    """Fifty at a time, so that several processes share them; the same ones each time."""
    chosen = seed(quarter)(type("PlannerAndSender", (PlannerAndSender,), {}))
    play(database, open_folder, chosen, 50, 40, derandomize=False)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_some_hundred_lives_of_eighty_steps(database: str, open_folder: Path, record_property: Any) -> None:
    """As many as three minutes hold, and always two hundred. 5,000 take hours on two cores: each life takes about half
    a second of ours and as much of PostgreSQL's, one statement after the other."""
    until, lives = monotonic() + LONGEST, 0
    while lives < FEWEST or (lives < 5000 and monotonic() < until):
        chosen = seed(lives)(type("PlannerAndSender", (PlannerAndSender,), {}))
        play(database, open_folder, chosen, 50, 80, derandomize=False)
        lives += 50
    record_property("lives", lives)
    print(f"{lives} lives of 80 steps")


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
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("where", "name", "instead"), SABOTAGES.values(), ids=SABOTAGES)
def test_a_guard_that_is_taken_away_is_missed(
    database: str, open_folder: Path, monkeypatch: Any, where: Any, name: str, instead: Any
) -> None:
    monkeypatch.setattr(where, name, instead)
    with pytest.raises(AssertionError):
        play(database, open_folder, PlannerAndSender, 300, 40, phases=(Phase.generate,))
