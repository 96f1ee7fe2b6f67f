"""Carts as last seen, with our own fingerprint and our own time of change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from hashlib import blake2b
from operator import attrgetter
from typing import Any, cast

from daemon.shops.base import CartSnapshot, Customer, Line
from daemon.store.database import Connection, json_text
from daemon.store.sql import load

sql = load("carts")


@dataclass(frozen=True, slots=True)
class Before:
    """What we knew of a cart before this look."""

    id: int
    person_id: int | None
    state: str
    fingerprint: bytes
    read_hash: bytes
    version: int
    source_updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class CartRow:
    """A snapshot ready to be written. `changed_at` and `still_since` count only if the fingerprint differs."""

    snapshot: CartSnapshot
    person_id: int | None
    version: int
    changed_at: datetime
    still_since: datetime
    baseline: bool
    fingerprint: bytes
    read_hash: bytes


@dataclass(frozen=True, slots=True)
class Gone:
    id: int
    person_id: int | None
    ordered: bool


def fingerprint(cart: CartSnapshot) -> bytes:
    """Of what the customer changes: which lines, how many of each."""
    lines = sorted(f"{line.key}\x1f{line.quantity.normalize():f}" for line in cart.lines)
    return blake2b("\x1e".join(lines).encode(), digest_size=16).digest()


_of_customer = attrgetter(*(field.name for field in fields(Customer)))
_of_line = attrgetter(*(field.name for field in fields(Line)))


def read_hash(cart: CartSnapshot) -> bytes:
    """Of everything as read but who is online: an equal reading needs no writing. Made once a cart and look: with a
    plain repr of the snapshot it would be the dearest thing about a cart that did not change."""
    facts = (
        _of_customer(cart.customer), [_of_line(line) for line in cart.lines], cart.currency, cart.total,
        cart.total_is_estimate, cart.stage, cart.device, cart.source_updated_at, cart.recovery_url, cart.coupon_codes,
    )  # fmt: skip
    return blake2b(repr(facts).encode(), digest_size=16).digest()


def line_json(cart: CartSnapshot) -> list[dict[str, Any]]:
    """The lines as the table keeps them: decimals as text."""
    return [
        {
            "key": line.key,
            "product": line.product_ref,
            "variant": line.variant_ref,
            "sku": line.sku,
            "name": line.name,
            "options": line.options,
            "quantity": str(line.quantity),
            "price": None if line.unit_price is None else str(line.unit_price),
            "price_basis": line.price_basis,
            "image": line.image_url,
            "url": line.product_url,
            "category": line.category,
            "in_stock": line.in_stock,
        }
        for line in cart.lines
    ]


async def before(db: Connection, shop_id: int, refs: Sequence[str]) -> dict[str, Before]:
    """By the shop's cart reference."""
    rows = await sql.before(db, shop_id=shop_id, refs=list(refs))
    return {
        row["ref"]: Before(
            row["id"],
            row["person_id"],
            row["state"],
            row["fingerprint"],
            row["read_hash"],
            row["version"],
            row["source_updated_at"],
        )
        for row in rows
    }


async def keep(db: Connection, shop_id: int, carts: Sequence[CartRow], now: datetime) -> list[int]:
    """The ids of the carts written: an older version changes nothing. The caller holds the persons' locks."""
    rows = sorted(carts, key=lambda row: row.snapshot.ref)
    snapshots = [row.snapshot for row in rows]
    kept = await sql.keep(
        db,
        shop_id=shop_id,
        refs=[cart.ref for cart in snapshots],
        persons=[row.person_id for row in rows],
        states=["open" if cart.lines else "emptied" for cart in snapshots],
        stages=[cart.stage for cart in snapshots],
        currencies=[cart.currency for cart in snapshots],
        totals=[cart.total for cart in snapshots],
        estimates=[cart.total_is_estimate for cart in snapshots],
        lines=[json_text(line_json(cart)) for cart in snapshots],
        recovery_urls=[cart.recovery_url for cart in snapshots],
        devices=[cart.device for cart in snapshots],
        fingerprints=[row.fingerprint for row in rows],
        read_hashes=[row.read_hash for row in rows],
        source_times=[cart.source_updated_at for cart in snapshots],
        versions=[row.version for row in rows],
        changed=[row.changed_at for row in rows],
        still=[row.still_since for row in rows],
        baselines=[row.baseline for row in rows],
        now=now,
    )
    return [row["id"] for row in kept]


async def count_open(db: Connection, shop_id: int) -> int:
    return cast(int, await sql.count_open(db, shop_id=shop_id))


async def absent(db: Connection, shop_id: int, refs: Sequence[str], began: datetime) -> list[Gone]:
    """Open carts that a whole reading, begun at `began` (shop time), did not show."""
    rows = await sql.absent(db, shop_id=shop_id, refs=list(refs), began=began)
    return [Gone(row["id"], row["person_id"], row["ordered"]) for row in rows]


async def close(db: Connection, shop_id: int, gone: Sequence[Gone], now: datetime) -> list[int]:
    """Close them as ordered or emptied; the persons concerned. The caller holds their locks."""
    rows = sorted(gone, key=lambda one: one.id)
    closed = await sql.close(
        db,
        shop_id=shop_id,
        ids=[one.id for one in rows],
        states=["ordered" if one.ordered else "emptied" for one in rows],
        now=now,
    )
    return [row["person_id"] for row in closed if row["person_id"] is not None]


async def ordered(db: Connection, shop_id: int, orders: Sequence[int], now: datetime) -> None:
    """Close the carts that the shop says became these orders."""
    await sql.ordered(db, shop_id=shop_id, orders=sorted(orders), now=now)


async def already_ordered(db: Connection, shop_id: int, ids: Sequence[int], now: datetime) -> None:
    """Close those of these carts whose order was kept before them."""
    if ids:
        await sql.already_ordered(db, shop_id=shop_id, ids=sorted(ids), now=now)


async def look_again(db: Connection, shop_id: int, persons: Sequence[int], at: datetime) -> None:
    """Have enrolment look again at the open carts of these persons."""
    await sql.look_again(db, shop_id=shop_id, persons=sorted(persons), at=at)


async def make_baseline(db: Connection, shop_id: int, now: datetime) -> None:
    """What is known now may not enrol until it changes."""
    await sql.make_baseline(db, shop_id=shop_id, now=now)
