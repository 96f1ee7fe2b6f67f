"""Step 10, stopped: close what is over, find what was lost, drop what may no longer be kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog

from channels import points
from daemon import metrics
from daemon.context import Context
from daemon.flow import asking, forget, lateness, track
from daemon.store import brake, database, messages, statistics, work

log = structlog.get_logger()

EVERY = timedelta(seconds=10)
LEASE = timedelta(seconds=30)
MOST = 500
BRAKED = timedelta(minutes=1)


async def sweep(context: Context, shop_id: int, now: datetime) -> int:
    """Leases that ran out, messages whose time is over, unknowns of yesterday, clicks that were nobody's; how many were
    found."""
    name = context.shop_called(shop_id)
    taken = await work.take(context.pool, shop_id, "sweep", context.process, LEASE)
    if taken is None:
        return 0
    try:
        lost = await messages.reap(context.pool, shop_id, now, MOST)
        points.reached("reaping")
        await asking.tidy(context, shop_id, now)
        late = await messages.expire(context.pool, shop_id, now, MOST)
        settled = await messages.settle_unknown(context.pool, shop_id, now, MOST)
        if words := context.keeper.book.shops.get(name):
            await lateness.hold(context, context.pool, name, shop_id, words.mode, now)
        await statistics.keep_fresh(context.pool)
        state = await _brake(context, shop_id, taken.state, now)
        state = await forget.what_is_old(context, shop_id, state, now)
        state = await track.second_look(context.pool, shop_id, state, now, beacon=track.has_script(context, shop_id))
        await work.done(context.pool, shop_id, "sweep", context.process, state, now + EVERY, now)
    finally:
        await work.give_back(context.pool, shop_id, "sweep", context.process)
    metrics.deadlocks.set(database.deadlocks.count)
    if lost or late or settled:
        log.info("stopped", shop=name, unknown=len(lost), expired=len(late), settled=len(settled))
        context.ring("decide", shop_id)
    return len(lost) + len(late)


async def _brake(context: Context, shop_id: int, state: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What a pause held goes on when it has ended by itself or was lifted by us; `resume` frees at once. All that is
    held is looked through when the pauses have changed, and once a minute while some are on: others came since."""
    pauses = await brake.in_force(context.pool, shop_id, now)
    known, at = state.get("brake", ["", now.isoformat()])
    if pauses and pauses == known and now - datetime.fromisoformat(at) < BRAKED:
        return state
    if await brake.free(context.pool, shop_id, now):
        context.ring("deliver", shop_id)
    return {**state, "brake": [pauses, now.isoformat()]}
