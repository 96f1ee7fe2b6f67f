"""An opt-out at the very moment of the claim: who is off the list first is claimed by nobody."""

from __future__ import annotations

import asyncio
import random
import uuid
from datetime import timedelta

import pytest

from daemon.flow import deliver, optout
from daemon.hits import Hit
from tests.flow.faults.waves import FIFTH, is_claimed

LATE = """
SELECT count(*) FILTER (WHERE claimed_at > s.left_at) AS late, count(*) FILTER (WHERE claimed_at <= s.left_at) AS before
FROM (SELECT m.shop_id, m.person_id, pg_xact_commit_timestamp(a.xid::xid) AS claimed_at FROM attempt a
    JOIN message m ON m.shop_id = a.shop_id AND m.id = a.message_id) AS c
JOIN person p ON p.shop_id = c.shop_id AND p.id = c.person_id
JOIN (SELECT shop_id, address_hmac, pg_xact_commit_timestamp(xid::xid) AS left_at FROM suppression) AS s
    ON s.shop_id = p.shop_id AND s.address_hmac = p.email_hmac
"""


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(60, id="sixty times"),
        pytest.param(500, id="five hundred times", marks=pytest.mark.long),
    ],
)
async def test_no_claim_is_committed_after_an_opt_out(make_stage, rounds):
    stage = await make_stage()
    if await stage.value("SHOW track_commit_timestamp") != "on":
        pytest.skip("this server does not keep the time of commits")
    pool = stage.context.pool
    for table in ("attempt", "suppression"):
        await pool.execute(f"ALTER TABLE {table} ADD COLUMN xid xid8 DEFAULT pg_current_xact_id()")
    await stage.prepared(rounds)
    hands = [await stage.beside(2) for _ in range(2)]
    now = await stage.now()
    ids = [row["id"] for row in await stage.fetch("SELECT id FROM message ORDER BY id")]
    await pool.execute(
        "UPDATE message m SET not_before = $1::timestamptz + n.place * interval '1 second' "
        "FROM unnest($2::bigint[]) WITH ORDINALITY AS n (id, place) WHERE m.id = n.id",
        now,
        ids,
    )
    chance = random.Random(7)

    async def leaves(place: int, message: int) -> None:
        if place % FIFTH == 0:
            await is_claimed(stage, message)
        else:
            await asyncio.sleep(chance.uniform(0, 0.01))
        await optout.settle(hands[1].pool, Hit(uuid.uuid4(), "unsubscribed", stage.shop_id, message, method="POST"))

    for place, message in enumerate(ids, start=1):
        due = now + timedelta(seconds=place)
        async with asyncio.TaskGroup() as at_once:
            at_once.create_task(leaves(place, message))
            for one in hands:
                at_once.create_task(deliver.claim(one, stage.shop_id, "email", due, 4))
    [came] = await stage.fetch(LATE)
    assert came["late"] == 0
    assert came["before"] >= rounds // FIFTH, "no claim came first: nothing was raced"
    assert await stage.value("SELECT count(*) FROM suppression") == rounds
    assert set(await stage.states()) <= {"sending", "cancelled"}
    await stage.no_deadlocks()
