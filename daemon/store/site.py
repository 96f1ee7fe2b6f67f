"""Visitors of the shop's pages, by the name that we gave them, and what hangs there for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("site")


@dataclass(frozen=True, slots=True)
class Visitor:
    """What somebody allowed (report, notices, push), and who the shop said they are."""

    allowed: frozenset[str]
    person_id: int | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that hangs; its content is what the writer made of it."""

    id: int
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a visitor is."""

    person_id: int | None
    nameless: bool
    """The shop has not said who they are: nothing but browsers leads to them."""


async def add(
    db: Connection | Pool, shop_id: int, name: str, allowed: Sequence[str], origin: str, wording: str, device: str
) -> None:
    """A visitor of this name; a name that is there already raises UniqueViolationError."""
    await sql.add(
        db, shop_id=shop_id, name=name, allowed=sorted(allowed), origin=origin, wording=wording, device=device
    )


async def allow(
    db: Connection | Pool, shop_id: int, name: str, allowed: Sequence[str], origin: str, wording: str
) -> bool:
    """Whether the visitor is there; then this is what they allow from now on."""
    found = await sql.allow(db, shop_id=shop_id, name=name, allowed=sorted(allowed), origin=origin, wording=wording)
    return found is not None


async def withdraw(db: Connection | Pool, shop_id: int, names: Sequence[str]) -> list[int]:
    """The persons whom these visitors were."""
    return [row["person_id"] for row in await sql.withdraw(db, shop_id=shop_id, names=sorted(names))]


async def of_visitor(db: Connection | Pool, shop_id: int, name: str) -> Visitor | None:
    row = await sql.of_visitor(db, shop_id=shop_id, name=name)
    return Visitor(frozenset(row["allowed"]), row["person_id"]) if row else None


async def named(db: Connection | Pool, shop_id: int, customer: str, email: str) -> int | None:
    """Whom the shop means; `email` as addresses are compared. Empty ones mean nobody."""
    return cast("int | None", await sql.named(db, shop_id=shop_id, customer=customer, email=email))


async def seen(
    db: Connection, shop_id: int, name: str, device: str, at: datetime, cart: Mapping[str, Any] | None, *, forget: bool
) -> None:
    """They were here. `cart` is kept with them until they are named; `forget`: none is any more."""
    told = None if cart is None else dict(cart)
    await sql.seen(db, shop_id=shop_id, name=name, device=device, at=at, cart=told, forget=forget)


async def cart_of(db: Connection, shop_id: int, name: str) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any] | None", await sql.cart_of(db, shop_id=shop_id, name=name))


async def attach(db: Connection, shop_id: int, name: str, person: int, now: datetime) -> bool:
    """Whether that was news. Nothing for a visitor who wants neither notices nor pushes. The caller holds the person's
    lock."""
    return await sql.attach(db, shop_id=shop_id, name=name, person=person, now=now) is not None


async def owners(db: Connection, shop_id: int, names: Sequence[str]) -> list[int]:
    """The persons whom these visitors are."""
    return [row["person_id"] for row in await sql.owners(db, shop_id=shop_id, names=sorted(set(names)))]


async def owner(db: Connection, shop_id: int, name: str) -> Owner | None:
    """None for who is no visitor, or allowed neither notices nor pushes."""
    row = await sql.owner(db, shop_id=shop_id, name=name)
    return Owner(row["person_id"], row["nameless"]) if row else None


async def nameless(db: Connection | Pool, shop_id: int, names: Sequence[str]) -> list[int]:
    """The persons to whom nothing but these visitors leads."""
    return [row["person_id"] for row in await sql.nameless(db, shop_id=shop_id, names=sorted(set(names)))]


async def stage(db: Connection, shop_id: int, ref: str, person: int) -> bool:
    """Whether a cart of theirs went into the checkout by it."""
    return bool(await sql.stage(db, shop_id=shop_id, ref=ref, person=person))


async def notices(db: Connection | Pool, shop_id: int, person: int, most: int) -> list[Notice]:
    """The newest that hangs for this person and was shown less than `most` times."""
    rows = await sql.notices(db, shop_id=shop_id, person=person, most=most)
    return [Notice(row["id"], row["content"]) for row in rows]


async def unseen(db: Connection | Pool, shop_id: int, until: datetime, most: int) -> list[str]:
    return [row["name"] for row in await sql.unseen(db, shop_id=shop_id, until=until, most=most)]
