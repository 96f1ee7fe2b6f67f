"""Everybody writes at once: purchases, decisions, claims, outcomes, the reaper. Nobody waits in a circle."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from channels.base import Outcome
from daemon.flow import decide, deliver, ingest, keep, outcomes, prepare, stop
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
SENT_BACK = (
    REVIVED,
    "UPDATE message SET not_after = not_before - interval '1 s' WHERE id = ANY($1) AND state = 'planned'",
    "UPDATE message SET lease_until_real = '2020-01-01' WHERE id = ANY($1) AND state = 'sending'",
)
ALLOWED = {"smtp_per_day": "1000000", "smtp_domain_rates": "example.org=2000/s,*=5/s"}
"""So much that nearly all fits: what claims take of it is locked all the same."""
OUTCOMES = [Outcome("accepted"), Outcome("retry_wait", again_after=timedelta()), Outcome("unknown"), Outcome("failed")]


@dataclass
class Crowd:
    """Everybody who writes, each deed with connections of its own."""

    stage: Any
    persons: int
    chance: random.Random

    async def claims(self, context, now):
        _, claimed = await deliver.claim(context, self.stage.shop_id, "email", now, 40)
        self.chance.shuffle(claimed)
        group = [
            (SimpleNamespace(id=one.id, fence=one.fence, address="p@example.org"), self.chance.choice(OUTCOMES))
            for one, _ in claimed
        ]
        if group:
            await outcomes.write(context, self.stage.shop_id, "email", group)

    async def purchases(self, context, now):
        """Hardly any is paid; the others have the rules asked again."""
        orders = [self.stage.order(number, now) for number in self.chance.sample(range(self.persons), 40)]
        orders = [orders[0], *(replace(one, standing="failed", status=f"{now:%S.%f}") for one in orders[1:])]

        async def body(db):
            await work.serialise(db, self.stage.shop_id)
            look = Look(now, ingest.micros(now), pushed=True)
            return await keep.keep_orders(context, db, self.stage.shop_id, orders, look)

        await again(context.pool, body)

    async def changes(self, context, now):
        """Carts that read differently: persons are told, recoveries woken."""
        numbers = self.chance.sample(range(self.persons), 90)
        carts = [self.stage.cart(number, now - timedelta(hours=2), self.chance.randint(1, 9)) for number in numbers]

        async def body(db):
            await work.serialise(db, self.stage.shop_id)
            look = Look(now, ingest.micros(now), pushed=True)
            return await keep.keep_carts(context, db, self.stage.shop_id, carts, look)

        await again(context.pool, body)

    async def sends_back(self, context, now):
        """Some are to be prepared again, some are too late, some leases are over."""
        await context.pool.execute(
            self.chance.choice(SENT_BACK), [self.chance.randint(1, self.persons) for _ in range(40)]
        )
        await messages.reap(context.pool, self.stage.shop_id, now, 500)
        await messages.expire(context.pool, self.stage.shop_id, now, 500)

    async def decisions(self, context, now):
        await decide.due_recoveries(context, self.stage.shop_id, now)

    async def preparations(self, context, now):
        await prepare.planned_messages(context, self.stage.shop_id, now)


@pytest.mark.parametrize(
    ("persons", "seconds", "settings"),
    [
        pytest.param(300, 4, ALLOWED, id="four seconds"),
        pytest.param(1000, 45, {}, id="three quarters of a minute", marks=pytest.mark.long),
        pytest.param(1000, 45, ALLOWED, id="the same within allowances", marks=pytest.mark.long),
    ],
)
async def test_nobody_waits_in_a_circle(make_stage, persons, seconds, settings):
    stage = await make_stage(**settings)
    await stage.prepared(persons)
    crowd = Crowd(stage, persons, random.Random(3))
    done = asyncio.Event()
    turns: dict[str, int] = {}

    async def again_and_again(deed, beside):
        while not done.is_set():
            await deed(beside, await stage.now())
            turns[deed.__name__] = turns.get(deed.__name__, 0) + 1
            await asyncio.sleep(0)

    twice = [crowd.claims, crowd.decisions, crowd.preparations]
    deeds = [*twice, *twice, crowd.purchases, crowd.changes, crowd.sends_back]
    async with asyncio.TaskGroup() as all_of_them:
        for deed in deeds:
            all_of_them.create_task(again_and_again(deed, await stage.beside(2)))
        await asyncio.sleep(seconds)

        async def each_had_a_turn():
            return set(turns) == {deed.__name__ for deed in deeds}

        await stage.until(each_had_a_turn)
        done.set()
    print(turns, await stage.states())
    await stage.no_deadlocks()
    await stop.sweep(stage.context, stage.shop_id, await stage.now())
