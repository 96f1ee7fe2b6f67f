"""Recoveries: how they end and how they are woken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from daemon.store.database import Connection
from daemon.store.sql import load

sql = load("recoveries")


async def end_of_persons(db: Connection, shop_id: int, persons: Sequence[int], reason: str, at: datetime) -> list[int]:
    """The recoveries that this closed. Their unsent messages are cancelled. The caller holds the persons' locks."""
    rows = await sql.end_of_persons(db, shop_id=shop_id, persons=sorted(persons), reason=reason, at=at)
    return [row["id"] for row in rows]


async def bought(db: Connection, shop_id: int, orders: Sequence[int], at: datetime) -> list[int]:
    """The recoveries that these orders closed, each linked to its order. The caller holds the persons' locks."""
    rows = await sql.bought(db, shop_id=shop_id, orders=sorted(orders), at=at)
    return [row["id"] for row in rows]


async def bought_by(db: Connection, shop_id: int, persons: Sequence[int], at: datetime) -> list[int]:
    """The same by all that these persons ever bought: for whoever turns out to be somebody else, too."""
    found = [row["id"] for row in await sql.purchases(db, shop_id=shop_id, persons=sorted(persons))]
    return await bought(db, shop_id, found, at) if found else []


async def link_purchases(db: Connection, shop_id: int, recoveries: Sequence[int]) -> None:
    """Give recoveries that the rules ended as bought their order. The caller holds the persons' locks."""
    await sql.link_purchases(db, shop_id=shop_id, recoveries=sorted(recoveries))


async def wake(db: Connection, shop_id: int, persons: Sequence[int], at: datetime) -> None:
    """Have the rules asked again for these persons."""
    await sql.wake(db, shop_id=shop_id, persons=sorted(persons), at=at)


async def persons_in_mode(db: Connection, shop_id: int, *, rehearsal: bool) -> list[int]:
    """Who has an open recovery of this mode."""
    return [row["person_id"] for row in await sql.persons_in_mode(db, shop_id=shop_id, rehearsal=rehearsal)]


async def end_of_mode(db: Connection, shop_id: int, reason: str, at: datetime, *, rehearsal: bool) -> int:
    """How many open recoveries of this mode ended because the shop left it. The caller holds the persons' locks."""
    return cast(int, await sql.end_of_mode(db, shop_id=shop_id, reason=reason, at=at, rehearsal=rehearsal))
