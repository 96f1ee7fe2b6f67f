"""Step 2, kept: what was read from a shop becomes carts, orders and persons, and what it stops is stopped at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from daemon.context import Context
from daemon.flow import persons as people
from daemon.shops.base import CartSnapshot, Customer, OrderSnapshot
from daemon.store import carts, orders, persons, recoveries
from daemon.store.carts import Before, CartRow, Gone
from daemon.store.database import Connection

log = structlog.get_logger()


NOBODY: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Look:
    """How a batch of carts was come by."""

    now: datetime
    version: int
    """Of two looks at one cart the higher counts: microseconds of the shop's event, or of our reading."""
    first: bool = False
    """The first look at this shop: what is there already may not enrol until it changes."""
    not_since: datetime | None = None
    """After a gap in our looking: when we last looked."""
    pushed: bool = False
    """The shop sent it because something happened: an ordered cart that is sent again is open again."""
    whole: bool = True
    """Whose cart it is, is told in full; else by reference and address only, which describes nobody we know."""


async def keep_carts(
    context: Context,
    db: Connection,
    shop_id: int,
    snapshots: Sequence[CartSnapshot],
    look: Look,
    owners: Mapping[str, int] = NOBODY,
) -> int:
    """How many were news. Call inside a transaction that has been serialised for the shop. `owners`: by
    reference, whose carts they are that come without a customer; the caller holds their locks."""
    latest = {cart.ref: cart for cart in snapshots}
    before = await carts.before(db, shop_id, sorted(latest))
    hashes = {ref: carts.read_hash(cart) for ref, cart in latest.items()}
    news = [cart for ref, cart in latest.items() if _is_news(cart, hashes[ref], before.get(ref), look)]
    reachable = [cart for cart in news if cart.customer.ref or cart.customer.email]
    online = [known.person_id for ref, known in before.items() if known.person_id and latest[ref].online_at]
    if online:  # all locks in one go: they could not be had in order later
        await people.hold(context, db, shop_id, [cart.customer for cart in reachable], online)
    customers = [cart.customer for cart in reachable]
    found = await people.keep(context, db, shop_id, customers, look.now, look.version, whole=look.whole)
    person_of = {cart.ref: person for cart, person in zip(reachable, found, strict=True) if person is not None}
    person_of |= {ref: person for ref, person in owners.items() if ref in latest}
    erased = {cart.ref for cart, person in zip(reachable, found, strict=True) if person is None}
    news = [cart for cart in news if cart.ref not in erased]
    rows = [_row(cart, hashes[cart.ref], person_of.get(cart.ref), before.get(cart.ref), look) for cart in news]
    kept = await carts.keep(db, shop_id, rows, look.now) if rows else []
    await carts.already_ordered(db, shop_id, kept, look.now)
    others = [cart for cart in news if _is_other(cart, hashes[cart.ref], before.get(cart.ref))]
    touched = sorted({person_of[cart.ref] for cart in others if cart.ref in person_of})
    if touched:
        await persons.raise_facts(db, shop_id, touched)
        await recoveries.wake(db, shop_id, touched, look.now)
    await _online(db, shop_id, latest, before, person_of)
    return len(kept)


def _is_news(cart: CartSnapshot, read_hash: bytes, before: Before | None, look: Look) -> bool:
    """Whether it has to be written. An emptied cart that is pushed is kept even if it was unknown: an older word of
    it may still be on its way. Of two at the same time the larger hash counts, whatever their order of arrival."""
    if before is None:
        return bool(cart.lines) or look.pushed
    if look.pushed:
        return (look.version, read_hash) > (before.version, before.read_hash)
    if look.version < before.version:
        return False
    if before.state == "ordered" and before.fingerprint == carts.fingerprint(cart):
        return False  # the order is written before the basket goes
    return before.read_hash != read_hash or (before.state == "open") != bool(cart.lines)


def _is_other(cart: CartSnapshot, read_hash: bytes, before: Before | None) -> bool:
    """Whether a decision may come out differently: it reads differently, not merely again."""
    return before is not None and (before.read_hash != read_hash or (before.state == "open") != bool(cart.lines))


def _row(cart: CartSnapshot, read_hash: bytes, person_id: int | None, before: Before | None, look: Look) -> CartRow:
    exact = cart.source_updated_at if cart.time_precision == "second" else None
    if exact is not None and before is not None and before.source_updated_at is not None:
        exact = exact if exact > before.source_updated_at else None  # something changed that the shop's time misses
    if exact is not None:
        changed_at = still_since = min(exact, look.now)
    else:
        changed_at, still_since = look.not_since or look.now, look.now
    baseline = look.first and exact is None
    fingerprint = carts.fingerprint(cart)
    return CartRow(cart, person_id, look.version, changed_at, still_since, baseline, fingerprint, read_hash)


async def _online(
    db: Connection,
    shop_id: int,
    latest: dict[str, CartSnapshot],
    before: dict[str, Before],
    person_of: dict[str, int],
) -> None:
    times: dict[int, datetime] = {}
    for ref, cart in latest.items():
        known = before.get(ref)
        person = person_of.get(ref) or (known.person_id if known else None)
        if cart.online_at is not None and person is not None:
            times[person] = max(cart.online_at, times.get(person, cart.online_at))
    if times:
        await persons.lock(db, shop_id, sorted(times))
        await persons.seen_active(db, shop_id, times)


async def keep_orders(
    context: Context,
    db: Connection,
    shop_id: int,
    snapshots: Sequence[OrderSnapshot],
    look: Look,
    owners: Mapping[str, int] = NOBODY,
) -> int:
    """How many were news. A purchase ends the person's recoveries in the same transaction. `owners`: as of carts."""
    latest = {order.ref: order for order in snapshots}
    named = [order for order in latest.values() if order.customer_ref or order.email]
    buyers = [Customer(ref=order.customer_ref, email=order.email, phone=order.phone) for order in named]
    found = await people.keep(context, db, shop_id, buyers, look.now, look.version, whole=False)
    person_of = {order.ref: person for order, person in zip(named, found, strict=True)}
    person_of |= {ref: person for ref, person in owners.items() if ref in latest}
    rows = [
        (order, person_of.get(ref), look.version)
        for ref, order in latest.items()
        if ref not in person_of or person_of[ref] is not None
    ]
    kept = await orders.keep(db, shop_id, rows, look.now, pushed=look.pushed)
    await take_effect(context, db, shop_id, kept, look.now)
    return len(kept)


async def take_effect(
    context: Context, db: Connection, shop_id: int, kept: Sequence[orders.KeptOrder], now: datetime
) -> None:
    """A purchase stops; any other news about an order has the rules asked again. The persons are locked."""
    concerned = sorted({order.person_id for order in kept if order.person_id is not None})
    if not concerned:
        return
    bought = [order.id for order in kept if order.standing == "purchase"]
    await persons.raise_facts(db, shop_id, concerned)
    if bought:
        await carts.ordered(db, shop_id, bought, now)
        for recovery in await recoveries.bought(db, shop_id, bought, now):
            log.info("stopped", shop=context.shop_name(shop_id), recovery=recovery, because="purchase")
    await recoveries.wake(db, shop_id, concerned, now)


async def close_carts(db: Connection, shop_id: int, gone: Sequence[Gone], now: datetime) -> int:
    """Carts that are no longer in the shop. An emptied one ends its recovery as the policy says."""
    await persons.lock(db, shop_id, sorted({one.person_id for one in gone if one.person_id is not None}))
    concerned = await carts.close(db, shop_id, gone, now)
    if concerned:
        await persons.raise_facts(db, shop_id, concerned)
        await recoveries.wake(db, shop_id, concerned, now)
    return len(gone)
