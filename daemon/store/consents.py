"""The ledger of consents, and what people choose for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("consents")


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """One word of a person on one purpose. `confirmed` needs its evidence."""

    person_id: int
    purpose: str
    state: str
    at: datetime
    source: str
    evidence: str
    wording: str
    source_url: str = ""
    ip_net: str = ""
    """The network that it came from, never the address."""
    user_agent: str = ""
    requested_at: datetime | None = None
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A person as the preference centre sees them. Hashes are None where there is no such address."""

    person_id: int
    email_hmac: bytes | None
    phone_hmac: bytes | None
    locale: str
    chosen_locale: str
    fewer: bool
    resting_until: datetime | None
    suppressed: frozenset[str]
    """Channels on which an address of theirs is not written to, for whatever reason."""
    unsubscribed: frozenset[str]
    """Of these, where it was their own wish."""
    consents: Mapping[str, str]
    """By purpose: the newest word."""
    by_merge: frozenset[str]
    """Channels and purposes that are off because of whom they were merged with; they never said so themselves."""


async def add(db: Connection, shop_id: int, rows: Sequence[ConsentRow], now: datetime) -> None:
    """Append to the ledger. The caller holds the persons' locks."""
    ordered = sorted(rows, key=lambda row: (row.person_id, row.purpose))
    await sql.add(
        db,
        shop_id=shop_id,
        persons=[row.person_id for row in ordered],
        purposes=[row.purpose for row in ordered],
        states=[row.state for row in ordered],
        times=[row.at for row in ordered],
        sources=[row.source for row in ordered],
        evidences=[row.evidence for row in ordered],
        wordings=[row.wording for row in ordered],
        urls=[row.source_url for row in ordered],
        ip_nets=[row.ip_net for row in ordered],
        agents=[row.user_agent for row in ordered],
        requested=[row.requested_at for row in ordered],
        confirmed=[row.confirmed_at for row in ordered],
        now=now,
    )


async def ledger(db: Connection | Pool, shop_id: int, person_id: int) -> list[Mapping[str, Any]]:
    """Every word of one person, the oldest first."""
    return list(await sql.ledger(db, shop_id=shop_id, person_id=person_id))


async def before_withdrawal(db: Connection, shop_id: int, person_id: int, purpose: str) -> Mapping[str, Any] | None:
    """The newest word that was no withdrawal: state, source, evidence, wording, at."""
    found: Mapping[str, Any] | None = await sql.before_withdrawal(
        db, shop_id=shop_id, person_id=person_id, purpose=purpose
    )
    return found


async def choice(db: Connection | Pool, shop_id: int, message_id: int) -> Choice | None:
    """Of the person a message was written to; None when it is not kept, or they were erased."""
    row = await sql.choice(db, shop_id=shop_id, message_id=message_id)
    if row is None or row["erased_at"] is not None:
        return None
    return Choice(
        person_id=row["person_id"],
        email_hmac=row["email_hmac"],
        phone_hmac=row["phone_hmac"],
        locale=row["locale"],
        chosen_locale=row["chosen_locale"],
        fewer=row["fewer"],
        resting_until=row["wanted_again_at"],
        suppressed=frozenset(row["suppressed"]),
        unsubscribed=frozenset(row["unsubscribed"]),
        consents={purpose: state for purpose, state, _ in row["consents"]},
        by_merge=frozenset(row["suppressed_by_merge"])
        | {purpose for purpose, state, source in row["consents"] if (state, source) == ("withdrawn", "merge")},
    )


async def choose(
    db: Connection, shop_id: int, person_id: int, *, fewer: bool, resting_until: datetime | None, locale: str
) -> None:
    """What holds from the next claim on. The caller holds the person's lock."""
    await sql.choose(
        db, shop_id=shop_id, person_id=person_id, fewer=fewer, wanted_again_at=resting_until, locale=locale
    )


async def suppress(db: Connection, shop_id: int, channel: str, address_hmac: bytes, source: str, now: datetime) -> None:
    """The address is not written to on this channel any more."""
    await sql.suppress(db, shop_id=shop_id, channel=channel, address_hmac=address_hmac, source=source, now=now)


async def lift(db: Connection, shop_id: int, channel: str, address_hmac: bytes) -> None:
    """What the person wished counts no more; any other reason still does."""
    await sql.lift(db, shop_id=shop_id, channel=channel, address_hmac=address_hmac)
