"""What the relay and the providers of mailboxes allow, counted over all shops and all workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daemon.store.database import Connection, Pool, transaction
from daemon.store.sql import load

sql = load("allowances")


@dataclass(slots=True)
class Allowance:
    """A row that this transaction holds. All times are the database's machine time; `at` is when it was taken."""

    name: str
    at: datetime
    since_real: datetime
    next_real: datetime | None = None
    queue_real: datetime | None = None
    slowed: float = 1
    slowed_until_real: datetime | None = None
    used: dict[str, int] | None = None
    """Mails by the number of their hour or day."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one process may send of a rate: `held` of its tokens; `hungry`: it could use more."""

    held: int
    hungry: bool
    until: float
    """Machine time, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Held:
    channel: str
    reason: str
    messages: int
    next_in: timedelta


async def take(db: Connection, channel: str, names: Sequence[str]) -> dict[str, Allowance]:
    """The rows by name; they are ours until the transaction ends, so it should end soon."""
    rows = await sql.take(db, channel=channel, names=sorted(set(names)))
    return {row["name"]: Allowance(**{key: row[key] for key in Allowance.__slots__}) for row in rows}


async def settle(db: Connection, channel: str, rows: Sequence[Allowance]) -> None:
    """Keep what was taken of rows that `take` gave."""
    await sql.settle(
        db,
        channel=channel,
        names=[one.name for one in rows],
        nexts=[one.next_real for one in rows],
        queues=[one.queue_real for one in rows],
        sloweds=[one.slowed for one in rows],
        until_reals=[one.slowed_until_real for one in rows],
        useds=[one.used or {} for one in rows],
    )


async def slow_down(db: Connection | Pool, channel: str, names: Sequence[str], span: timedelta) -> None:
    """These providers asked for less."""
    await sql.slow_down(db, channel=channel, names=sorted(set(names)), span=span)


async def shares(db: Connection | Pool, channel: str, name: str) -> tuple[dict[str, Share], float]:
    """By process, without those that have not been heard of; and the machine time of it, seconds since 1970."""
    row = await sql.shares(db, channel=channel, name=name)
    return (_alive(row["shares"], row["at"]), row["at"]) if row else ({}, 0.0)


async def lock_shares(db: Connection, channel: str, name: str) -> tuple[dict[str, Share], float]:
    """As `shares`; nobody else changes them until the transaction ends."""
    row = await sql.lock_shares(db, channel=channel, name=name)
    return _alive(row["shares"], row["at"]), row["at"]


async def set_shares(db: Connection, channel: str, name: str, of: Mapping[str, Share]) -> None:
    """The caller has locked them."""
    told = {process: {"held": one.held, "hungry": one.hungry, "until": one.until} for process, one in of.items()}
    await sql.set_shares(db, channel=channel, name=name, shares=told)


async def leave(pool: Pool, channel: str, name: str, process: str) -> None:
    """This process needs nothing any more."""
    async with transaction(pool) as db:
        known, _ = await lock_shares(db, channel, name)
        await set_shares(db, channel, name, {other: one for other, one in known.items() if other != process})


def _alive(found: Mapping[str, Any], at: float) -> dict[str, Share]:
    return {process: Share(**one) for process, one in found.items() if one["until"] > at}


async def forget(db: Connection | Pool) -> None:
    """Lines at which nobody has stood for a day."""
    await sql.forget(db)


async def forget_lines(db: Connection | Pool, channel: str, names: Sequence[str]) -> None:
    await sql.forget_lines(db, channel=channel, names=sorted(set(names)))


async def free(db: Connection | Pool, shop_id: int, channel: str, reasons: Sequence[str], most: int) -> int:
    """How many that were held for these reasons may be looked at again now."""
    return len(await sql.free(db, shop_id=shop_id, channel=channel, reasons=sorted(reasons), most=most))


async def held(db: Connection | Pool, shop_id: int) -> list[Held]:
    """What allowances hold back now."""
    return [Held(**row) for row in await sql.held(db, shop_id=shop_id)]
