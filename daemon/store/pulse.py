"""What tells whether the installation is alive: what is overdue, who is silent, what has gone out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("pulse")


@dataclass(frozen=True, slots=True)
class Behind:
    """The oldest thing of one kind of work that is due and that nobody does."""

    shop_id: int
    name: str
    late: timedelta


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages that have been due for long, at most 1,000 counted."""

    shop_id: int
    channel: str
    untried: int
    in_vain: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A process, by its heartbeat."""

    process: str
    kind: str
    journal_lines: int
    silent_for: timedelta
    up_for: timedelta
    """Since it began, silent or not."""
    held: str = ""
    """Why it claims nothing; empty when it does."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A work that fails again and again."""

    shop: str
    name: str
    failures: int
    problem: str


async def behind(db: Connection | Pool, shops: Sequence[int], channels: Sequence[str], now: datetime) -> list[Behind]:
    """Of each shop and work, the longest overdue first. `now`: shop time."""
    rows = await sql.behind(db, shops=sorted(shops), channels=sorted(channels), now=now)
    return [Behind(row["shop_id"], row["name"], row["late"]) for row in rows]


async def waiting(
    db: Connection | Pool, shops: Sequence[int], channels: Sequence[str], late: datetime
) -> list[Waiting]:
    """Messages due since before `late` (shop time)."""
    rows = await sql.waiting(db, shops=sorted(shops), channels=sorted(channels), late=late)
    return [Waiting(**{name: row[name] for name in Waiting.__slots__}) for row in rows]


async def accepted_within(db: Connection | Pool, shop_id: int, channel: str | None, span: timedelta) -> bool:
    """Machine time: whether a message of this shop was taken within that span. `channel` None: on any."""
    return cast(bool, await sql.accepted_within(db, shop_id=shop_id, channel=channel, span=span))


async def leases_overdue(db: Connection | Pool, shops: Sequence[int]) -> dict[int, int]:
    """Messages by shop whose lease was over a minute ago."""
    rows = await sql.leases_overdue(db, shops=sorted(shops))
    return {row["shop_id"]: row["messages"] for row in rows}


async def beats(db: Connection | Pool) -> list[Heard]:
    """Oldest process first."""
    return [Heard(**{name: row[name] for name in Heard.__slots__}) for row in await sql.beats(db)]


async def problems(db: Connection | Pool, shops: Sequence[int], least: int) -> list[Problem]:
    """Works that failed at least so often in a row."""
    rows = await sql.problems(db, shops=sorted(shops), least=least)
    return [Problem(**{name: row[name] for name in Problem.__slots__}) for row in rows]
