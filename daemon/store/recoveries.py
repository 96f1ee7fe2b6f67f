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


async def wake(db: Connection, shop_id: int, persons: Sequence[int], at: datetime) -> None:
    """Have the rules asked again for these persons."""
    await sql.wake(db, shop_id=shop_id, persons=sorted(persons), at=at)


async def end_rehearsals(db: Connection, shop_id: int, at: datetime) -> int:
    """How many rehearsals ended because the shop goes live."""
    return cast(int, await sql.end_rehearsals(db, shop_id=shop_id, at=at))
