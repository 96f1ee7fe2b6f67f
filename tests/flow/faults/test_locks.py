"""What a claim waits for, and what waits for a claim, on every channel; each in as few steps as it takes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from daemon.flow import consents, deliver
from daemon.store import allowances, messages

PAID = "    sms: {countries: [DE], price: 0.09 EUR, budget: {day: 0.95 EUR, month: 5 EUR}}\n"


async def claimed(context, shop_id, channel, now, most=64):
    """The messages that one claim takes."""
    _, found = await deliver.claim(context, shop_id, channel, now, most)
    return [one.id for one, _ in found]


async def somebody_waits(stage):
    """For a lock that another transaction of this test's database holds."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return await stage.value(waits) > 0


@asynccontextmanager
async def meanwhile(stage, doing):
    """Until it is done or waits for us; whether it was done before we let go."""
    task = asyncio.create_task(doing)

    async def done_or_waiting():
        return task.done() or await somebody_waits(stage)

    await stage.until(done_or_waiting)
    yield task


async def test_a_claim_of_texts_waits_until_another_has_said_what_it_spends(make_stage):
    stage = await make_stage(channel="sms", shop=PAID)
    await stage.prepared(2)
    other, now = await stage.beside(2), await stage.now()
    async with stage.context.pool.acquire() as db, db.transaction():
        await allowances.take(db, "sms", [f"budget {stage.shop_id}"])
        async with meanwhile(stage, claimed(other, stage.shop_id, "sms", now)) as claim:
            overtook = claim.done()
    assert len(await claim) == 2
    assert not overtook


async def test_a_withdrawal_waits_for_a_claim_that_has_begun(make_stage):
    """So no claim is committed after it."""
    stage = await make_stage()
    await stage.prepared(1)
    other, now = await stage.beside(2), await stage.now()
    person = await stage.value("SELECT id FROM person")
    async with stage.context.pool.acquire() as db, db.transaction():
        assert len(await messages.due_people(db, stage.shop_id, "email", now, 64, None)) == 1
        leaves = consents.withdraw(other, stage.shop_id, person, ["email_mkt"], "by hand", now)
        async with meanwhile(stage, leaves) as withdrawal:
            overtook = withdrawal.done()
    await withdrawal
    assert not overtook
    assert await claimed(stage.context, stage.shop_id, "email", now) == []


async def test_who_withdrew_is_not_claimed(make_stage):
    stage = await make_stage()
    await stage.prepared(3)
    now = await stage.now()
    person = await stage.value("SELECT min(person_id) FROM message")
    await consents.withdraw(stage.context, stage.shop_id, person, ["email_mkt"], "by hand", now)
    assert len(await claimed(stage.context, stage.shop_id, "email", now)) == 2
    assert await stage.value("SELECT state FROM message WHERE person_id = $1", person) == "cancelled"
