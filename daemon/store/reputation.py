"""What a shop's newest messages met with: complaints, addresses that do not exist, senders that are not let through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("reputation")

MOST = 10_000
FEW = 100
SPAN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Lately:
    """Of the newest 10,000 messages of the last 30 days: `sent`, `complained`; of the newest 100: `few`, `bounced`,
    and `filtered`: those that came back because of their sender."""

    sent: int
    complained: int
    few: int
    bounced: int
    filtered: int = 0

    @property
    def complaints(self) -> float:
        """Share of the mails sent."""
        return self.complained / self.sent if self.sent else 0.0


async def lately(db: Connection | Pool, shop_id: int, channel: str, now: datetime) -> Lately:
    """Since `resume` lifted the last brake of this kind, at most."""
    lifted = cast("datetime | None", await sql.lifted_at(db, shop_id=shop_id, channel=channel))
    since = max(now - SPAN, lifted or now - SPAN)
    row = await sql.lately(db, shop_id=shop_id, channel=channel, since=since, most=MOST, few=FEW)
    return Lately(**row)


async def brake(
    db: Connection | Pool,
    shop_id: int,
    channel: str,
    cause: Literal["complaints", "bounces", "filtered"],
    reason: str,
    now: datetime,
) -> bool:
    """Whether this put it on; `tillbell resume` lifts it."""
    return bool(await sql.brake(db, shop_id=shop_id, channel=channel, cause=cause, reason=reason, now=now))
