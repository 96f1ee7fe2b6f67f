"""The breaker: too many complaints or dead addresses among the newest mails, and the channel is paused by a row."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import structlog

from daemon.context import Context
from daemon.store import reputation
from daemon.store.reputation import FEW, Lately

log = structlog.get_logger()

WARN = 0.0008
STOP = 0.0025
"""Shares of complaints: providers want less than 0.1 % and punish 0.3 %."""
LEAST = 100
"""Mails below which a share says nothing."""
WARN_LEAST = 2
STOP_LEAST = 3
"""Complaints that it takes at least: one alone is one person."""
DEAD = 5
"""Addresses of the newest hundred that do not exist: the list is bad, or our mails are refused."""
CHANNEL = "email"


async def judge(context: Context, shop_id: int, now: datetime) -> None:
    """Put the brake on where it is needed. `tillbell resume` lifts it; then only what is sent from there on counts."""
    seen = await reputation.lately(context.pool, shop_id, CHANNEL, now)
    if too_many_complaints(seen):
        text = f"{seen.complained} complaints about the newest {seen.sent} mails ({seen.complaints:.2%})"
        await _pause(context, shop_id, "complaints", text, now)
    if seen.bounced >= DEAD:
        text = f"{seen.bounced} of the newest {seen.few} mails came back for good"
        await _pause(context, shop_id, "bounces", text, now)


async def _pause(
    context: Context, shop_id: int, cause: Literal["complaints", "bounces"], text: str, now: datetime
) -> None:
    if await reputation.brake(context.pool, shop_id, CHANNEL, cause, text, now):
        log.error("stopped", shop=context.shop_called(shop_id), paused=CHANNEL, because=text)


def too_many_complaints(seen: Lately) -> bool:
    return seen.sent >= LEAST and seen.complained >= STOP_LEAST and seen.complaints >= STOP


def warning(seen: Lately) -> str:
    """A sentence for the operator; empty while all is well."""
    if seen.sent >= LEAST and seen.complained >= WARN_LEAST and seen.complaints >= WARN:
        return (
            f"{seen.complained} complaints about the newest {seen.sent} mails ({seen.complaints:.2%}); "
            f"from {STOP:.2%} on the channel is paused"
        )
    if seen.few >= FEW and seen.bounced * 2 >= DEAD:
        return f"{seen.bounced} of the newest {seen.few} mails came back for good; from {DEAD} on the channel is paused"
    return ""
