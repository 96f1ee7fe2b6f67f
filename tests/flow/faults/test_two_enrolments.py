"""Two workers enrol at once: the lease of one ran out while it was at it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

from daemon.flow import enrol, ingest, keep
from daemon.flow.keep import Look
from daemon.store import decisions, enrolment, work
from daemon.store.database import again
from rules.enrolment import terms

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
ANSWERS = "SELECT ref, answer FROM cart ORDER BY ref"


async def test_two_carts_of_one_person_are_never_both_followed_up(make_stage):
    """One has begun a recovery and not committed it. The other cannot see it, waits for its end, and looks again."""
    stage = await make_stage()
    await two_carts_of_one_person(stage)
    other, now = await stage.beside(1), await stage.now()
    async with other.pool.acquire() as db, db.transaction():
        assert [one.word for one in await enrol_one(stage, db, now)] == ["take"]
        at_once = asyncio.create_task(enrol.resting_carts(stage.context, stage.shop_id, now))
        await stage.until(lambda: waiting(stage))
    assert await at_once == 1
    rows = [tuple(row) for row in await stage.fetch(ANSWERS)]
    assert rows == [("c0", "enrolled"), ("c1", "later: another cart of this person is being followed up")]
    assert await stage.value("SELECT count(*) FROM recovery") == 1
    await stage.books_are_clean()


async def two_carts_of_one_person(stage):
    now = await stage.now()
    left_at = now - timedelta(hours=2)
    first = stage.cart(0, left_at)
    second = replace(stage.cart(1, left_at + timedelta(seconds=1)), customer=first.customer)

    async def body(db):
        await work.serialise(db, stage.shop_id)
        look = Look(left_at, ingest.micros(left_at), pushed=True)
        return await keep.keep_carts(stage.context, db, stage.shop_id, [first, second], look)

    assert await again(stage.context.pool, body) == 2


async def enrol_one(stage, db, now):
    policies = stage.context.keeper.book.policies_by_shop["main"]
    for one in policies:
        await decisions.keep_policy(
            stage.context.pool, stage.shop_id, one.hash, one.name, json.loads(one.to_json()), now
        )
    asked = [terms(one) for one in policies]
    return await enrolment.enrol(db, stage.shop_id, asked, now, holdout=0, rehearsal=False, most=1, answers={})


async def waiting(stage):
    return await stage.value(WAITS) == 1
