"""The shops of shops.yaml become rows, connectors and works; one that changes its mode leaves the old one's behind."""

from __future__ import annotations

from datetime import datetime

import structlog

from daemon import shops as connectors
from daemon.context import Context
from daemon.flow import lateness
from daemon.store import carts, clock, persons, recoveries, shops, work
from daemon.store.database import Connection, again

log = structlog.get_logger()

WORKS = ("poll", "sweep", "inbox", "enrol", "react", "mailbox", "callbacks", "post", "decide", "prepare", "deliver")


async def open_shops(context: Context) -> None:
    """Make rows and connectors follow the book; called at the start and after each change of the rules."""
    book = context.keeper.book
    classes = connectors.discover()
    now = await clock.shop_now(context.pool)
    for name, words in book.shops.items():
        shop_id = await _register(context, name, words.mode, now)
        config = book.configs[name]
        known = context.shops.get(name)
        if known is None or known.config != config:
            context.shops[name] = classes[words.connector](config)
            if known is not None:
                await known.close()
        context.shop_ids[name] = shop_id
        await lateness.hold(context, context.pool, name, shop_id, words.mode, now)
        if words.mailbox is not None:
            await work.bring_forward(context.pool, shop_id, "mailbox", now)
    for name in set(context.shops) - set(book.shops):
        await context.shops.pop(name).close()
        context.shop_ids.pop(name, None)


async def _register(context: Context, name: str, mode: str, now: datetime) -> int:
    async def body(db: Connection) -> int:
        row = await shops.register(db, name, now)
        await work.add(db, row.shop_id, WORKS, now)
        if mode != row.mode:
            was_rehearsal = row.mode == "rehearsal"
            await persons.lock(
                db, row.shop_id, await recoveries.persons_in_mode(db, row.shop_id, rehearsal=was_rehearsal)
            )
            reason = "rehearsal_over" if was_rehearsal else "not_live"
            ended = await recoveries.end_of_mode(db, row.shop_id, reason, now, rehearsal=was_rehearsal)
            if mode == "live":
                await carts.make_baseline(db, row.shop_id, now)
            await shops.set_mode(db, row.shop_id, mode, now)
            log.info("stopped", shop=name, mode=mode, recoveries=ended)
        return row.shop_id

    return await again(context.pool, body)
