"""Long reckoning lets others have their turn, and short reckoning asks for none."""

from __future__ import annotations

import asyncio

from daemon import slices
from daemon.clock import monotonic
from daemon.slices import in_slices


async def turns_during(items, seconds):
    """How often somebody else had a turn while each item was reckoned with for so long."""
    turns, done = 0, []

    async def somebody_else():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(somebody_else())
    await asyncio.sleep(0)
    async for item in in_slices(items):
        until = monotonic() + seconds
        while monotonic() < until:
            pass
        done.append(item)
    other.cancel()
    return turns, done


async def test_others_have_a_turn_after_each_slice():
    assert await turns_during(range(20), 1.5 * slices.SLICE) == (20, [*range(20)])


async def test_several_short_ones_make_a_slice(monkeypatch):
    monkeypatch.setattr(slices, "SLICE", 60)
    assert await turns_during(range(20), 0.0) == (0, [*range(20)])


async def test_there_is_nothing_to_do():
    assert await turns_during([], 1) == (0, [])
