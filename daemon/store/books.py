"""The books: a query that is empty when all is well, and the sums that stand beside what the relay counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("books")

OVERDUE = timedelta(seconds=60)
"""Longer than this nothing that is due may lie about."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Two rows that contradict each other, named by one of them."""

    kind: str
    shop_id: int
    noun: str
    id: int


@dataclass(frozen=True, slots=True)
class Sum:
    shop: str
    rehearsal: bool
    channel: str
    state: str
    messages: int


async def violations(db: Connection | Pool, now: datetime, overdue: timedelta = OVERDUE) -> list[Violation]:
    """At most 1,000, sorted by kind."""
    rows = await sql.violations(db, now=now, overdue=overdue)
    return [Violation(row["kind"], row["shop_id"], row["noun"], row["id"]) for row in rows]


async def sums(db: Connection | Pool) -> list[Sum]:
    """Messages by shop, rehearsal, channel and state."""
    return [Sum(**{name: row[name] for name in Sum.__slots__}) for row in await sql.sums(db)]
