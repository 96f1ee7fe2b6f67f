"""The brake: rows that the gate reads, so effective at the next claim everywhere and kept over restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from daemon.store.database import Connection, Pool
from daemon.store.sql import load
from daemon.store.work import known_channels

sql = load("brake")

BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What is paused; None matches everything."""

    policy: str | None = None
    step: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    shop: str
    policy: str | None
    step: str | None
    channel: str | None
    reason: str
    since: datetime
    until: datetime | None
    cause: str
    """`operator`, or why tillbell itself put it on."""


async def pause(
    db: Connection | Pool, shops: Sequence[int], scope: Scope, reason: str, now: datetime, until: datetime | None
) -> int:
    """How many shops are paused by this. `until` in shop time; None: until resumed."""
    rows = await sql.pause(
        db,
        shops=sorted(shops),
        policy=scope.policy,
        step=scope.step,
        channel=scope.channel,
        reason=reason,
        now=now,
        until=until,
    )
    return len(rows)


async def resume(db: Connection | Pool, shops: Sequence[int], scope: Scope, now: datetime) -> list[str]:
    """The reason of each pause that this lifted: an operator's own words, or those of tillbell."""
    rows = await sql.resume(
        db, shops=sorted(shops), policy=scope.policy, step=scope.step, channel=scope.channel, now=now
    )
    return [row["reason"] for row in rows]


async def in_force(db: Connection | Pool, shop_id: int, now: datetime) -> str:
    """Names the pauses of a shop that are in force; empty: none is."""
    return cast(str, await sql.in_force(db, shop_id=shop_id, now=now))


async def free(db: Connection | Pool, shop_id: int, now: datetime) -> int:
    """How many messages no pause holds any more; they may be claimed from now on."""
    freed = 0
    while found := await sql.free(db, shop_id=shop_id, channels=known_channels(), now=now, most=BATCH):
        freed += len(found)
    return freed


async def pauses(db: Connection | Pool, now: datetime) -> list[Pause]:
    """Those in force."""
    names = Pause.__slots__
    return [Pause(**{name: row[name] for name in names}) for row in await sql.pauses(db, now=now)]
