"""Step 1, polled: a shop's orders, then its carts, are read; what was pushed is worked off. Orders come first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from daemon.context import Context
from daemon.flow import keep, optin, site
from daemon.flow import persons as people
from daemon.flow.keep import Look
from daemon.flow.site import Report
from daemon.logs import told
from daemon.shops.base import CartBatch, Customer, Shop, ShopEvent, ShopUnavailable
from daemon.store import carts, dossier, inbox, work
from daemon.store import site as visits
from daemon.store.database import Connection, again, is_transient

log = structlog.get_logger()

PAGE = 1000
PATIENCE = timedelta(seconds=120)
"""For all pages of one look at a shop."""
LEASE = PATIENCE + timedelta(seconds=30)
NEVER = timedelta(days=365)
"""Until the next look at a shop that is not looked at: it tells everything itself."""
AHEAD = timedelta(minutes=5)
"""Further ahead of our receiving it an event is not believed: it would win over every later one."""
LOSS_SHARE = 0.30
LOSS_COUNT = 20
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Reading:
    """One look at a shop, from the first page to the last."""

    shop_id: int
    now: datetime
    state: dict[str, Any]
    last_good_at: datetime | None
    seen: set[str] = field(default_factory=set)
    read: int = 0
    kept: int = 0
    whole: bool = False


def micros(at: datetime) -> int:
    """Microseconds since 1970: the version by which of two looks at one thing the newer wins."""
    return (at - EPOCH) // timedelta(microseconds=1)


async def poll(context: Context, shop_id: int, now: datetime) -> int:
    """One look at a shop, single-flight: how many carts and orders were news."""
    name = context.shop_name(shop_id)
    shop = context.shops[name]
    taken = await work.take(context.pool, shop_id, "poll", context.process, LEASE)
    if taken is None:
        return 0
    try:
        if taken.due_at > now:
            return 0  # rung twice: somebody has just looked, and a second look at once would confirm nothing
        reading = Reading(shop_id, now, dict(taken.state), taken.last_good_at)
        if shop.polls:
            with shop.fuses["reading"]():
                async with asyncio.timeout(PATIENCE.total_seconds()):
                    await _orders(context, shop, reading)
                    await _carts(context, shop, reading)
        due = now + (context.settings.poll_every if shop.polls else NEVER)
        await work.done(context.pool, shop_id, "poll", context.process, reading.state, due, now)
    except (ShopUnavailable, TimeoutError) as error:
        await work.failed(context.pool, shop_id, "poll", str(error) or type(error).__name__)
        log.warning("polled", shop=name, problem=type(error).__name__, because=str(error))
        return 0
    finally:
        await work.give_back(context.pool, shop_id, "poll", context.process)
    if reading.kept:
        log.info("polled", shop=name, read=reading.read, kept=reading.kept)
    return reading.kept


async def _orders(context: Context, shop: Shop, reading: Reading) -> None:
    more = True
    while more:
        batch = await shop.orders(reading.state.get("orders", ""), PAGE, reading.now)

        async def body(db: Connection, batch: Any = batch) -> int:
            await work.serialise(db, reading.shop_id)
            look = Look(reading.now, micros(reading.now))
            return await keep.keep_orders(context, db, reading.shop_id, batch.orders, look)

        if batch.orders:
            reading.kept += await again(context.pool, body)
        _refused(context, reading, batch.refused)
        more = batch.more and batch.cursor != reading.state.get("orders", "")
        reading.state["orders"] = batch.cursor
        if more:
            await work.progress(context.pool, reading.shop_id, "poll", context.process, reading.state, LEASE)


async def _carts(context: Context, shop: Shop, reading: Reading) -> None:
    began = reading.now
    cursor = reading.state.get("carts", "")
    look = Look(
        reading.now,
        micros(reading.now),
        first=not reading.state.get("looked", False),
        not_since=_gap(reading, context.settings.poll_every),
    )
    more = True
    while more:
        batch = await shop.carts(cursor, PAGE, reading.now)
        if batch.unchanged:
            cursor = batch.cursor or cursor
            break
        await _page(context, reading, batch, look)
        more, cursor = batch.more, batch.cursor
        reading.whole = batch.is_full_snapshot
    reading.state["carts"] = cursor
    if reading.whole:
        await _absent(context, reading, began)
    reading.state["looked"] = True


def _gap(reading: Reading, poll_every: timedelta) -> datetime | None:
    """When we last looked, if that is so long ago that a change seen now may be old."""
    last = reading.last_good_at
    return last if last is not None and reading.now - last > 3 * poll_every else None


async def _page(context: Context, reading: Reading, batch: CartBatch, look: Look) -> None:
    async def body(db: Connection) -> int:
        await work.serialise(db, reading.shop_id)
        return await keep.keep_carts(context, db, reading.shop_id, batch.carts, look)

    reading.seen.update(cart.ref for cart in batch.carts)
    reading.seen.update(batch.refused_refs)
    reading.read += len(batch.carts)
    if batch.carts:
        kept = await again(context.pool, body)
        reading.kept += kept
        if kept:
            log.info("kept", shop=context.shop_name(reading.shop_id), carts=kept)
            context.ring("enrol", reading.shop_id)
            context.ring("decide", reading.shop_id)
    _refused(context, reading, batch.refused)


async def _absent(context: Context, reading: Reading, began: datetime) -> None:
    """What a whole reading did not show is gone, unless so much is missing that the reading itself is in doubt."""
    doubted = set(reading.state.get("doubt", ()))

    async def body(db: Connection) -> int:
        await work.serialise(db, reading.shop_id)
        gone = await carts.absent(db, reading.shop_id, sorted(reading.seen), began)
        lost = [one for one in gone if not one.ordered]
        before = await carts.count_open(db, reading.shop_id)
        reading.state.pop("doubt", None)
        if _suspicious(len(lost), before) and (held := {one.id for one in lost} - doubted):
            reading.state["doubt"] = sorted(held)  # what the look before this one missed too is gone
            gone = [one for one in gone if one.id not in held]
            log.warning(
                "polled", shop=context.shop_name(reading.shop_id), missing=len(held), of=before, held="in doubt"
            )
        return await keep.close_carts(db, reading.shop_id, gone, reading.now) if gone else 0

    reading.kept += await again(context.pool, body)


def _suspicious(lost: int, before: int) -> bool:
    return lost > LOSS_COUNT and lost > LOSS_SHARE * before


def _refused(context: Context, reading: Reading, refused: tuple[str, ...]) -> None:
    for because in refused[:5]:
        log.warning("polled", shop=context.shop_name(reading.shop_id), refused=because)


async def work_off_inbox(context: Context, shop_id: int, now: datetime, limit: int = 200) -> int:
    """Pushed events become carts, orders and persons; how many were worked off. Bad ones are kept with their reason."""
    shop = context.shops[context.shop_name(shop_id)]

    async def body(db: Connection) -> int:
        await work.serialise(db, shop_id)
        rows = await inbox.waiting(db, shop_id, limit)
        told = {row.id: _event(shop, row) for row in rows}
        customers = {number: _customers(event) for number, event in told.items() if not isinstance(event, str)}
        visitors = [event.visitor for event in told.values() if isinstance(event, Report)]
        owners = await visits.owners(db, shop_id, visitors) if visitors else []
        buried = await people.hold(context, db, shop_id, [one for each in customers.values() for one in each], owners)
        effects = {row.id: await _effect(context, db, shop_id, row, told[row.id], now) for row in rows}
        await inbox.done(db, shop_id, effects, now)
        erased = [number for number, each in customers.items() if any(set(people.names(one)) & buried for one in each)]
        if erased:
            await dossier.erase_deliveries(db, shop_id, erased)
        return len(rows)

    found = await again(context.pool, body)
    if found:
        log.info("kept", shop=context.shop_name(shop_id), events=found)
        context.ring("enrol", shop_id)
        context.ring("decide", shop_id)
    return found


def _event(shop: Shop, row: inbox.Waiting) -> ShopEvent | Report | str:
    """What was pushed, or why it is refused."""
    if row.source == site.SOURCE:
        return site.read(row.body)
    parse = getattr(shop, "parse", None)
    if parse is None:
        return "this shop takes no events"
    try:
        event: ShopEvent = parse(row.body)
    except ValueError as error:
        return str(error)[:500]
    except Exception as error:  # ours: it must not hold up the others
        log.error("kept", inbox=row.id, problem=told(error), exc_info=True)
        return f"a fault of ours: {type(error).__name__}"
    late = "its time lies in the future: is the shop's clock right?"
    return late if event.at > row.received_at + AHEAD else event


def _customers(event: ShopEvent | Report) -> list[Customer]:
    if isinstance(event, Report):
        return [event.who] if event.named else []
    order = [Customer(ref=event.order.customer_ref, email=event.order.email)] if event.order else []
    return [*order, *([event.cart.customer] if event.cart else []), *([event.customer] if event.customer else [])]


async def _effect(
    context: Context, db: Connection, shop_id: int, row: inbox.Waiting, event: ShopEvent | Report | str, now: datetime
) -> tuple[str, str]:
    """(done or refused, what came of it). One event's fault never holds up the others: it is kept with its reason."""
    if isinstance(event, str):
        return "refused", event
    try:
        async with db.transaction():
            if isinstance(event, Report):
                look = Look(now, micros(row.received_at), pushed=True, whole=False)
                return "done", await site.take(context, db, shop_id, event, row.received_at, look)
            return "done", await _apply(context, db, shop_id, event, now)
    except ValueError as error:
        return "refused", str(error)[:500]
    except Exception as error:
        if is_transient(error):
            raise
        log.error("kept", shop=context.shop_name(shop_id), inbox=row.id, problem=told(error), exc_info=True)
        return "refused", f"a fault of ours: {type(error).__name__}"


async def _apply(context: Context, db: Connection, shop_id: int, event: ShopEvent, now: datetime) -> str:
    look = Look(now, micros(event.at), pushed=True)
    done = 0
    if event.order is not None:
        done += await keep.keep_orders(context, db, shop_id, [event.order], look)
    if event.cart is not None:
        done += await keep.keep_carts(context, db, shop_id, [event.cart], look)
    if event.customer is not None and (event.customer.ref or event.customer.email):
        await people.keep(context, db, shop_id, [event.customer], now, look.version)
        await optin.ask_as_told(context, db, shop_id, event.customer, now)
        done += 1
    return f"{event.kind}: {'kept' if done else 'nothing new'}"
