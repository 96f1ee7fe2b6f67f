"""Messages become due one after another while their people leave. Each wave waits for the one before: a machine that is
busy is no excuse for leaving long after the claim, which would be no race."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

WAVE = 25
APART = 0.05
"""Seconds between one message's time and the next one's."""
LEAD = timedelta(seconds=0.3)
"""Until the first of a wave is due."""
FIFTH = 5
"""One in so many leaves in the very moment of their claim, and the first of each wave before: whatever the machine does
to the others, somebody is later than a claim, and somebody is not."""
GRACE, SHARED = 0.05, 10
"""Seconds after somebody left within which a first byte may still leave; and so many times what a busy machine lets a
process wait that has next to nothing to do."""
NEVER = "UPDATE message SET not_before = '2100-01-01', not_after = '2101-01-01'"
ONE_BY_ONE = """
UPDATE message m SET not_before = $1::timestamptz + n.place * $2::interval FROM unnest($3::bigint[])
WITH ORDINALITY AS n (id, place) WHERE m.id = n.id
"""


async def is_claimed(stage: Any, message: int) -> None:
    """Until it was claimed for the first time."""

    async def claimed() -> bool:
        return bool(await stage.value("SELECT sending_at IS NOT NULL FROM message WHERE id = $1", message))

    await stage.until(claimed)


async def grace(stage: Any) -> float:
    """Seconds after somebody left within which a first byte may still leave on this machine."""
    late = (await stage.relay.ask("late"))["late"]
    return GRACE + SHARED * max(late, default=0.0)


async def in_waves(
    stage: Any,
    rows: Sequence[Any],
    window: tuple[float, float],
    leaves: Callable[[int, Any], Awaitable[None]],
    gone: Callable[[], Awaitable[int]],
) -> None:
    """Everybody of `rows` leaves so many seconds before or after their message's time, but for each fifth and the first
    of each wave; `gone` counts who has left."""
    chance, loop = random.Random(5), asyncio.get_running_loop()
    for first in range(0, len(rows), WAVE):
        wave = rows[first : first + WAVE]
        await leaves(first + 1, wave[0])
        begin = await stage.now() + LEAD
        await stage.context.pool.execute(ONE_BY_ONE, begin, timedelta(seconds=APART), [row["id"] for row in wave])
        start = loop.time() + (begin - await stage.now()).total_seconds()

        async def one(place: int, row: Any, at: float) -> None:
            if place % FIFTH == 0:
                await is_claimed(stage, row["id"])
            else:
                await asyncio.sleep(max(0, at - loop.time()))
            await leaves(place, row)

        async with asyncio.TaskGroup() as everybody:
            for place, row in enumerate(wave[1:], start=2):
                everybody.create_task(one(first + place, row, start + place * APART + chance.uniform(*window)))

        async def all_gone(expected: int = first + len(wave)) -> bool:
            return await gone() >= expected

        await stage.until(all_gone)
