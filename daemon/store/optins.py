"""Requests to confirm a consent, on their way out and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from channels.base import Outcome
from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("optins")


class Lately(NamedTuple):
    """How much was asked for of late."""

    just_now: int
    today: int
    by_client: int


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody wants a consent of a person confirmed. `ip_hmac` is None where it is not known who asked."""

    person_id: int
    channel: str
    purposes: tuple[str, ...]
    address_hmac: bytes
    wording: str
    source: str
    source_url: str = ""
    ip_hmac: bytes | None = None
    ip_net: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class AtGate:
    """A request that may leave, as it is now."""

    id: int
    person_id: int
    purposes: tuple[str, ...]
    not_after: datetime
    locale: str
    wording: str
    address: str | None
    same_address: bool
    may_be_written_to: bool
    suppressed: bool
    withdrawn: bool
    rehearsal: bool
    paused: str | None


class Move(NamedTuple):
    """What becomes of it: `go` with the hash of its token, `hold`, `cancelled` or `expired` with a reason."""

    id: int
    verdict: str
    reason: str = ""
    token: bytes | None = None


@dataclass(frozen=True, slots=True)
class OptIn:
    """What a link asks to be confirmed."""

    id: int
    person_id: int
    channel: str
    purposes: tuple[str, ...]
    state: str
    not_after: datetime
    requested_at: datetime
    confirmed_at: datetime | None
    source: str
    source_url: str
    address_hmac: bytes
    guesses: int
    wording: str
    locale: str
    same_address: bool
    """Whether the person still has the address that it was sent to."""


class Back(NamedTuple):
    """A request of which something came back."""

    id: int
    person_id: int
    channel: str
    address_hmac: bytes


class Asked(NamedTuple):
    """A request that a code or a reply may answer."""

    id: int
    person_id: int
    token_sha256: bytes
    guesses: int
    requested_at: datetime


async def lately(
    db: Connection, shop_id: int, address_hmac: bytes, ip_hmac: bytes | None, gap: timedelta, now: datetime
) -> Lately:
    """Asked under the shop's lock."""
    row = await sql.lately(db, shop_id=shop_id, address_hmac=address_hmac, ip_hmac=ip_hmac, gap=gap, now=now)
    return Lately(*row)


async def add(db: Connection, shop_id: int, request: Request, now: datetime, not_after: datetime) -> int:
    """Its number."""
    return int(
        await sql.add(
            db,
            shop_id=shop_id,
            person_id=request.person_id,
            channel=request.channel,
            purposes=list(request.purposes),
            address_hmac=request.address_hmac,
            wording=request.wording,
            source=request.source,
            source_url=request.source_url,
            ip_hmac=request.ip_hmac,
            ip_net=request.ip_net,
            user_agent=request.user_agent,
            now=now,
            not_after=not_after,
        )
    )


async def address_of(db: Connection, shop_id: int, person_id: int, channel: str) -> bytes | None:
    """Hash of the address that a request to them would go to; None where they have none, or were erased."""
    found: bytes | None = await sql.address_of(db, shop_id=shop_id, person_id=person_id, channel=channel)
    return found


async def at_the_gate(db: Connection, shop_id: int, channel: str, most: int, now: datetime) -> list[AtGate]:
    """Those that wait, their persons locked, read anew behind the locks."""
    ids = [row["id"] for row in await sql.due_people(db, shop_id=shop_id, channel=channel, most=most)]
    if not ids:
        return []
    rows = await sql.at_the_gate(db, shop_id=shop_id, ids=ids, now=now)
    return [AtGate(**{**row, "purposes": tuple(row["purposes"])}) for row in rows]


async def move(db: Connection, shop_id: int, moves: Sequence[Move], now: datetime, lease: timedelta) -> dict[int, int]:
    """The fence of each that was claimed, by its number."""
    ordered = sorted(moves)
    rows = await sql.move(
        db,
        shop_id=shop_id,
        ids=[one.id for one in ordered],
        verdicts=[one.verdict for one in ordered],
        reasons=[one.reason for one in ordered],
        tokens=[one.token for one in ordered],
        now=now,
        lease=lease,
    )
    return {row["id"]: row["fence"] for row in rows}


async def wait_for_channel(pool: Pool, shop_id: int, channel: str) -> None:
    """Nobody in this process can send on it."""
    await sql.wait_for_channel(pool, shop_id=shop_id, channel=channel)


async def still_wanted(pool: Pool, shop_id: int, asked: Sequence[tuple[int, int]]) -> set[int]:
    """Of (number, fence): those that nothing has overtaken since the claim."""
    rows = await sql.still_wanted(
        pool, shop_id=shop_id, ids=[one for one, _ in asked], fences=[fence for _, fence in asked]
    )
    return {row["id"] for row in rows}


async def record(
    pool: Pool, shop_id: int, outcomes: Sequence[tuple[int, int, Outcome]], now: datetime
) -> dict[int, str]:
    """Outcomes by (number, fence): the new state of each that was still ours."""
    ordered = sorted(outcomes, key=lambda one: one[:2])
    rows = await sql.record(
        pool,
        shop_id=shop_id,
        ids=[number for number, _, _ in ordered],
        fences=[fence for _, fence, _ in ordered],
        outcomes=[outcome.state for *_, outcome in ordered],
        provider_ids=[outcome.provider_id or None for *_, outcome in ordered],
        reasons=[outcome.code for *_, outcome in ordered],
        costs=[outcome.costs_a_try for *_, outcome in ordered],
        agains=[outcome.again_after for *_, outcome in ordered],
        now=now,
    )
    return {row["id"]: row["state"] for row in rows}


async def about(db: Connection, shop_id: int, ids: Sequence[int]) -> dict[int, Back]:
    """The requests of these numbers that are kept."""
    rows = await sql.about(db, shop_id=shop_id, ids=sorted(set(ids))) if ids else []
    return {row["id"]: Back(**row) for row in rows}


async def come_back(db: Connection, shop_id: int, number: int, reason: str) -> None:
    """It did not arrive, or was called spam: its link is worth nothing any more. What was confirmed stays so."""
    await sql.come_back(db, shop_id=shop_id, id=number, reason=reason)


async def reap(pool: Pool, shop_id: int) -> list[int]:
    """Claims whose lease is over are unknown from now on."""
    return [row["id"] for row in await sql.reap(pool, shop_id=shop_id)]


async def forget(pool: Pool, shop_id: int, now: datetime) -> None:
    """Who asked, a day later."""
    await sql.forget(pool, shop_id=shop_id, now=now)


async def over(pool: Pool, shop_id: int, now: datetime, most: int) -> dict[int, int]:
    """Requests whose time is over and that nobody confirmed, with their persons."""
    return {row["id"]: row["person_id"] for row in await sql.over(pool, shop_id=shop_id, now=now, most=most)}


async def delete_over(db: Connection, shop_id: int, ids: Sequence[int], now: datetime) -> list[int]:
    """Whose requests are gone. The caller holds the persons' locks, and the shop's."""
    rows = await sql.delete_over(db, shop_id=shop_id, ids=sorted(ids), now=now)
    people = [row["person_id"] for row in rows]
    await sql.delete_strangers(db, shop_id=shop_id, people=people)
    return people


async def of_token(db: Connection | Pool, shop_id: int, token_sha256: bytes) -> OptIn | None:
    """None for a token that nobody was given, or that died."""
    row = await sql.of_token(db, shop_id=shop_id, token_sha256=token_sha256)
    return OptIn(**{**row, "purposes": tuple(row["purposes"])}) if row else None


async def of_address(db: Connection, shop_id: int, channel: str, address_hmac: bytes, now: datetime) -> list[Asked]:
    """The requests to an address that are still open, the newest first."""
    rows = await sql.of_address(db, shop_id=shop_id, channel=channel, address_hmac=address_hmac, now=now)
    return [Asked(**row) for row in rows]


async def guessed(db: Connection, shop_id: int, ids: Sequence[int]) -> None:
    """A code was tried on these."""
    await sql.guessed(db, shop_id=shop_id, ids=sorted(ids))


async def confirm(db: Connection, shop_id: int, number: int, now: datetime) -> bool:
    """Whether this was the first time. The caller holds the person's lock."""
    return await sql.confirm(db, shop_id=shop_id, id=number, now=now) is not None
