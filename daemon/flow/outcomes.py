"""Step 8: what became of a group of messages, written by fence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import structlog

from channels import points
from channels.base import Message, Outcome
from daemon import metrics
from daemon.context import Context
from daemon.flow import allowances, pushes, reputation
from daemon.store import clock, messages

log = structlog.get_logger()

NO_BYTE = frozenset({"not_sent", "address", "content", "bug"})
"""Codes of outcomes of which no byte has left."""
DEAD = " 5.1."
"""In the reason of a mail that was refused because of its address: the breaker counts these, too."""


async def write(context: Context, shop_id: int, channel: str, group: Sequence[tuple[Message, Outcome]]) -> None:
    """A group of outcomes in one write. A sender's fault rests the channel and costs no message a try."""
    now = await clock.shop_now(context.pool)
    name = context.shop_called(shop_id)  # its shop may have left shops.yaml while they were on the wire
    rows = [(message.id, message.fence, outcome) for message, outcome in group]
    points.reached("recording")
    closed = await messages.record(context.pool, shop_id, rows, now, pushes.gone(context, group))
    points.reached("recorded")
    faults = [outcome for _, outcome in group if outcome.rest_channel]
    if faults:
        await messages.rest_channel(context.pool, shop_id, channel, faults[0].error)
        log.error("recorded", shop=name, channel=channel, rests="yes", because=faults[0].error)
    await allowances.heed(context, channel, group)
    if channel == "email" and any(one.state == "failed" and DEAD in (one.reason or "") for one in closed):
        await reputation.judge(context, shop_id, now)
    counts = Counter(one.state for one in closed)
    for state, number in counts.items():
        metrics.messages.labels(channel, state).inc(number)
    kept = sum(outcome.code in NO_BYTE for _, outcome in group)
    if len(group) > kept:
        log.info("sent", shop=name, channel=channel, messages=len(group) - kept)
    log.info("recorded", shop=name, channel=channel, **counts, **({"not_sent": kept} if kept else {}))
    if counts["planned"]:  # made anew, for somebody's next browser
        context.ring("prepare", shop_id)
    context.ring("deliver", shop_id)
