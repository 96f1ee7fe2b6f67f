"""Messages from planned to recorded. Every change names the state it expects; the answer tells who was first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from channels.base import Outcome
from daemon.logs import clean
from daemon.store.database import Connection, Pool
from daemon.store.sql import load
from rules.law import PURPOSES

sql = load("messages")
NOBODY: Mapping[int, bytes] = {}

MOST_TRIES = 12

BasisKind = Literal["consent", "existing_customer", "none_required"]


@dataclass(frozen=True, slots=True)
class ToPrepare:
    id: int
    recovery_id: int
    person_id: int
    step: str
    channel: str
    rehearsal: bool
    policy_hash: str
    basis: BasisKind
    basis_evidence: str


@dataclass(frozen=True, slots=True)
class LinkRow:
    no: int
    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class Prepared:
    id: int
    content: Mapping[str, Any]
    tracked: bool
    facts_no: int
    links: Sequence[LinkRow]
    letter: bytes | None = None
    """The two texts of a mail, packed."""


@dataclass(frozen=True, slots=True)
class AtGate:
    """A candidate whose person is locked."""

    id: int
    recovery_id: int
    person_id: int
    step: str
    channel: str
    facts_no: int
    not_after: datetime
    prepared_at: datetime
    basis: BasisKind
    basis_evidence: str
    consent_id: int | None
    deferrals: int
    reason: str | None
    """Why it was held or put off last."""
    rehearsal: bool
    came_back: bool
    """It has waited for a time of its own before."""
    of_another_mode: bool
    """A rehearsal's in a shop that is live, or the other way round."""
    paused: str | None


@dataclass(frozen=True, slots=True)
class Move:
    """The gate's answer: go, defer, hold (as it is, for a while), rest (the same, in machine time), again (prepare
    anew), cancelled or expired."""

    id: int
    verdict: str
    reason: str = ""
    until: datetime | None = None
    basis: str = ""
    evidence: str = ""
    consent_id: int | None = None
    not_after: datetime | None = None
    rests_for: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that may leave now, and the fence by which its outcome will be recorded."""

    id: int
    fence: int
    recovery_id: int
    person_id: int
    step: str
    rehearsal: bool
    content: Mapping[str, Any]
    letter: bytes | None = None
    """The two texts of a mail, packed."""
    sending_at: datetime | None = None
    """Shop time of the claim."""
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """An outcome as it took effect."""

    id: int
    state: str
    recovery_id: int
    reason: str | None


async def to_prepare(db: Connection | Pool, shop_id: int, now: datetime, most: int) -> list[ToPrepare]:
    """Planned messages whose time has come."""
    rows = await sql.to_prepare(db, shop_id=shop_id, now=now, most=most)
    return [ToPrepare(**{name: row[name] for name in ToPrepare.__slots__}) for row in rows]


async def prepared(db: Connection, shop_id: int, done: Sequence[Prepared], now: datetime) -> list[int]:
    """Those that were still planned, now with content and links."""
    rows = sorted(done, key=lambda one: one.id)
    links = [(one.id, link) for one in rows for link in one.links]
    found = await sql.prepared(
        db,
        shop_id=shop_id,
        now=now,
        ids=[one.id for one in rows],
        contents=[one.content for one in rows],
        trackeds=[one.tracked for one in rows],
        facts_nos=[one.facts_no for one in rows],
        letters=[one.letter for one in rows],
        link_messages=[message for message, _ in links],
        link_nos=[link.no for _, link in links],
        link_kinds=[link.kind for _, link in links],
        link_targets=[link.target for _, link in links],
    )
    return [row["id"] for row in found]


async def waiting(db: Connection | Pool, shop_id: int, channels: Sequence[str], now: datetime) -> list[str]:
    """Those of these channels that do not rest and have a message whose time has come; nobody is locked."""
    return [row["channel"] for row in await sql.waiting(db, shop_id=shop_id, channels=list(channels), now=now)]


async def due_people(
    db: Connection, shop_id: int, channel: str, now: datetime, most: int, among: Sequence[int] | None = None
) -> list[int]:
    """Candidates whose persons this transaction now holds; nobody is waited for. `among`: only of these messages."""
    rows = await sql.due_people(
        db, shop_id=shop_id, channel=channel, now=now, most=most, among=None if among is None else list(among)
    )
    return [row["id"] for row in rows]


async def at_the_gate(db: Connection, shop_id: int, ids: Sequence[int], now: datetime) -> list[AtGate]:
    """The candidates as they stand now that the locks are held. A statement of its own, hence a new snapshot."""
    rows = await sql.at_the_gate(db, shop_id=shop_id, ids=list(ids), now=now)
    return [AtGate(**{name: row[name] for name in AtGate.__slots__}) for row in rows]


async def move(db: Connection, shop_id: int, moves: Sequence[Move], now: datetime, lease: timedelta) -> list[Claim]:
    """Carry out what the gate said; those that go come back with their fence, leased in machine time."""
    rows = await sql.move(
        db,
        shop_id=shop_id,
        now=now,
        lease=lease,
        ids=[one.id for one in moves],
        verdicts=[one.verdict for one in moves],
        untils=[one.until for one in moves],
        reasons=[one.reason for one in moves],
        bases=[one.basis for one in moves],
        evidences=[one.evidence for one in moves],
        consents=[one.consent_id for one in moves],
        not_afters=[one.not_after for one in moves],
        rests=[one.rests_for for one in moves],
    )
    return [Claim(**{name: row[name] for name in Claim.__slots__}) for row in rows]


async def still_wanted(db: Connection | Pool, shop_id: int, claims: Sequence[tuple[int, int]]) -> set[int]:
    """Of (message, fence): those that nothing has overtaken since the gate."""
    rows = await sql.still_wanted(
        db,
        shop_id=shop_id,
        ids=[message for message, _ in claims],
        fences=[fence for _, fence in claims],
        purposes=dict(PURPOSES),
    )
    return {row["id"] for row in rows}


async def record(
    db: Connection | Pool,
    shop_id: int,
    outcomes: Sequence[tuple[int, int, Outcome]],
    now: datetime,
    gone: Mapping[int, bytes] = NOBODY,
) -> list[Closed]:
    """Of (message, fence, outcome): those that were still ours. A channel that took one works again: its next rest is a
    short one. `gone`: hashes of endpoints that are over, by message."""
    rows = sorted(outcomes, key=lambda row: row[:2])
    closed = await sql.record(
        db,
        shop_id=shop_id,
        now=now,
        most_tries=MOST_TRIES,
        ids=[message for message, _, _ in rows],
        fences=[fence for _, fence, _ in rows],
        outcomes=[outcome.state for _, _, outcome in rows],
        provider_ids=[outcome.provider_id for _, _, outcome in rows],
        codes=[outcome.code for _, _, outcome in rows],
        errors=[clean(outcome.error)[:500] for _, _, outcome in rows],
        costs=[outcome.costs_a_try for _, _, outcome in rows],
        agains=[outcome.again_after for _, _, outcome in rows],
        suppresses=[outcome.suppress for _, _, outcome in rows],
        gones=[gone.get(message) for message, _, _ in rows],
    )
    return [Closed(row["id"], row["state"], row["recovery_id"], row["reason"]) for row in closed]


async def reap(db: Connection | Pool, shop_id: int, now: datetime, most: int) -> list[int]:
    """Claims whose lease is over: unknown from now on, and never sent again by themselves."""
    return [row["id"] for row in await sql.reap(db, shop_id=shop_id, now=now, most=most)]


async def settle_unknown(db: Connection | Pool, shop_id: int, now: datetime, most: int) -> list[int]:
    """Unknown for a day: they count as sent for good."""
    return [row["id"] for row in await sql.settle_unknown(db, shop_id=shop_id, now=now, most=most)]


async def expire(db: Connection | Pool, shop_id: int, now: datetime, most: int) -> list[int]:
    """Messages whose time was over before they could leave."""
    return [row["id"] for row in await sql.expire(db, shop_id=shop_id, now=now, most=most)]


async def end_unprepared(
    db: Connection, shop_id: int, recoveries: Sequence[int], reason: str, now: datetime
) -> list[int]:
    """Recoveries with nothing left to write about are over. The caller holds the persons' locks."""
    rows = await sql.end_unprepared(db, shop_id=shop_id, recoveries=sorted(recoveries), reason=reason, now=now)
    return [row["recovery_id"] for row in rows]


async def rest_channel(db: Connection | Pool, shop_id: int, channel: str, reason: str) -> None:
    """The sender is at fault; the channel rests, longer each time."""
    await sql.rest_channel(db, shop_id=shop_id, channel=channel, reason=clean(reason)[:300])


async def resting(db: Connection | Pool, shop_id: int) -> dict[str, str]:
    """Channels that rest now, with the reason."""
    return {row["channel"]: row["reason"] for row in await sql.resting(db, shop_id=shop_id)}


@dataclass(frozen=True, slots=True)
class Window:
    """Who may be at the gate next, and since when an order of theirs would matter."""

    messages: list[int]
    refs: list[str]
    emails: list[str]
    since: datetime


async def window(db: Connection | Pool, shop_id: int, channel: str, now: datetime, most: int) -> Window:
    row = await sql.window(db, shop_id=shop_id, channel=channel, now=now, most=most)
    return Window(row["messages"], row["refs"], row["emails"], row["since"] or now)


async def put_off(db: Connection, shop_id: int, rows: Sequence[tuple[int, str]], until: datetime) -> None:
    """Of (message, reason): still planned, but later."""
    if rows:
        ordered = sorted(rows)
        await sql.put_off(
            db, shop_id=shop_id, ids=[one for one, _ in ordered], reasons=[why for _, why in ordered], until=until
        )
