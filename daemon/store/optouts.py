"""Opt-outs by the link in a message, and taking one back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daemon.hits import Hit
from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("optouts")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as its unsubscribe link sees it. `email_hmac` is None for a person who was erased."""

    person_id: int
    recovery_id: int
    locale: str
    email_hmac: bytes | None
    suppressed: bool
    """Whether this very link has taken the person's address off the list."""


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
    if letter.email_hmac is not None:
        await sql.suppress(db, shop_id=hit.shop_id, address_hmac=letter.email_hmac, source=source(hit), at=at)
    await sql.withdraw(db, shop_id=hit.shop_id, person_id=letter.person_id, source=source(hit), at=at)


async def give_back(db: Connection, hit: Hit, letter: Letter, at: datetime) -> None:
    """Undo what this message's link withdrew, and nothing else. The caller holds the person's lock."""
    if letter.email_hmac is not None:
        await sql.lift(db, shop_id=hit.shop_id, address_hmac=letter.email_hmac, source=source(hit))
    await sql.restore(db, shop_id=hit.shop_id, person_id=letter.person_id, source=source(hit), at=at)


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
