"""Many hands reach for the last of a budget: together they never spend more."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from daemon.flow import deliver

BUDGET = "    sms: {price: 0.09 EUR, budget: {day: 3 EUR, month: 300 EUR}}\n"


async def test_claims_at_once_spend_no_more_than_the_budget(make_stage):
    """Texts of one, two and three parts are due, worth four times what is left; six hands reach for them."""
    stage = await make_stage(channel="sms", shop=BUDGET)
    await stage.prepared(72)
    parts = "content || jsonb_build_object('segments', id % 3 + 1)"
    await stage.context.pool.execute(f"UPDATE message SET content = {parts}")
    now = await stage.now()
    claimed = []

    async def claims(context, most):
        while await stage.value("SELECT count(*) FROM message WHERE state = 'prepared'"):
            claimed.extend((await deliver.claim(context, stage.shop_id, "sms", now, most))[1])

    hands = [await stage.beside(2) for _ in range(6)]
    async with asyncio.TaskGroup() as at_once:
        for most, one in zip(range(5, 35, 5), hands, strict=True):  # who reaches further finds what nobody holds
            at_once.create_task(claims(one, most))
    spent = await stage.value("SELECT sum(cost) FROM message WHERE state = 'sending'")
    assert Decimal("2.91") < spent <= 3, "what is left would not pay for one more part"
    assert await stage.value("SELECT count(*) FROM message WHERE state = 'sending'") == len(claimed)
    reasons = await stage.fetch("SELECT DISTINCT reason FROM message WHERE state = 'planned'")
    assert [row["reason"] for row in reasons] == ["held by the budget for texts: 3 EUR a day"]
    await stage.no_deadlocks()
