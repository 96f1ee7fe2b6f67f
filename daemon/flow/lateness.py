"""No mail to somebody whose order is still on its way to us: a policy whose first step comes sooner is paused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from daemon.context import Context
from daemon.shops.base import Capability
from daemon.store import survey
from daemon.store.database import Connection, Pool
from daemon.store.survey import Lateness
from rules.policy import Policy
from rules.values import spoken

log = structlog.get_logger()

ENOUGH = 5
"""Fewer orders than this say nothing."""


def too_early(policies: Sequence[Policy], seen: Lateness, forgiven: timedelta) -> dict[str, str]:
    """Policies that could write to a buyer, each with the reason. `forgiven`: lateness that does no harm, because the
    shop itself is asked right before a mail leaves and is late only between our looks."""
    late = seen.late - forgiven
    if seen.orders < ENOUGH:
        return {}
    return {
        policy.name: f"orders reach us up to {_whole(late)} late, and its first step comes after {spoken(first)}"
        for policy in policies
        if (first := min((step.after for step in policy.ladder), default=None)) is not None and late > first
    }


def _whole(span: timedelta) -> str:
    """In minutes, upwards."""
    return spoken(timedelta(minutes=-(-span // timedelta(minutes=1))))


def forgiven(context: Context, name: str) -> timedelta:
    """Between two looks at a shop that can be asked about single persons nothing is missed."""
    shop = context.shops.get(name)
    asked = shop is not None and Capability.FIND_ORDERS in shop.capabilities()
    return context.settings.poll_every if asked else timedelta(0)


async def of_shop(context: Context, db: Connection | Pool, name: str, shop_id: int) -> Mapping[str, str]:
    """The policies of this shop that are too early for its orders, by name, with the reason."""
    seen = await survey.lateness(db, shop_id)
    return too_early(context.keeper.book.policies_by_shop.get(name, ()), seen, forgiven(context, name))


async def hold(context: Context, db: Connection | Pool, name: str, shop_id: int, mode: str, now: datetime) -> None:
    """Keep the pauses as they should be: at the switch to live and with each sweep after it. In a rehearsal nobody is
    written to, so nothing is paused."""
    why = await of_shop(context, db, name, shop_id) if mode == "live" else {}
    for policy in await survey.hold_late(db, shop_id, why, now):
        log.error("held", shop=name, policy=policy, because=why[policy])
