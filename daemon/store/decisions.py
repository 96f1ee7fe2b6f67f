"""Decisions and what follows from them, a batch in one write; policies by their hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.store.database import Connection, Pool, json_text
from daemon.store.sql import load

sql = load("decisions")
ASKED = ("asked", "answer", "passed", "about", "step")
"""What a question is kept as, in this order and without the names: more may come behind them, none may go."""


@dataclass(frozen=True, slots=True)
class Result:
    """One recovery's verdict. `was_wake` is the wake time that the facts were read with."""

    recovery_id: int
    was_wake: datetime | None
    verdict: str
    because: str
    questions: Sequence[tuple[Any, ...]]
    """Of each what `ASKED` names."""
    facts: Mapping[str, Any]
    facts_no: int
    policy_hash: str
    step: str | None = None
    channel: str | None = None
    until: datetime | None = None
    basis: str | None = None
    evidence: str | None = None
    consent_id: int | None = None
    due_at: datetime | None = None
    not_after: datetime | None = None
    state: str | None = None
    """Of the message that follows: planned, or withheld with `reason`."""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What the gate decided of a message."""

    recovery_id: int
    verdict: str
    step: str
    because: str
    facts_no: int
    policy_hash: str
    until: datetime | None = None


def spelled(questions: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Kept questions by their names. Before they were kept without, each was a mapping."""
    return [one if isinstance(one, Mapping) else dict(zip(ASKED, one, strict=False)) for one in questions]


async def due(db: Connection | Pool, shop_id: int, now: datetime, most: int) -> list[int]:
    """Recoveries to ask the rules about."""
    return [row["id"] for row in await sql.due(db, shop_id=shop_id, now=now, most=most)]


async def policies(db: Connection | Pool, shop_id: int, hashes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The stored bodies, by hash."""
    rows = await sql.policies(db, shop_id=shop_id, hashes=sorted(set(hashes)))
    return {row["hash"]: row["body"] for row in rows}


async def keep_policy(
    db: Connection | Pool, shop_id: int, hash_: str, name: str, body: Mapping[str, Any], now: datetime
) -> None:
    """So that a recovery can keep the ladder it began with."""
    await sql.keep_policy(db, shop_id=shop_id, hash=hash_, name=name, body=body, now=now)


async def record(db: Connection, shop_id: int, results: Sequence[Result], now: datetime) -> list[Any]:
    """The verdicts that took effect. For a stop the caller holds the person's lock."""
    rows = sorted(results, key=lambda result: result.recovery_id)
    return list(
        await sql.record(
            db,
            shop_id=shop_id,
            now=now,
            recoveries=[row.recovery_id for row in rows],
            wakes=[row.was_wake for row in rows],
            verdicts=[row.verdict for row in rows],
            steps=[row.step for row in rows],
            channels=[row.channel for row in rows],
            untils=[row.until for row in rows],
            becauses=[row.because for row in rows],
            questions=[json_text(row.questions) for row in rows],
            facts=[row.facts for row in rows],
            facts_nos=[row.facts_no for row in rows],
            policies=[row.policy_hash for row in rows],
            bases=[row.basis for row in rows],
            evidences=[row.evidence for row in rows],
            consents=[row.consent_id for row in rows],
            dues=[row.due_at for row in rows],
            not_afters=[row.not_after for row in rows],
            states=[row.state for row in rows],
            reasons=[row.reason for row in rows],
        )
    )


async def note(db: Connection, shop_id: int, notes: Sequence[Note], now: datetime) -> None:
    """Keep what the gate decided beside the ladder's decisions."""
    if notes:
        await sql.note(
            db,
            shop_id=shop_id,
            now=now,
            recoveries=[one.recovery_id for one in notes],
            verdicts=[one.verdict for one in notes],
            steps=[one.step for one in notes],
            untils=[one.until for one in notes],
            becauses=[one.because for one in notes],
            facts_nos=[one.facts_no for one in notes],
            policies=[one.policy_hash for one in notes],
        )
