"""What is forgotten after its time: who was behind a hit, and the text of a message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("retention")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How far one round came; `reached` is None where there was nothing."""

    reached: Any
    seen: int
    forgotten: int


async def forget_hits(db: Connection | Pool, shop_id: int, after: datetime, until: datetime, most: int) -> Forgotten:
    """User agent and network of the oldest hits recorded in this span (machine time), and those that only repeat."""
    [row] = await sql.forget_hits(db, shop_id=shop_id, after=after, until=until, most=most)
    return Forgotten(row["reached"], row["seen"], row["forgotten"])


async def forget_content(db: Connection | Pool, shop_id: int, after: int, until: datetime, most: int) -> Forgotten:
    """Subject and text of messages planned before `until` (shop time), in the order of their numbers."""
    [row] = await sql.forget_content(db, shop_id=shop_id, after=after, until=until, most=most)
    return Forgotten(row["reached"], row["seen"], row["forgotten"])
