"""While hundreds are decided about or prepared, whoever claims, sends or answers in the same process has a turn."""

from __future__ import annotations

import asyncio
import gc
from time import process_time

import pytest

from daemon.flow import decide, prepare

COUNT = 400
STEPS = {
    "decided": (decide.due_recoveries, "UPDATE recovery SET wake_at = $1"),
    "prepared": (prepare.planned_messages, "UPDATE message SET state = 'planned', not_before = $1"),
}


@pytest.mark.parametrize("step", STEPS)
async def test_others_have_their_turn_while_many_are(make_stage, step):
    """Counted in CPU time, which a busy machine does not change, and without the garbage of other tests."""
    stage = await make_stage()
    await stage.prepared(COUNT)
    now = await stage.now()
    work, again = STEPS[step]
    await stage.context.pool.execute(again, now)
    longest = 0.0

    async def somebody_else():
        nonlocal longest
        since = process_time()
        while True:
            await asyncio.sleep(0.0001)
            longest, since = max(longest, process_time() - since), process_time()

    gc.collect()
    gc.disable()
    try:
        other = asyncio.create_task(somebody_else())
        began = process_time()
        assert await work(stage.context, stage.shop_id, now, COUNT) == COUNT
        whole = process_time() - began
        other.cancel()
    finally:
        gc.enable()
    assert longest < whole / 3, (longest, whole)
