"""The figures of a shop, counted from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daemon.store.database import Connection, Pool
from daemon.store.sql import load
from rules.effect import Enrolled

sql = load("report")


@dataclass(frozen=True, slots=True)
class Figures:
    """Rows as counted; each a mapping with the names of its columns."""

    carts: Sequence[Mapping[str, Any]]
    recoveries: Sequence[Mapping[str, Any]]
    messages: Sequence[Mapping[str, Any]]
    hits: Sequence[Mapping[str, Any]]
    money: Sequence[Mapping[str, Any]]
    outcomes: Sequence[Enrolled]


async def figures(db: Connection | Pool, shop_id: int, since: datetime, window: timedelta) -> Figures:
    """Of what began since then. `window`: how long after enrolment a purchase counts, for both groups alike."""
    at = {"shop_id": shop_id, "since": since}
    outcomes = await sql.outcomes(db, **at, window=window)
    return Figures(
        carts=[dict(row) for row in await sql.carts(db, **at)],
        recoveries=[dict(row) for row in await sql.recoveries(db, **at)],
        messages=[dict(row) for row in await sql.messages(db, **at)],
        hits=[dict(row) for row in await sql.hits(db, **at)],
        money=[dict(row) for row in await sql.money(db, **at)],
        outcomes=[Enrolled(row["person_id"], row["held_out"], row["recovered"], row["crossed"]) for row in outcomes],
    )


async def each(db: Connection | Pool, shop_id: int, since: datetime) -> list[dict[str, Any]]:
    """One entry a recovery, by the shop's cart reference."""
    return [
        {
            **{name: row[name] for name in ("cart", "episode", "policy", "held_out", "rehearsal", "state")},
            "end_reason": row["end_reason"],
            "evidence": row["evidence"],
            "steps": [_step(*step) for step in row["steps"]],
        }
        for row in await sql.each(db, shop_id=shop_id, since=since)
    ]


def _step(
    step: str, channel: str, state: str, reason: str | None, because: str | None, hits: Sequence[Sequence[Any]]
) -> dict[str, Any]:
    seen: dict[str, dict[str, int]] = {}
    for kind, who, count in hits:
        seen.setdefault(kind, {})[who] = count
    return {
        "step": step, "channel": channel, "state": state, "reason": reason, "because": because, "hits": seen
    }  # fmt: skip
