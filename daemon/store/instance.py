"""What a database knows of itself: which one it is, where it lives, and when it was last alive."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("instance")


@dataclass(frozen=True, slots=True)
class Beat:
    id: uuid.UUID
    beats: int
    """Of all processes together, this one included."""
    home: str
    """Where it lived at the last beat; empty before the first."""
    silence: timedelta
    """Machine time since the last beat of any process that works; nothing for one that does not."""
    put_back: timedelta
    """By how much the server's clock is behind the last beat of all."""
    here: str
    """The server and the database that answered."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """A time in which nothing was sent and that is not made up for; in shop time."""

    shop: str
    reason: str
    since: datetime
    lifted_at: datetime | None


async def beat(db: Connection, *, works: bool) -> Beat | None:
    """None: nobody has ever worked with this database."""
    row = await sql.beat(db, works=works)
    return row and Beat(**{name: row[name] for name in Beat.__slots__})


async def settle(db: Connection, home: str, beats: int) -> None:
    """It lives here; and it counts on from at least so many beats."""
    await sql.settle(db, home=home, beats=beats)


async def hold(db: Connection, reason: str, now: datetime) -> int:
    """Pause all shops until somebody says `resume`; how many were not held already."""
    return len(await sql.hold(db, reason=reason, now=now))


async def leap(db: Connection, by: int) -> None:
    """Numbers of messages, requests and claims go on so much later."""
    await sql.leap(db, by=by)


async def put_back(db: Connection, by: timedelta, channels: Sequence[str], now: datetime) -> None:
    """The server's clock was put back by so much: stamps in its future follow. `now`: shop time."""
    await sql.put_back(db, by=by, channels=sorted(channels), now=now)


async def stood_still(db: Connection, reason: str, now: datetime, silence: timedelta) -> int:
    """Note a silence that is over: what was due in it is not made up for."""
    return len(await sql.stood_still(db, reason=reason, now=now, silence=silence))


async def standstills(db: Connection | Pool, since: datetime) -> list[Standstill]:
    """Those in force, and those that ended after `since` (shop time)."""
    names = Standstill.__slots__
    return [Standstill(**{name: row[name] for name in names}) for row in await sql.standstills(db, since=since)]
