"""What came back by mail, as rows: the rank of a message, the event, the soft bounces of an address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from daemon.store.database import Connection, Pool, new_id
from daemon.store.sql import load

sql = load("post")

Rank = Literal["accepted", "delivered", "bounced", "complained"]
Kind = Literal["delivered", "delayed", "bounced", "complained", "replied"]

UNPROVEN = ("unknown", "unknown_final")
RANKS: tuple[Rank, ...] = ("accepted", "delivered", "bounced", "complained")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that a mail speaks of. `email_hmac` is None for a person who was erased."""

    id: int
    person_id: int
    recovery_id: int
    state: str
    channel: str
    rehearsal: bool
    email_hmac: bytes | None
    phone_hmac: bytes | None
    same_address: bool

    @property
    def address_hmac(self) -> bytes | None:
        """Of the address on its channel."""
        return self.phone_hmac if self.channel == "sms" else self.email_hmac


async def letters(db: Connection | Pool, shop_id: int, ids: Iterable[int]) -> dict[int, Letter]:
    """By message; those that are not kept any more are not there."""
    rows = await sql.letters(db, shop_id=shop_id, ids=sorted(set(ids)))
    return {row["id"]: Letter(**row) for row in rows}


async def came_back(
    db: Connection, shop_id: int, message_id: int, rank: Rank, reason: str | None, at: datetime
) -> bool:
    """Whether it went up to this rank; an unknown one at least becomes accepted. The caller holds the person's lock."""
    below = [*UNPROVEN, *RANKS[: RANKS.index(rank)]]
    moved = await sql.came_back(db, shop_id=shop_id, id=message_id, state=rank, reason=reason, at=at, below=below)
    return bool(moved)


async def keep(
    db: Connection, shop_id: int, letter: Letter, kind: Kind, at: datetime, detail: Mapping[str, Any]
) -> None:
    """The event, worked off. Only a person complains or replies."""
    await sql.keep(
        db,
        shop_id=shop_id,
        id=new_id(),
        kind=kind,
        message_id=letter.id,
        recovery_id=letter.recovery_id,
        person_id=letter.person_id,
        at=at,
        class_="human" if kind in ("complained", "replied") else None,
        detail=dict(detail),
    )


async def keep_unknown(db: Connection, shop_id: int, message_id: int, kind: Kind, at: datetime) -> None:
    """The same of a message that this database does not know."""
    await sql.keep(
        db, shop_id=shop_id, id=new_id(), kind=kind, message_id=message_id, recovery_id=None, person_id=None, at=at,
        class_="human", detail={},
    )  # fmt: skip


async def soft_bounces(db: Connection, shop_id: int, letter: Letter, since: datetime) -> tuple[int, int]:
    """(messages that came back since then without saying that the address is dead, days on which)."""
    row = await sql.soft_bounces(db, shop_id=shop_id, person_id=letter.person_id, channel=letter.channel, since=since)
    return row["messages"], row["days"]


@dataclass(frozen=True, slots=True)
class Unknown:
    id: int
    person_id: int
    recovery_id: int
    state: str
    fence: int


async def unknown(db: Connection | Pool, shop_id: int, message_id: int) -> Unknown | None:
    """The message, if its outcome is not known."""
    row = await sql.unknown(db, shop_id=shop_id, id=message_id)
    return row and Unknown(**row)


async def resolve(
    db: Connection, shop_id: int, message_id: int, state: Literal["accepted", "failed"], reason: str, at: datetime
) -> bool:
    """Whether it still was unknown. The caller holds the person's lock."""
    return bool(await sql.resolve(db, shop_id=shop_id, id=message_id, state=state, reason=reason, at=at))
