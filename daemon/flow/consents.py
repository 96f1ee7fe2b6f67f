"""The ledger of consents: what is appended to it, by whom, and with which proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network

import structlog

from daemon.context import Context
from daemon.shops.base import ConsentHint
from daemon.store import consents, members, persons
from daemon.store.consents import ConsentRow
from daemon.store.database import Connection, Pool, again
from daemon.store.persons import Word

log = structlog.get_logger()

PURPOSES = ("email_mkt", "sms_mkt", "push_mkt", "track_open", "track_click", "ads_audience")
CHANNEL_OF = {"email_mkt": "email", "sms_mkt": "sms", "push_mkt": "webpush"}
"""The purposes that are about writing to somebody; the others go with any of them."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that somebody agreed: they first said so at `requested_at`, and again at `confirmed_at`."""

    source: str
    evidence: str = ""
    wording: str = ""
    source_url: str = ""
    ip: str = ""
    user_agent: str = ""
    requested_at: datetime | None = None
    confirmed_at: datetime | None = None


def network(address: str) -> str:
    """What is kept of a client's address: its /24 or /48; empty for what is none."""
    try:
        host = ip_address(address.strip().partition("%")[0])
    except ValueError:
        return ""
    if host.version == 6 and host.ipv4_mapped is not None:
        host = host.ipv4_mapped
    return str(ip_network((host, 24 if host.version == 4 else 48), strict=False))


def told(person: int, hint: ConsentHint, state: str, now: datetime) -> ConsentRow:
    """The shop's own word, as a row of the ledger."""
    return ConsentRow(
        person_id=person,
        purpose=hint.purpose,
        state=state,
        at=hint.at or now,
        source=hint.source or "shop",
        evidence=hint.evidence,
        wording=hint.wording,
        source_url=hint.source_url,
        ip_net=network(hint.ip),
        user_agent=hint.user_agent,
        requested_at=hint.requested_at,
        confirmed_at=(hint.at or now) if state == "confirmed" else None,
    )


def news(person: int, hint: ConsentHint, newest: Word | None, now: datetime) -> ConsentRow | None:
    """None where the shop says nothing new. A bare hint overrides nothing that was withdrawn or confirmed."""
    state = "hint" if hint.state == "confirmed" and not hint.evidence else hint.state
    if newest is not None:
        if hint.at is not None and hint.at < newest.at:
            return None  # arrived late
        if newest.state == state and newest.evidence == hint.evidence:
            return None
        if state in ("hint", "requested") and newest.state in ("confirmed", "withdrawn"):
            return None
        if state == "confirmed" and newest.state == "withdrawn" and (hint.at is None or hint.at == newest.at):
            return None  # an old proof does not undo a later withdrawal
    return told(person, hint, state, now)


async def record(
    pool: Pool, shop_id: int, person: int, purposes: Sequence[str], state: str, proof: Proof, now: datetime
) -> None:
    """Append a word, in effect for the next claim. `confirmed` without evidence is a ValueError."""
    if state == "confirmed" and not proof.evidence:
        raise ValueError("a confirmed consent needs its evidence")

    async def once(db: Connection) -> None:
        await persons.lock(db, shop_id, [person])
        await write(db, shop_id, person, purposes, state, proof, now)

    await again(pool, once)
    log.info("kept", shop_id=shop_id, person=person, consent=state, purposes=len(purposes))


async def write(
    db: Connection, shop_id: int, person: int, purposes: Sequence[str], state: str, proof: Proof, now: datetime
) -> None:
    """The same inside a transaction that holds the person's lock."""
    rows = [
        ConsentRow(
            person_id=person,
            purpose=purpose,
            state=state,
            at=now,
            source=proof.source,
            evidence=proof.evidence,
            wording=proof.wording,
            source_url=proof.source_url,
            ip_net=network(proof.ip),
            user_agent=proof.user_agent,
            requested_at=proof.requested_at,
            confirmed_at=proof.confirmed_at or (now if state == "confirmed" else None),
        )
        for purpose in purposes
    ]
    await consents.add(db, shop_id, rows, now)
    await persons.raise_facts(db, shop_id, [person])
    if state == "withdrawn":
        await members.heed(db, shop_id, [person], now)


async def withdraw(
    context: Context, shop_id: int, person: int, purposes: Sequence[str], source: str, now: datetime
) -> None:
    """Taken back, in effect for the next claim, and no message under way is tried again for it."""
    await record(context.pool, shop_id, person, purposes, "withdrawn", Proof(source), now)
    context.ring("decide", shop_id)
