"""Where a day, a month or a year ends, and where clocks are changed, nobody gets more than a cap lets out, nor less."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.flow import deliver, prepare
from daemon.shops.base import Customer
from daemon.store import work
from daemon.store.database import connect_pool
from tests.flow.faults.small_world import World, confirmed, quiet_house, settings

SPAN, PER, COUNT = timedelta(days=3), timedelta(hours=24), 2
POLICY = """
legal: de
starts: {rests_for: 30m}
caps: {any: 2 per 24h}
quiet:
steps:
  - {name: remind, send: email, after: 1h}
"""
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati")
PEOPLE = 8
MORE = """
WITH more AS (
    INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal,
        started_at)
    SELECT shop_id, cart_id, i, person_id, policy_hash, policy_name, held_out, rehearsal, started_at
    FROM recovery, generate_series(2, 10) AS i WHERE shop_id = $1 RETURNING shop_id, id, person_id
)
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, consent_id, planned_at, not_before, not_after, content, prepared_at)
SELECT m.shop_id, more.id, m.person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis, basis_evidence,
    consent_id, planned_at, not_before, not_after, content, prepared_at
FROM message m JOIN more ON more.person_id = m.person_id WHERE m.shop_id = $1
"""
SENT = "SELECT person_id, sending_at FROM message WHERE shop_id = $1 AND state = 'sending' ORDER BY sending_at"
MIDNIGHTS = {
    "a leap day begins and ends": datetime(2028, 2, 28, 23, tzinfo=UTC),
    "a year ends": datetime(2026, 12, 31, 23, tzinfo=UTC),
    "a day has 25 hours": datetime(2026, 10, 24, 22, tzinfo=UTC),
    "a day has 23 hours": datetime(2026, 3, 28, 23, tzinfo=UTC),
}


async def two_claim(hands: list[Any], shop_id: int, now: datetime) -> int:
    """Both workers reach at once, until neither finds anything: how many times something left."""
    left = 0
    while True:
        both = await asyncio.gather(*(deliver.claim(one, shop_id, "email", now, 20) for one in hands))
        again = await prepare.planned_messages(hands[0], shop_id, now)
        left += sum(len(claims) for _, claims in both)
        if not again and not any(found for found, _ in both):
            return left


@pytest.mark.parametrize(
    "midnight",
    [
        pytest.param(at, marks=pytest.mark.long if "hours" in name or "year" in name else (), id=name)
        for name, at in MIDNIGHTS.items()
    ],
)
async def test_two_in_a_day_are_two_over_every_midnight(database: str, open_folder: Path, midnight: datetime) -> None:
    start = midnight - timedelta(hours=4)
    async with quiet_house(settings(open_folder, database, POLICY), database) as context:
        world = World(context)
        await world.begins(start)
        for number in range(PEOPLE):
            zone = ZONES[number % len(ZONES)]
            who = Customer(str(number), f"p{number}@example.org", zone=zone, consents=confirmed())
            await world.cart(str(number), who, 1)
        await world.turns_to(start + timedelta(hours=2))
        await world.plans()
        await context.pool.execute("DROP INDEX recovery_one_open_per_person")
        await context.pool.execute(MORE, world.shop_id)
        await context.pool.execute("UPDATE message SET not_after = not_before + interval '9 days'")
        pools = [await connect_pool(database, 2) for _ in range(2)]
        hands = [replace(context, pool=pool, process=f"w{number}") for number, pool in enumerate(pools)]
        end = start + SPAN
        while world.now < end:
            await two_claim(hands, world.shop_id, world.now)
            following = await work.next_instant(context.pool, [world.shop_id], world.now)
            await world.turns_to(min(following or end, end))
        sent = await context.pool.fetch(SENT, world.shop_id)
        held = await context.pool.fetch("SELECT DISTINCT reason FROM message WHERE state <> 'sending'")
        for pool in pools:
            await pool.close()
    people = {row["person_id"] for row in sent}
    assert len(people) == PEOPLE
    over = 0
    for person in people:
        times = [row["sending_at"] for row in sent if row["person_id"] == person]
        over += sum(times[no + COUNT] - times[no] < PER for no in range(len(times) - COUNT))
        assert len(times) == 3 * COUNT, "each day's two, and not one less"
    assert over == 0
    assert [row["reason"] for row in held] == ["cap"]
