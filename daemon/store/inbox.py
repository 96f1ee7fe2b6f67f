"""What shops push to us: kept raw before the answer, worked off later. One delivery, one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("inbox")


@dataclass(frozen=True, slots=True)
class Delivery:
    """As it came. `delivery_id` is the sender's, the same each time one event is sent again."""

    shop_id: int
    source: str
    delivery_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery without an effect so far; `received_at` is shop time."""

    id: int
    source: str
    delivery_id: str
    body: bytes
    received_at: datetime


async def keep(pool: Pool | Connection, rows: Sequence[Delivery]) -> None:
    """All of them in one statement; those that we have already are passed over. Returns after the commit."""
    await sql.keep(
        pool,
        shops=[row.shop_id for row in rows],
        sources=[row.source for row in rows],
        deliveries=[row.delivery_id for row in rows],
        bodies=[row.body for row in rows],
    )


async def waiting(db: Connection | Pool, shop_id: int, limit: int) -> list[Waiting]:
    """The oldest ones, at most `limit`. The caller holds the shop's work row, so nobody else takes them."""
    return [Waiting(**row) for row in await sql.waiting(db, shop_id=shop_id, most=limit)]


async def shops_waiting(db: Connection | Pool) -> list[int]:
    """The shops that have something waiting."""
    return [row["shop_id"] for row in await sql.shops_waiting(db)]


async def done(db: Connection | Pool, shop_id: int, effects: Mapping[int, tuple[str, str]], now: datetime) -> int:
    """Worked off: by id (`done` or `refused`, what came of it). How many were still waiting."""
    ids = sorted(effects)
    states = [effects[id][0] for id in ids]
    texts = [effects[id][1] for id in ids]
    return len(await sql.close(db, shop_id=shop_id, ids=ids, states=states, effects=texts, now=now))
