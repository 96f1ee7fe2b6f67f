"""Everything that is held about one person: to be shown, handed out, and taken away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("dossier")
TOMBSTONE = "gone:"
"""How the value of an identity begins that is a keyed hash of what was erased."""


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody is looked for by, in each form in which it may be kept."""

    word: str
    word_gone: str
    email: str
    email_gone: str
    email_hmac: bytes
    phone: str
    number: int


@dataclass(frozen=True, slots=True)
class Found:
    shop_id: int
    id: int
    kind: str
    """By what: email, customer, phone or id."""


@dataclass(frozen=True, slots=True)
class One:
    """A person, or somebody who was merged into them."""

    id: int
    merged_into: int | None
    erased_at: datetime | None
    customer_ref: str | None
    email: str | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a shop pushed, as it came."""

    id: int
    source: str
    delivery_id: str
    body: bytes
    received_at: datetime
    state: str
    message_id: int | None


async def find(db: Connection | Pool, shops: Sequence[int], word: Word) -> list[Found]:
    """Whom the word may mean, in each of these shops."""
    rows = await sql.find(
        db,
        shops=sorted(shops),
        word=word.word,
        word_gone=word.word_gone,
        email=word.email,
        email_gone=word.email_gone,
        email_hmac=word.email_hmac,
        phone=word.phone,
        number=word.number,
    )
    return [Found(**row) for row in rows]


async def held(db: Connection | Pool, shop_id: int, person: int) -> dict[str, list[dict[str, Any]]]:
    """Whole rows by the name of their table, each in the order of its ids."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in await sql.held(db, shop_id=shop_id, person=person):
        found.setdefault(row["noun"], []).append(row["held"])
    return found


async def deliveries(db: Connection | Pool, shop_id: int, after: int, most: int) -> list[Delivery]:
    """What was pushed and is still kept as it came, in the order of ids."""
    return [Delivery(**row) for row in await sql.deliveries(db, shop_id=shop_id, after=after, most=most)]


async def newest_delivery(db: Connection | Pool, shop_id: int) -> int:
    """Its id; 0 when nothing was ever pushed."""
    return cast(int, await sql.newest_delivery(db, shop_id=shop_id))


async def people(db: Connection | Pool, shop_id: int, person: int) -> list[One]:
    """The person, and those who were merged into them."""
    return [One(**row) for row in await sql.people(db, shop_id=shop_id, person=person)]


async def identities(db: Connection | Pool, shop_id: int, people: Sequence[int]) -> list[tuple[str, str]]:
    """(kind, value)."""
    rows = await sql.identities(db, shop_id=shop_id, people=list(people))
    return [(row["kind"], row["value"]) for row in rows]


async def erase(
    db: Connection,
    shop_id: int,
    people: Sequence[int],
    hmacs: Sequence[bytes],
    words: Iterable[str],
    now: datetime,
) -> None:
    """Take from every table what says who they were; `hmacs` are of their addresses, `words` the addresses and numbers
    themselves, in small letters. The caller holds the shop's advisory lock and the persons' locks, and has ended their
    recoveries."""
    who = {"shop_id": shop_id, "people": sorted(people)}
    await sql.erase_person(db, now=now, **who)
    await sql.erase_members(db, now=now, **who)
    await sql.erase_identities(db, **who)
    await sql.erase_subscriptions(db, **who)
    hashes = [row["sha256"] for row in await sql.wordings(db, **who)]
    await sql.erase_merges(db, **who)
    await sql.erase_consents(db, **who)
    await sql.erase_requests(db, **who)
    await sql.erase_wordings(db, shop_id=shop_id, hashes=hashes)
    await sql.erase_reasons(db, shop_id=shop_id, hmacs=sorted(hmacs))
    await sql.erase_pauses(db, shop_id=shop_id, words=sorted(words))
    await sql.erase_carts(db, now=now, **who)
    await sql.erase_orders(db, **who)
    await sql.erase_messages(db, **who)


async def bury(db: Connection, shop_id: int, person: int, stones: Iterable[tuple[str, str]], now: datetime) -> None:
    """Put (kind, keyed hash) in the place of their identities, so that a poll finds the grave and not a new person."""
    rows = sorted(stones)
    kinds, values = [kind for kind, _ in rows], [value for _, value in rows]
    await sql.bury(db, shop_id=shop_id, person=person, kinds=kinds, values=values, now=now)


async def exhume(db: Connection, shop_id: int, people: Sequence[int]) -> None:
    """Whoever was erased as one of these may become a new person."""
    await sql.exhume(db, shop_id=shop_id, people=sorted(people), mark=TOMBSTONE)


async def erase_deliveries(db: Connection | Pool, shop_id: int, ids: Sequence[int]) -> None:
    """That they came stays, so that none is taken twice; what they said goes."""
    await sql.erase_deliveries(db, shop_id=shop_id, ids=sorted(ids))
