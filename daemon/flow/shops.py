"""The shops of shops.yaml become rows, connectors and works; what one leaves behind is brought to its end."""

from __future__ import annotations

from datetime import datetime

import structlog

from daemon import shops as connectors
from daemon.context import Context
from daemon.flow import allowances, budgets, lateness
from daemon.store import carts, clock, persons, recoveries, shops, work
from daemon.store.database import Connection, Pool, again

log = structlog.get_logger()

WORKS = (
    *("poll", "sweep", "inbox", "enrol", "react", "mailbox", "callbacks", "post"),
    *("decide", "prepare", "deliver", "reconcile", "audiences", "confirm"),
)
ENDINGS = frozenset({"sweep", "react", "callbacks", "post", "reconcile", "audiences"})
"""Works that go on for a shop that was taken out of shops.yaml: what was claimed there gets its end, and nobody stays
in an ad audience."""


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
        context.words[shop_id] = words
        reached = context.audiences.setdefault(shop_id, {})
        if set(reached) - set(words.audiences):
            context.ring("audiences", shop_id)
        reached.update(words.audiences)
        await lateness.hold(context, context.pool, name, shop_id, words.mode, now)
        if freed := await allowances.free(context, shop_id) + await budgets.free(context, shop_id, now):
            log.info("claimed", shop=name, messages=0, freed=freed, because="what is allowed has changed")
        if words.mailbox is not None:
            await work.bring_forward(context.pool, shop_id, "mailbox", now)
    for name in set(context.shops) - set(book.shops):
        await context.shops.pop(name).close()
        context.shop_ids.pop(name, None)
    context.former, left = await shops.take_out(context.pool, sorted(book.shops), now)
    for name in left:
        log.warning("stopped", shop=name, because="it is no longer in shops.yaml")
        context.ring("audiences", context.former[name])


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


async def close(pool: Pool, shop_id: int, now: datetime) -> int:
    """A shop that will not come back: how many open recoveries this ended. What is on its way gets its own end."""

    async def body(db: Connection) -> int:
        modes = (False, True)
        people = [one for mode in modes for one in await recoveries.persons_in_mode(db, shop_id, rehearsal=mode)]
        await persons.lock(db, shop_id, sorted(people))
        return sum([await recoveries.end_of_mode(db, shop_id, "shop_closed", now, rehearsal=mode) for mode in modes])

    return await again(pool, body)
