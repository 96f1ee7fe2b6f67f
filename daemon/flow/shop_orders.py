"""The fresh look: orders of the window's persons, asked of the shop itself right before the claim."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from daemon.context import Context
from daemon.flow import keep
from daemon.flow.ingest import micros
from daemon.flow.keep import Look
from daemon.shops.base import Capability, ShopUnavailable
from daemon.store import messages, work
from daemon.store.database import Connection, again

PATIENCE = 2.0
"""Seconds for the one query."""
SILENCE = timedelta(minutes=10)
"""Without an answer messages wait once the last good order poll is older than this, unless the operator says else."""


async def look(context: Context, shop_id: int, channel: str, now: datetime, most: int) -> list[int] | None:
    """Purchases that nobody told us of end their recoveries before the gate opens. The messages it was asked for, and
    only these may pass now; None: this shop cannot be asked, so any may. Raises ShopUnavailable to wait."""
    name = context.shop_name(shop_id)
    shop = context.shops[name]
    if Capability.FIND_ORDERS not in shop.capabilities():
        return None
    window = await messages.window(context.pool, shop_id, channel, now, most)
    if not window.emails and not window.refs:
        return window.messages
    try:
        async with asyncio.timeout(PATIENCE):
            with shop.fuses["find_orders"]():
                found = await shop.find_orders(window.refs, window.emails, window.since)
    except (ShopUnavailable, TimeoutError) as error:
        await _silent(context, shop_id, name, now, str(error))
        return window.messages
    if not found:
        return window.messages

    async def body(db: Connection) -> int:
        await work.serialise(db, shop_id)
        return await keep.keep_orders(context, db, shop_id, found, Look(now, micros(now)))

    if await again(context.pool, body):
        context.ring("audiences", shop_id)  # whoever bought is out of them at once
    return window.messages


async def _silent(context: Context, shop_id: int, name: str, now: datetime, because: str) -> None:
    if context.keeper.book.shops[name].when_shop_silent == "send":
        return
    poll = next((row for row in await work.status(context.pool, shop_id) if row.name == "poll"), None)
    if poll is None or poll.last_good_at is None or now - poll.last_good_at > SILENCE:
        raise ShopUnavailable(f"no word on new orders: {because or 'no answer in time'}")
