"""Messages whose outcome nobody knows, as rows: whose turn it is to be looked up, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.store.database import Connection, Pool
from daemon.store.messages import Claim
from daemon.store.sql import load

sql = load("reconcile")


@dataclass(frozen=True, slots=True)
class Lost:
    """One of them, as it was claimed. `look_ups`: how often its provider has said that it does not have it."""

    claim: Claim
    channel: str
    look_ups: int
    started_real: datetime


async def due(
    db: Connection | Pool, shop_id: int, channels: Sequence[str], after: Sequence[timedelta], most: int
) -> list[Lost]:
    """Those of these channels whose next look-up is due: so long after the attempt ended, one span for each."""
    rows = await sql.due(db, shop_id=shop_id, channels=sorted(channels), after=list(after), most=most)
    return [
        Lost(
            Claim(**{name: row[name] for name in Claim.__slots__}),
            row["channel"],
            row["look_ups"],
            row["started_real"],
        )
        for row in rows
    ]


async def looked_up(db: Connection | Pool, shop_id: int, rows: Sequence[tuple[Lost, bool]]) -> None:
    """Of (what was asked about, whether the provider said that it is not there)."""
    ordered = sorted(rows, key=lambda row: row[0].claim.id)
    await sql.looked_up(
        db,
        shop_id=shop_id,
        ids=[one.claim.id for one, _ in ordered],
        fences=[one.claim.fence for one, _ in ordered],
        counts=[counts for _, counts in ordered],
        befores=[one.look_ups for one, _ in ordered],
    )


async def not_sent(db: Connection, shop_id: int, lost: Sequence[Claim], now: datetime) -> dict[int, str]:
    """What became of each that the provider certainly does not have. The caller holds the persons' locks."""
    ordered = sorted(lost, key=lambda one: one.id)
    ids, fences = [one.id for one in ordered], [one.fence for one in ordered]
    rows = await sql.not_sent(db, shop_id=shop_id, ids=ids, fences=fences, now=now)
    return {row["id"]: row["state"] for row in rows}
