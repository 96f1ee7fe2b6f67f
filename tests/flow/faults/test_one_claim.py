"""Many hands reach for the same message: exactly one gets it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from daemon.flow import deliver


@pytest.mark.parametrize(
    ("hands", "rounds"),
    [
        pytest.param(2, 200, id="two workers, two hundred times"),
        pytest.param(4, 1000, id="four workers, a thousand times", marks=pytest.mark.long),
    ],
)
async def test_one_due_message_is_claimed_once(make_stage, hands, rounds):
    stage = await make_stage()
    await stage.prepared(rounds)
    workers = [await stage.beside(2) for _ in range(hands)]
    now = await stage.now()
    await stage.context.pool.execute(
        "UPDATE message SET not_before = $1::timestamptz + id * interval '1 second' - "
        "(SELECT min(id) FROM message) * interval '1 second'",
        now,
    )
    got: Counter[int] = Counter()
    for number in range(rounds):
        due = now + timedelta(seconds=number)
        async with asyncio.TaskGroup() as at_once:
            tasks = [at_once.create_task(deliver.claim(one, stage.shop_id, "email", due, 1)) for one in workers]
        got.update(claim.id for task in tasks for claim, _ in task.result()[1])
    assert len(got) == rounds
    assert set(got.values()) == {1}
    assert await stage.value("SELECT count(*) FROM attempt") == rounds
    await stage.no_deadlocks()
