"""Clocks that jump and days that turn: nobody gets a step twice or early, and nobody more than the cap allows."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from channels.base import Outcome
from daemon.clock import machine_now
from daemon.shops.base import Customer
from daemon.store import clock, work
from daemon.store.database import connect_pool
from tests.flow.faults.small_world import Claimed, World, confirmed, quiet_house, settings

JUMPS = {"two hours ahead": 2, "two hours back": -2, "a day ahead": 24}
every_jump = pytest.mark.parametrize("hours", JUMPS.values(), ids=JUMPS)
SENT = """
SELECT r.cart_id, m.step, m.sending_at - c.changed_at AS after FROM message m JOIN recovery r ON r.id = m.recovery_id
JOIN cart c ON c.id = r.cart_id WHERE m.state = 'accepted' ORDER BY m.sending_at
"""
SPANS = {"remind": timedelta(hours=1), "doubts": timedelta(hours=24), "last-call": timedelta(hours=48)}


@every_jump
async def test_the_hosts_clock_decides_nothing(town: Any, make_buyer: Any, monkeypatch: Any, hours: int) -> None:
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(minutes=50)
    true, before = time.time, machine_now()  # noqa: TID251
    monkeypatch.setattr(time, "time", lambda: true() + 3600 * hours)
    assert abs(machine_now() - before - timedelta(hours=hours)) < timedelta(minutes=10)
    await town.passes(hours=60)
    assert {row["step"]: row["after"] for row in await town.fetch(SENT)} == SPANS
    assert len(town.letters.taken) == 3
    await town.books_are_clean()


@every_jump
async def test_a_jump_of_shop_time_doubles_nothing_and_hastens_nothing(town: Any, make_buyer: Any, hours: int) -> None:
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=1, minutes=1)
    await town.leaves_cart("c2", make_buyer("2"), "red")
    assert len(town.letters.taken) == 1
    await clock.set_clock(town.context.pool, await town.now() + timedelta(hours=hours), Decimal(0))
    town.context.bell.set()
    await town.settles()
    await town.passes(hours=60)
    sent = [(row["cart_id"], row["step"], row["after"]) for row in await town.fetch(SENT)]
    assert len({one[:2] for one in sent}) == len(sent) == len(town.letters.taken)
    assert all(after >= SPANS[step] for _, step, after in sent)
    assert len(sent) == (5 if hours == 24 else 6)  # a day ahead the second cart's reminder has lost its time
    await town.books_are_clean()


CAPPED = """
legal: de
starts: {rests_for: 10m, again_after: 1h}
caps: {any: [2 per 24h, 3 per 36h]}
closes_after: 10m
steps:
  - {name: remind, send: email, after: 1h}
  - {name: doubts, send: email, after: 2h}
  - {name: last-call, send: email, after: 3h}
"""
CAPS = ((2, timedelta(hours=24)), (3, timedelta(hours=36)))
TURNS = {
    "midnight": datetime(2026, 6, 9, 22, tzinfo=UTC),
    "a leap day begins": datetime(2028, 2, 28, 23, tzinfo=UTC),
    "a leap day ends": datetime(2028, 2, 29, 23, tzinfo=UTC),
    "the year ends": datetime(2026, 12, 31, 23, tzinfo=UTC),
}
COUNTED = """
SELECT person_id, array_agg(sending_at ORDER BY sending_at) AS times FROM message
WHERE shop_id = $1 AND state IN ('sending', 'accepted', 'unknown', 'unknown_final') GROUP BY 1
"""
ENDS = (Outcome("accepted", "2.0.0"), Outcome("unknown", code="no answer"), Outcome("failed", code="5.2.2"),
        Outcome("retry_wait", code="4.3.2", again_after=timedelta(0)))  # fmt: skip


def over(times: Sequence[datetime]) -> bool:
    """Whether any span of a cap holds more than it may, whatever day it is."""
    return any(late - early < span for most, span in CAPS for early, late in zip(times, times[most:], strict=False))


async def restless_days(worlds: Sequence[World], start: datetime, people: int) -> None:
    """Carts that change all the time, two workers that claim at once, and a relay of many moods."""
    dice, world = random.Random(start.toordinal()), worlds[0]
    now, end = start, start + timedelta(hours=48)
    changes = sorted((start + timedelta(minutes=dice.randrange(2400)), one) for one in [*range(people)] * 6)
    while now < end:
        for each in worlds:
            await each.turns_to(now)
        while changes and changes[0][0] <= now:
            ref = str(changes.pop(0)[1])
            who = Customer(ref, f"p{ref}@example.org", consents=confirmed())
            await world.cart(ref, who, dice.randrange(1, 9))
        await world.plans()
        await asyncio.gather(*(work_off(each, dice) for each in worlds))
        following = [await work.next_instant(world.context.pool, [world.shop_id], now) or end]
        now = max(now + timedelta(minutes=20), min([*following, *(at for at, _ in changes[:1])]))


async def work_off(world: World, dice: random.Random) -> None:
    for _ in range(4):
        _, claims = await world.claims(8)
        told: list[tuple[Claimed, Outcome]] = [(one, dice.choices(ENDS, (6, 2, 1, 1))[0]) for one in claims]
        await world.records(told)


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
async def test_caps_hold_when_days_turn(database: str, open_folder: Any, turn: datetime) -> None:
    async with quiet_house(settings(open_folder, database, CAPPED), database) as context:
        here = World(context)
        await here.begins(turn - timedelta(hours=30))
        pool = await connect_pool(database, 4)
        there = World(replace(context, pool=pool, process="there", deliveries={}, rung=set()))
        there.shop_id = here.shop_id
        await restless_days([here, there], turn - timedelta(hours=30), 8)
        await pool.close()
        times = [row["times"] for row in await context.pool.fetch(COUNTED, here.shop_id)]
        held = await context.pool.fetchval("SELECT count(*) FROM decision WHERE questions::text LIKE '%cap of%'")
        assert await here.contradictions() == []
    print(f"{sum(len(one) for one in times)} sent, {held} times a cap held one")
    assert [one for one in times if over(one)] == []
    assert held > 5
    assert sum(len(one) for one in times) > 15
