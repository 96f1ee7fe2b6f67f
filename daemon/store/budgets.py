"""What a shop's messages cost, as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("budgets")


async def parts(db: Connection, shop_id: int, ids: Sequence[int]) -> dict[int, int]:
    """By message: how many parts its text takes."""
    return {row["id"]: row["segments"] for row in await sql.parts(db, shop_id=shop_id, ids=sorted(ids))}


async def spent(
    db: Connection | Pool, shop_id: int, channel: str, day: datetime, month: datetime
) -> tuple[Decimal, Decimal]:
    """(since the day began, since the month began). Whoever goes by it holds the lock of the shop's budget."""
    row = await sql.spent(db, shop_id=shop_id, channel=channel, day=day, month=month)
    return row["day"], row["month"]


async def reserve(db: Connection, shop_id: int, costs: Mapping[int, Decimal]) -> None:
    """What each claimed message costs; it counts as long as its state says that it left."""
    ids = sorted(costs)
    await sql.reserve(db, shop_id=shop_id, ids=ids, costs=[costs[one] for one in ids])


async def free(db: Pool, shop_id: int, channel: str, now: datetime, held: str) -> int:
    """How many messages and recoveries waited for a budget. `held`: how the reason begins that messages were put off
    for."""
    messages = await sql.free(db, shop_id=shop_id, channel=channel, now=now, held=f"{held}%")
    recoveries = await sql.wake_held(db, shop_id=shop_id, now=now)
    return len(messages) + len(recoveries)
