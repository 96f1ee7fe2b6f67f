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


async def looked_up(db: Connection, shop_id: int, rows: Sequence[tuple[int, int, bool]]) -> None:
    """Of (message, fence, whether the provider said that it is not there)."""
    ordered = sorted(rows)
    await sql.looked_up(
        db,
        shop_id=shop_id,
        ids=[one for one, _, _ in ordered],
        fences=[fence for _, fence, _ in ordered],
        counts=[counts for _, _, counts in ordered],
    )


async def not_sent(db: Connection, shop_id: int, ids: Sequence[int], now: datetime) -> dict[int, str]:
    """What became of each that the provider certainly does not have. The caller holds the persons' locks."""
    rows = await sql.not_sent(db, shop_id=shop_id, ids=sorted(ids), now=now)
    return {row["id"]: row["state"] for row in rows}
