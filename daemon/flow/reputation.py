"""The breaker: too many complaints, dead addresses or filtered texts among the newest, and a row pauses the channel."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import structlog

from daemon.context import Context
from daemon.store import reputation
from daemon.store.database import Pool
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
FILTERED = 0.05
"""Share of the newest hundred texts that may be filtered, or come from a sender that carriers do not know."""
FILTERED_LEAST, FEW_TEXTS = 3, 10
CHANNEL, TEXTS = "email", "sms"


async def judge(context: Context, shop_id: int, now: datetime) -> None:
    """Put the brake on where it is needed. `tillbell resume` lifts it; then only what is sent from there on counts."""
    seen = await reputation.lately(context.pool, shop_id, CHANNEL, now)
    if too_many_complaints(seen):
        text = f"{seen.complained} complaints about the newest {seen.sent} mails ({seen.complaints:.2%})"
        await _pause(context, shop_id, "complaints", text, now)
    if seen.bounced >= DEAD:
        text = f"{seen.bounced} of the newest {seen.few} mails came back for good"
        await _pause(context, shop_id, "bounces", text, now)


async def judge_sender(context: Context, shop_id: int, channel: str, now: datetime) -> None:
    """Messages that a provider takes and carriers do not let through are paid for, and make it worse each time."""
    seen = await reputation.lately(context.pool, shop_id, channel, now)
    if too_many_filtered(seen):
        text = f"{_filtered(seen)} because of their sender, which carriers filter or do not know"
        await _pause(context, shop_id, "filtered", text, now, channel)


async def _pause(
    context: Context,
    shop_id: int,
    cause: Literal["complaints", "bounces", "filtered"],
    text: str,
    now: datetime,
    channel: str = CHANNEL,
) -> None:
    if await reputation.brake(context.pool, shop_id, channel, cause, text, now):
        log.error("stopped", shop=context.shop_called(shop_id), paused=channel, because=text)


async def warnings(pool: Pool, shop_id: int, now: datetime) -> list[tuple[str, str]]:
    """What the operator is told of a shop before a brake goes on, each with a hint; none while all is well."""
    mails, texts = [await reputation.lately(pool, shop_id, channel, now) for channel in (CHANNEL, TEXTS)]
    found = (
        (warning(mails), "who is written to, and why do they not want it? see `tillbell why`"),
        (warning_of_sender(texts), "is the sender registered where it texts to? see docs/channels.md"),
    )
    return [(text, hint) for text, hint in found if text]


def too_many_filtered(seen: Lately) -> bool:
    return seen.filtered >= FILTERED_LEAST and seen.few >= FEW_TEXTS and seen.filtered > FILTERED * seen.few


def warning_of_sender(seen: Lately) -> str:
    """The same of a channel whose messages are filtered."""
    if seen.filtered >= WARN_LEAST and not too_many_filtered(seen):
        return f"{_filtered(seen)} because of their sender; above {FILTERED:.0%} the channel is paused"
    return ""


def _filtered(seen: Lately) -> str:
    return f"{seen.filtered} of the newest {seen.few} texts did not arrive"


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
