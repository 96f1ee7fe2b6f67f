"""Everybody writes at once: purchases, decisions, claims, outcomes, the reaper. Nobody waits in a circle."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from channels.base import Outcome
from daemon.flow import decide, deliver, ingest, keep, prepare, stop
from daemon.flow.keep import Look
from daemon.store import messages, work
from daemon.store.database import again

REVIVED = """
WITH them AS (
    SELECT id FROM message WHERE id = ANY($1) AND state IN ('accepted', 'unknown', 'failed', 'expired')
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
UPDATE message m SET state = CASE WHEN m.id % 2 = 0 THEN 'planned' ELSE 'prepared' END, accepted_at = NULL, tries = 0,
    reconcile_real = NULL, reason = NULL, ended_at = NULL, not_after = m.not_before + interval '9 h', deferrals = 0
FROM them, recovery r WHERE m.id = them.id AND r.id = m.recovery_id AND r.state = 'open'
"""
OUTCOMES = [Outcome("accepted"), Outcome("retry_wait", again_after=timedelta()), Outcome("unknown"), Outcome("failed")]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("persons", "seconds"),
    [
        pytest.param(300, 8, id="eight seconds"),
        pytest.param(1000, 45, id="three quarters of a minute", marks=pytest.mark.long),
    ],
)
async def test_nobody_waits_in_a_circle(make_stage, persons, seconds):
    stage = await make_stage()
    await stage.prepared(persons)
    chance = random.Random(3)
    done = asyncio.Event()
    turns: dict[str, int] = {}

    async def again_and_again(name, deed, beside):
        while not done.is_set():
            await deed(beside, await stage.now())
            turns[name] = turns.get(name, 0) + 1
            await asyncio.sleep(0)

    async def claims(context, now):
        _, claimed = await deliver.claim(context, stage.shop_id, "email", now, 40)
        chance.shuffle(claimed)
        group = [(SimpleNamespace(id=one.id, fence=one.fence), chance.choice(OUTCOMES)) for one, _ in claimed]
        if group:
            await deliver.write_outcomes(context, stage.shop_id, "email", group)

    async def purchases(context, now):
        """Hardly any is paid; the others have the rules asked again."""
        orders = [stage.order(number, now) for number in chance.sample(range(persons), 40)]
        orders = [orders[0], *(replace(one, standing="failed", status=f"{now:%S.%f}") for one in orders[1:])]

        async def body(db):
            await work.serialise(db, stage.shop_id)
            look = Look(now, ingest.micros(now), pushed=True)
            return await keep.keep_orders(context, db, stage.shop_id, orders, look)

        await again(context.pool, body)

    async def changes(context, now):
        """Carts that read differently: persons are told, recoveries woken."""
        numbers = chance.sample(range(persons), 90)
        carts = [stage.cart(number, now - timedelta(hours=2), chance.randint(1, 9)) for number in numbers]

        async def body(db):
            await work.serialise(db, stage.shop_id)
            return await keep.keep_carts(context, db, stage.shop_id, carts, Look(now, ingest.micros(now), pushed=True))

        await again(context.pool, body)

    async def sends_back(context, now):
        """Some are to be prepared again, some are too late, some leases are over."""
        deed = chance.choice(
            (
                REVIVED,
                "UPDATE message SET not_after = not_before - interval '1 s' WHERE id = ANY($1) AND state = 'planned'",
                "UPDATE message SET lease_until_real = '2020-01-01' WHERE id = ANY($1) AND state = 'sending'",
            )
        )
        await context.pool.execute(deed, [chance.randint(1, persons) for _ in range(40)])
        await messages.reap(context.pool, stage.shop_id, now, 500)
        await messages.expire(context.pool, stage.shop_id, now, 500)

    async def decisions(context, now):
        await decide.due_recoveries(context, stage.shop_id, now)

    async def preparations(context, now):
        await prepare.planned_messages(context, stage.shop_id, now)

    deeds = [claims, claims, purchases, changes, sends_back, decisions, decisions, preparations, preparations]
    async with asyncio.TaskGroup() as all_of_them:
        for deed in deeds:
            all_of_them.create_task(again_and_again(deed.__name__, deed, await stage.beside(2)))
        await asyncio.sleep(seconds)
        done.set()
    print(turns, await stage.states())
    assert set(turns) == {deed.__name__ for deed in deeds}
    await stage.no_deadlocks()
    await stop.sweep(stage.context, stage.shop_id, await stage.now())
