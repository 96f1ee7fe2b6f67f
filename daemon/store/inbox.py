"""What shops push to us: kept raw before the answer, worked off later. One delivery, one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from daemon.store.database import Connection, Pool
from daemon.store.retention import Forgotten
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


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of a mail. `unread`: a person is to see it."""

    state: Literal["done", "refused"]
    text: str
    message_id: int | None = None
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A mail that a person wrote to us; `received_at` is shop time."""

    id: int
    message_id: int | None
    body: bytes
    received_at: datetime
    person_id: int | None


async def mails_waiting(db: Connection | Pool, shop_id: int, limit: int) -> list[Waiting]:
    """The oldest mails that had no effect yet and may have one now, at most `limit`."""
    return [Waiting(**row) for row in await sql.mails_waiting(db, shop_id=shop_id, most=limit)]


async def told_waiting(db: Connection | Pool, shop_id: int, limit: int) -> list[Waiting]:
    """What providers told and may have an effect now, the oldest first, at most `limit`."""
    return [Waiting(**row) for row in await sql.told_waiting(db, shop_id=shop_id, most=limit)]


async def are_about(db: Connection, shop_id: int, messages: Mapping[int, int]) -> None:
    """The message of each mail that waits for its relay's answer. The caller holds their rows."""
    rows = sorted(messages.items())
    await sql.are_about(db, shop_id=shop_id, ids=[one for one, _ in rows], messages=[message for _, message in rows])


async def still_waiting(db: Connection, shop_id: int, ids: Sequence[int]) -> set[int]:
    """Of these: those that are ours to work off until the transaction ends."""
    return {row["id"] for row in await sql.still_waiting(db, shop_id=shop_id, ids=sorted(ids))}


async def close_mails(db: Connection, shop_id: int, effects: Mapping[int, Effect], now: datetime) -> None:
    """Worked off: by id what came of each."""
    rows = sorted(effects.items())
    await sql.close_mails(
        db,
        shop_id=shop_id,
        ids=[number for number, _ in rows],
        states=[effect.state for _, effect in rows],
        effects=[effect.text for _, effect in rows],
        messages=[effect.message_id for _, effect in rows],
        unreads=[effect.unread for _, effect in rows],
        now=now,
    )


async def unread(db: Connection | Pool, shop_id: int, after: int = 0, most: int = 100) -> list[Reply]:
    """Replies that nobody has read, behind the id `after`."""
    return [Reply(**row) for row in await sql.unread(db, shop_id=shop_id, after=after, most=most)]


async def reply(db: Connection | Pool, shop_id: int, number: int) -> Reply | None:
    """One of them, read or not."""
    row = await sql.reply(db, shop_id=shop_id, id=number)
    return row and Reply(**row)


async def count_unread(db: Connection | Pool, shop_id: int) -> int:
    return cast(int, await sql.count_unread(db, shop_id=shop_id))


async def has_read(db: Connection | Pool, shop_id: int, ids: Sequence[int]) -> list[int]:
    """Those that were unread until now."""
    return [row["id"] for row in await sql.has_read(db, shop_id=shop_id, ids=sorted(ids))]


async def forget_these(db: Connection, shop_id: int, ids: Sequence[int]) -> None:
    """The text of these, which have been worked off; unread replies keep it."""
    await sql.forget_these(db, shop_id=shop_id, ids=sorted(ids))


async def forget_mails(db: Connection | Pool, shop_id: int, until: datetime, most: int) -> int:
    """How many mails that were worked off before `until` (shop time) lost their text; unread replies do not."""
    return len(await sql.forget_mails(db, shop_id=shop_id, until=until, most=most))


async def forget_pushed(db: Connection | Pool, shop_id: int, after: int, until: datetime, most: int) -> Forgotten:
    """Events that were worked off and came before `until` (shop time), in the order of their numbers; mails stay."""
    [row] = await sql.forget_pushed(db, shop_id=shop_id, after=after, until=until, most=most)
    return Forgotten(row["reached"], row["seen"], row["forgotten"])


async def done(db: Connection | Pool, shop_id: int, effects: Mapping[int, tuple[str, str]], now: datetime) -> int:
    """Worked off: by id (`done` or `refused`, what came of it). How many were still waiting."""
    ids = sorted(effects)
    states = [effects[id][0] for id in ids]
    texts = [effects[id][1] for id in ids]
    return len(await sql.close(db, shop_id=shop_id, ids=ids, states=states, effects=texts, now=now))
