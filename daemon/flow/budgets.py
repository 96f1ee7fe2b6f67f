"""Whether what passed the gate also fits into what the shop wants to spend, all workers together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from daemon.context import Context
from daemon.store import allowances, budgets, decisions
from daemon.store.database import Connection
from daemon.store.decisions import Note
from daemon.store.facts import Case
from daemon.store.messages import AtGate, Move
from rules.hours import zone_of
from rules.shops import ShopWords


async def within(
    db: Connection,
    context: Context,
    shop_id: int,
    channel: str,
    moves: Sequence[Move],
    waiting: Sequence[AtGate],
    cases: Mapping[int, Case],
    now: datetime,
) -> list[Move]:
    """The moves, with those put off that would cost more than the budget leaves, to its next day or month; `why` tells
    of it once. The row that all claims of the shop wait for is taken here, so end the transaction soon."""
    shop = context.keeper.book.shops[context.shop_name(shop_id)]
    goes = [one for one in moves if one.verdict == "go"]
    if channel != "sms" or not shop.sms.costs or not goes:
        return list(moves)
    await allowances.take(db, channel, [f"budget {shop_id}"])
    day, month = _begins(now, shop)
    spent_day, spent_month = await budgets.spent(db, shop_id, channel, day, month)
    parts = await budgets.parts(db, shop_id, [one.id for one in goes])
    held: dict[int, Move] = {}
    costs: dict[int, Decimal] = {}
    for one in goes:
        cost = shop.sms.costs * parts.get(one.id, 1)
        bound = _bound(shop, spent_day + cost, spent_month + cost, day, month)
        if bound is not None:
            held[one.id] = Move(one.id, "defer", bound[0], bound[1])
            continue
        costs[one.id] = cost
        spent_day, spent_month = spent_day + cost, spent_month + cost
    await budgets.reserve(db, shop_id, costs)
    news = [(held[one.id], one, cases[one.recovery_id]) for one in waiting if one.id in held]
    notes = [
        Note(one.recovery_id, "defer", one.step, move.reason, case.facts_no, case.policy_hash, move.until)
        for move, one, case in news
        if move.reason != one.reason
    ]
    await decisions.note(db, shop_id, notes, now)
    return [held.get(one.id, one) for one in moves]


def _bound(
    shop: ShopWords, day_sum: Decimal, month_sum: Decimal, day: datetime, month: datetime
) -> tuple[str, datetime] | None:
    """The budget that this would exceed, and when it begins anew."""
    budget = shop.sms.budget
    if budget.month is not None and month_sum > budget.month.amount:
        return f"held by the budget for texts: {budget.month} a month", _first_of_next(month)
    if budget.day is not None and day_sum > budget.day.amount:
        return f"held by the budget for texts: {budget.day} a day", day + timedelta(days=1)
    return None


def _begins(now: datetime, shop: ShopWords) -> tuple[datetime, datetime]:
    """The first instants of this day and this month by the clock of the shop."""
    local = now.astimezone(zone_of("", shop.zone))
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return day, day.replace(day=1)


def _first_of_next(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)
