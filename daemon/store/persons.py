"""Persons, their identities and their consents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from daemon.store.database import Connection
from daemon.store.sql import load

sql = load("persons")


@dataclass(frozen=True, slots=True)
class Known:
    """Who an identity leads to."""

    id: int
    customer_ref: str | None
    email: str | None
    is_guest: bool
    has_account: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class Description:
    """What the shop says of one person, ready to be written."""

    person_id: int
    customer_ref: str | None
    email: str | None
    email_hmac: bytes | None
    phone: str | None
    phone_hmac: bytes | None
    first_name: str
    last_name: str
    locale: str
    zone: str
    country: str
    group: str
    is_guest: bool
    may_be_written_to: bool
    region: str = ""


class Word(NamedTuple):
    """What was last said on one purpose."""

    state: str
    evidence: str
    at: datetime


async def lock(db: Connection, shop_id: int, persons: Sequence[int]) -> list[int]:
    """Lock these persons in id order until the transaction ends: the one lock that decides what may leave. Then their
    open recoveries, so that whatever the transaction does to them, it waits for nobody any more."""
    wanted = sorted(set(persons))
    found = [row["id"] for row in await sql.lock(db, shop_id=shop_id, persons=wanted)]
    await sql.lock_recoveries(db, shop_id=shop_id, persons=wanted)
    return found


async def known(
    db: Connection, shop_id: int, refs: Sequence[str], emails: Sequence[str]
) -> dict[tuple[str, str], Known]:
    """By (kind, value), for those that are known."""
    rows = await sql.known(db, shop_id=shop_id, refs=refs, emails=emails)
    return {
        (row["kind"], row["value"]): Known(
            row["id"], row["customer_ref"], row["email"], row["is_guest"], row["has_account"], row["since"]
        )
        for row in rows
    }


async def new_ids(db: Connection, count: int) -> list[int]:
    """Ids for persons that `add` will make."""
    return [row["id"] for row in await sql.new_ids(db, count=count)]


async def add(db: Connection, shop_id: int, ids: Sequence[int], split_keys: Sequence[float], at: datetime) -> None:
    """Make them, with nothing known of them yet."""
    await sql.add(db, shop_id=shop_id, ids=list(ids), split_keys=list(split_keys), at=at)


async def identify(db: Connection, shop_id: int, identities: Mapping[tuple[str, str], int], at: datetime) -> None:
    """(kind, value) belongs to this person from now on."""
    rows = sorted(identities.items())
    await sql.identify(
        db,
        shop_id=shop_id,
        kinds=[kind for (kind, _), _ in rows],
        values=[value for (_, value), _ in rows],
        persons=[person for _, person in rows],
        at=at,
    )


async def forget_addresses(db: Connection, shop_id: int, newest: Mapping[int, str]) -> None:
    """Of these persons only the newest e-mail identity stays."""
    rows = sorted(newest.items())
    await sql.forget_address(db, shop_id=shop_id, persons=[p for p, _ in rows], emails=[e for _, e in rows])


async def describe(db: Connection, shop_id: int, people: Sequence[Description], version: int) -> list[int]:
    """The persons whose description changed; an older version changes nothing. The caller holds their locks."""
    rows = sorted(people, key=lambda one: one.person_id)
    columns: dict[str, list[Any]] = {
        "persons": [one.person_id for one in rows],
        "customer_refs": [one.customer_ref for one in rows],
        "emails": [one.email for one in rows],
        "email_hmacs": [one.email_hmac for one in rows],
        "phones": [one.phone for one in rows],
        "phone_hmacs": [one.phone_hmac for one in rows],
        "first_names": [one.first_name for one in rows],
        "last_names": [one.last_name for one in rows],
        "locales": [one.locale for one in rows],
        "zones": [one.zone for one in rows],
        "countries": [one.country for one in rows],
        "groups": [one.group for one in rows],
        "guests": [one.is_guest for one in rows],
        "may": [one.may_be_written_to for one in rows],
        "regions": [one.region for one in rows],
    }
    return [row["id"] for row in await sql.describe(db, shop_id=shop_id, version=version, **columns)]


async def lock_all(db: Connection, shop_id: int, persons: Sequence[int]) -> None:
    """As `lock`, and their ended recoveries too: then all their messages may be written."""
    wanted = sorted(set(persons))
    await sql.lock(db, shop_id=shop_id, persons=wanted)
    await sql.lock_all_recoveries(db, shop_id=shop_id, persons=wanted)


async def seen_active(db: Connection, shop_id: int, times: Mapping[int, datetime]) -> list[int]:
    """The persons for whom this is news. The caller holds their locks."""
    rows = sorted(times.items())
    found = await sql.seen_active(db, shop_id=shop_id, persons=[p for p, _ in rows], times=[t for _, t in rows])
    return [row["id"] for row in found]


async def raise_facts(db: Connection, shop_id: int, persons: Sequence[int]) -> None:
    """Something changed that a decision may rest on. The caller holds the locks."""
    await sql.raise_facts(db, shop_id=shop_id, persons=sorted(set(persons)))


async def consents_of(db: Connection, shop_id: int, persons: Sequence[int]) -> dict[tuple[int, str], Word]:
    """By (person, purpose): the newest word."""
    rows = await sql.consents_of(db, shop_id=shop_id, persons=sorted(set(persons)))
    return {(row["person_id"], row["purpose"]): Word(row["state"], row["evidence"], row["at"]) for row in rows}


async def emails(db: Connection, shop_id: int, persons: Sequence[int]) -> dict[int, str]:
    """The address each is written to now, for those who have one."""
    rows = await sql.emails(db, shop_id=shop_id, persons=sorted(persons))
    return {row["id"]: row["email"] for row in rows}


async def written_to_elsewhere(db: Connection, shop_id: int, times: Mapping[bytes, datetime]) -> int:
    """How many persons have one of these addresses (keyed hashes): their cool-down counts from then."""
    rows = sorted(times.items())
    found = await sql.written_to_elsewhere(db, shop_id=shop_id, hmacs=[h for h, _ in rows], times=[t for _, t in rows])
    return len(found)


async def split_keys(db: Connection, shop_id: int, persons: Sequence[int]) -> dict[int, float]:
    """The number that each drew at birth."""
    rows = await sql.split_keys(db, shop_id=shop_id, persons=sorted(set(persons)))
    return {row["id"]: row["split_key"] for row in rows}
