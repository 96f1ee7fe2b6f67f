"""Opt-outs by the link in a message, and taking one back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.hits import Hit
from daemon.store.database import Connection, Pool
from daemon.store.sql import load
from rules.law import PURPOSES

sql = load("optouts")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as its unsubscribe link sees it. `address_hmac` is None for a person who was erased, and on a channel
    that writes to no address of theirs."""

    person_id: int
    recovery_id: int
    channel: str
    locale: str
    address_hmac: bytes | None
    suppressed: bool
    """Whether it is this very link by which they get no more on the channel."""

    @property
    def purpose(self) -> str:
        """What they consented to, if they did."""
        return PURPOSES.get(self.channel, "email_mkt")


def source(hit: Hit) -> str:
    """How a suppression and a withdrawal name the link that made them."""
    return f"message {hit.message_id}"


async def letter(db: Connection | Pool, shop_id: int, message_id: int) -> Letter | None:
    """None when the message is not kept any more."""
    row = await sql.letter(db, shop_id=shop_id, message_id=message_id)
    return Letter(**row) if row else None


async def is_known(db: Connection, hit: Hit) -> bool:
    """Whether this request has had its effect. The caller holds the person's lock."""
    return bool(await sql.is_known(db, shop_id=hit.shop_id, message_id=hit.message_id, id=hit.id))


async def withdraw(db: Connection, hit: Hit, letter: Letter, at: datetime) -> None:
    """Suppress the address and withdraw the consent. The caller holds the person's lock."""
    shop_id, channel, hmac = hit.shop_id, letter.channel, letter.address_hmac
    if hmac is not None:
        await sql.suppress(db, shop_id=shop_id, channel=channel, address_hmac=hmac, source=source(hit), at=at)
    await sql.withdraw(
        db, shop_id=shop_id, person_id=letter.person_id, purpose=letter.purpose, source=source(hit), at=at
    )


async def give_back(db: Connection, hit: Hit, letter: Letter, at: datetime) -> None:
    """Undo what this message's link withdrew, and nothing else. The caller holds the person's lock."""
    shop_id, channel, hmac = hit.shop_id, letter.channel, letter.address_hmac
    if hmac is not None:
        await sql.lift(db, shop_id=shop_id, channel=channel, address_hmac=hmac, source=source(hit))
    await sql.restore(
        db, shop_id=shop_id, person_id=letter.person_id, purpose=letter.purpose, source=source(hit), at=at
    )


async def keep(db: Connection, hit: Hit, letter: Letter | None, at: datetime) -> None:
    """The request itself, as an event that has been worked off."""
    await sql.keep(
        db,
        shop_id=hit.shop_id,
        id=hit.id,
        kind=hit.kind,
        message_id=hit.message_id,
        recovery_id=letter and letter.recovery_id,
        person_id=letter and letter.person_id,
        at=at,
        method=hit.method,
        user_agent=hit.user_agent,
        ip_net=hit.ip_net,
    )


async def lost(db: Connection | Pool, shops: Sequence[int]) -> list[tuple[int, int]]:
    """(shop, message) of opt-outs and complaints by messages that this database does not know, until they are settled;
    at most 1,000 of each shop."""
    rows = await sql.lost(db, shops=sorted(shops))
    return [(row["shop_id"], row["message_id"]) for row in rows]


async def settle_lost(db: Connection | Pool, shop_id: int, messages: Iterable[int], at: datetime) -> set[int]:
    """The operator has seen to these; those of them that were lost. `at`: shop time."""
    rows = await sql.settle(db, shop_id=shop_id, ids=sorted(set(messages)), at=at)
    return {row["message_id"] for row in rows}
