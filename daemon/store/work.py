"""Which work of which shop is due, and who does it: single-flight with or without Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

import channels
from daemon.logs import clean
from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("work")


@dataclass(frozen=True, slots=True)
class Taken:
    """The row as it was when we took it."""

    state: dict[str, Any]
    due_at: datetime
    failures: int
    last_good_at: datetime | None
    resting: bool
    """It failed, and is to be left alone for a while."""
    now: datetime
    """Shop time."""


@dataclass(frozen=True, slots=True)
class Status:
    name: str
    due_at: datetime
    failures: int
    problem: str | None
    last_good_at: datetime | None
    silent_for: timedelta | None
    state: dict[str, Any]


async def add(db: Connection | Pool, shop_id: int, names: Sequence[str], now: datetime) -> None:
    """Rows for a shop's works, where they are missing."""
    await sql.add(db, shop_id=shop_id, names=list(names), now=now)


async def bring_forward(db: Connection | Pool, shop_id: int, name: str, now: datetime) -> None:
    """It is due now, if it was to be later."""
    await sql.bring_forward(db, shop_id=shop_id, name=name, now=now)


async def take(db: Connection | Pool, shop_id: int, name: str, holder: str, lease: timedelta) -> Taken | None:
    """None: somebody else is at it."""
    row = await sql.take(db, shop_id=shop_id, name=name, holder=holder, lease=lease)
    return row and Taken(**row)


async def give_back(db: Connection | Pool, shop_id: int, name: str, holder: str) -> None:
    await sql.give_back(db, shop_id=shop_id, name=name, holder=holder)


async def put_off(db: Connection | Pool, shop_id: int, name: str, holder: str, due_at: datetime) -> None:
    """It is next due at `due_at` (shop time), unless somebody brings it forward while it is being done."""
    await sql.put_off(db, shop_id=shop_id, name=name, holder=holder, due_at=due_at)


async def done(
    db: Connection | Pool,
    shop_id: int,
    name: str,
    holder: str,
    state: dict[str, Any],
    due_at: datetime | None,
    now: datetime,
) -> None:
    """It went well; next due at `due_at` (shop time), or None: as it was put off or brought forward."""
    await sql.done(db, shop_id=shop_id, name=name, holder=holder, state=state, due_at=due_at, now=now)


async def progress(
    db: Connection | Pool, shop_id: int, name: str, holder: str, state: dict[str, Any], lease: timedelta
) -> None:
    """Keep how far it came; it goes on from there even if the rest fails."""
    await sql.progress(db, shop_id=shop_id, name=name, holder=holder, state=state, lease=lease)


async def well(db: Connection | Pool, shop_id: int, name: str) -> None:
    """It works again: no problem, no rest."""
    await sql.well(db, shop_id=shop_id, name=name)


async def failed(db: Connection | Pool, shop_id: int, name: str, problem: str) -> None:
    """It rests for a while, longer each time. What a shop or a mailbox said may hold addresses: `status` shows none."""
    await sql.failed(db, shop_id=shop_id, name=name, problem=clean(problem)[:500])


async def serialise(db: Connection, shop_id: int) -> None:
    """Until the transaction ends nobody else keeps carts or orders of this shop."""
    await sql.serialise(db, shop_id=shop_id)


async def due(db: Connection | Pool, shops: Sequence[int], now: datetime) -> list[tuple[str, int]]:
    """(work, shop) pairs."""
    rows = await sql.due(db, shops=sorted(shops), now=now, channels=known_channels())
    return [(row["name"], row["shop_id"]) for row in rows]


@cache
def known_channels() -> list[str]:
    return sorted(channels.discover())


async def next_instant(db: Connection | Pool, shops: Sequence[int], now: datetime) -> datetime | None:
    """When something is due next, shop time; None: never, as things stand."""
    return cast("datetime | None", await sql.next_instant(db, shops=sorted(shops), now=now))


async def busy(db: Connection | Pool, shops: Sequence[int]) -> bool:
    return cast(bool, await sql.busy(db, shops=sorted(shops)))


async def status(db: Connection | Pool, shop_id: int) -> list[Status]:
    rows = await sql.status(db, shop_id=shop_id)
    return [
        Status(
            row["name"],
            row["due_at"],
            row["failures"],
            row["problem"],
            row["last_good_at"],
            row["silent_for"],
            row["state"],
        )
        for row in rows
    ]
