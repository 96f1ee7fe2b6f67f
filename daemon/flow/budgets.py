"""What a shop wants to spend on texts: the rules are told of it, and no claims together spend more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from daemon.context import Context
from daemon.flow import policies
from daemon.store import allowances, budgets, decisions
from daemon.store.database import Connection
from daemon.store.decisions import Note
from daemon.store.facts import Case
from daemon.store.messages import AtGate, Move
from rules.facts import Budget
from rules.hours import zone_of
from rules.policy import Step
from rules.shops import ShopWords

HELD = "held by the budget for texts: "


async def left(context: Context, shop_id: int, now: datetime) -> Budget | None:
    """As the rules are told of it; None: the shop has set none."""
    shop = context.words_of(shop_id)
    if shop.sms.budget.day is None and shop.sms.budget.month is None:
        return None
    day, month = _begins(now, shop)
    spent_day, spent_month = await budgets.spent(context.pool, shop_id, "sms", day, month)
    bound = _bound(shop, spent_day + shop.sms.costs, spent_month + shop.sms.costs, day, month)
    if bound is not None:
        return Budget(True, *bound)
    spans = ((shop.sms.budget.day, spent_day, "a day"), (shop.sms.budget.month, spent_month, "a month"))
    said = [f"{limit.amount - spent} of {limit} {span} are left" for limit, spent, span in spans if limit is not None]
    return Budget(False, ", ".join(said), day + timedelta(days=1))


async def free(context: Context, shop_id: int, now: datetime) -> int:
    """How many messages and recoveries wait for a budget that has room again, because the shop has raised it: they are
    looked at now."""
    if not context.words_of(shop_id).sms.costs:
        return 0
    budget = await left(context, shop_id, now)
    if budget is not None and budget.used_up:
        return 0
    return await budgets.free(context.pool, shop_id, "sms", now, HELD)


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
    """The moves without those that would cost more than the budget leaves: they are put off to its next day or month,
    or end where their time or their step says so; `why` tells of it once. The row that all claims of the shop wait for
    is taken here, so end the transaction soon."""
    shop = context.words_of(shop_id)
    goes = [one for one in moves if one.verdict == "go"]
    if channel != "sms" or not shop.sms.costs or not goes:
        return list(moves)
    await allowances.take(db, channel, [f"budget {shop_id}"])
    day, month = _begins(now, shop)
    spent_day, spent_month = await budgets.spent(db, shop_id, channel, day, month)
    parts = await budgets.parts(db, shop_id, [one.id for one in goes])
    over: dict[int, tuple[str, datetime]] = {}
    costs: dict[int, Decimal] = {}
    for one in goes:
        cost = shop.sms.costs * parts.get(one.id, 1)
        bound = _bound(shop, spent_day + cost, spent_month + cost, day, month)
        if bound is not None:
            over[one.id] = bound
            continue
        costs[one.id] = cost
        spent_day, spent_month = spent_day + cost, spent_month + cost
    await budgets.reserve(db, shop_id, costs)
    if not over:
        return list(moves)
    spoken = await policies.of_shop(context, db, shop_id, {case.policy_hash for case in cases.values()})
    news = [(one, cases[one.recovery_id]) for one in waiting if one.id in over]
    held = {one.id: _held(one, _step(one, case, spoken), *over[one.id]) for one, case in news}
    notes = [
        Note(
            one.recovery_id,
            "defer" if move.verdict == "defer" else "cancel",
            one.step,
            move.reason,
            case.facts_no,
            case.policy_hash,
            move.until,
        )
        for one, case in news
        if (move := held[one.id]).reason != one.reason
    ]
    await decisions.note(db, shop_id, notes, now)
    return [held.get(one.id, one) for one in moves]


def _held(one: AtGate, step: Step | None, said: str, until: datetime) -> Move:
    if step is not None and step.over_budget == "leave_out":
        return Move(one.id, "cancelled", f"the budget for texts is used up: {said}")
    if until > one.not_after:
        return Move(one.id, "expired", f"its time is over before this changes: the budget for texts is used up: {said}")
    return Move(one.id, "defer", f"{HELD}{said}", until)


def _step(one: AtGate, case: Case, spoken: policies.Policies) -> Step | None:
    return spoken.of(case.policy_name, case.policy_hash).step(one.step)


def _bound(
    shop: ShopWords, day_sum: Decimal, month_sum: Decimal, day: datetime, month: datetime
) -> tuple[str, datetime] | None:
    """The budget that this would exceed, and when it begins anew."""
    budget = shop.sms.budget
    if budget.month is not None and month_sum > budget.month.amount:
        return f"{budget.month} a month", _first_of_next(month)
    if budget.day is not None and day_sum > budget.day.amount:
        return f"{budget.day} a day", day + timedelta(days=1)
    return None


def _begins(now: datetime, shop: ShopWords) -> tuple[datetime, datetime]:
    """The first instants of this day and this month by the clock of the shop."""
    local = now.astimezone(zone_of("", shop.zone))
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return day, day.replace(day=1)


def _first_of_next(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)
