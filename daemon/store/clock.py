"""Shop time and machine time, both the database's; the host's clock decides nothing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import cast

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("clock")


async def shop_now(db: Connection | Pool) -> datetime:
    """Now, for everything that a customer could notice: due times, quiet hours, caps, expiry."""
    return cast(datetime, await sql.shop_now(db))


async def machine_now(db: Connection | Pool) -> datetime:
    """Now, for leases, time-outs and rests."""
    return cast(datetime, await sql.machine_now(db))


async def set_clock(db: Connection | Pool, shop_at: datetime, speed: Decimal) -> None:
    """Used by the demo and by tests; in production the row stays as the migration left it."""
    await sql.set_clock(db, shop_at=shop_at, speed=speed)
