"""Whether what passed the gate also fits what the relay and the providers of mailboxes allow, all workers together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from channels.base import Message, Outcome
from daemon.context import Context
from daemon.rates import DomainRate, Rate, rate_of
from daemon.store import allowances, messages
from daemon.store.allowances import Allowance
from daemon.store.database import Connection
from daemon.store.messages import AtGate, Move
from rules.shops import WarmUp

NEAR = timedelta(seconds=0.4)
"""A place in the line this near is waited for by the sender; whoever is further back comes again at their time."""
SPARE = 1.05
"""Places lie a little further apart than the rate says, so that a late mail does not make a second too full."""
IDLE = timedelta(seconds=1)
HOUR, DAY, HOURS = 3600, timedelta(days=1), 25
"""Hours are counted whole: 25 of them hold any 24 hours."""
SPARED_FOR = timedelta(minutes=5)
BATCH = 5_000
ASKED_FOR_LESS = ("421 4.7", "450 4.2.1", "451 4.7.5", "451 4.7.6", "452 4.3.1", "452 4.2.1")
"""Beginnings of what providers say to too many mails: Gmail 421 4.7.0 and .28 and 450 4.2.1, Outlook 451 4.7.5xx and
4.7.6xx, Yahoo 421 4.7.0. Greylisting (451 4.7.1, 450 4.7.1) is not among them."""

LINE = re.compile(r"held by the allowance of (?P<name>.+): \d+/[smh]")
WARMTH = re.compile(r"held by the warm-up of .+: at most \d+ mails on day (?P<day>\d+)")


@dataclass(frozen=True, slots=True)
class Plan:
    """What bounds one shop's messages on one channel."""

    per_day: int = 0
    domains: tuple[DomainRate, ...] = ()
    warm_up: WarmUp | None = None
    sender: str = ""
    """Domain that the mails come from."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A message that may leave, if there is room for it."""

    id: int
    domain: str
    rehearsal: bool = False
    came_back: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """It goes, so many seconds from now."""

    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Rest:
    """It does not fit; it is looked at again after `rests_for`."""

    reason: str
    rests_for: timedelta


def plan_of(context: Context, shop_id: int, channel: str) -> Plan | None:
    """None: nothing but the relay's rate, which costs the claim nothing."""
    if channel != "email":
        return None
    settings, shop = context.settings, context.keeper.book.shops[context.shop_name(shop_id)]
    warm_up = shop.sender.warm_up if shop.sender and shop.mode == "live" else None
    if not (settings.smtp_per_day or settings.smtp_domain_rates or warm_up):
        return None
    domain = shop.sender.address.rpartition("@")[2] if shop.sender else ""
    return Plan(settings.smtp_per_day, settings.smtp_domain_rates, warm_up, domain)


async def reserve(db: Connection, channel: str, plan: Plan, wishes: Sequence[Wish]) -> dict[int, Place | Rest]:
    """Rooms are taken as the last of all locks, so end the transaction soon: other claims wait for it."""
    names = {name for wish in wishes for name in _names(plan, wish)}
    rows = await allowances.take(db, channel, sorted(names)) if names else {}
    found = allot(plan, wishes, rows)
    await allowances.settle(db, channel, list(rows.values()))
    return found


def allot(plan: Plan, wishes: Sequence[Wish], rows: Mapping[str, Allowance]) -> dict[int, Place | Rest]:
    """Who gets a place, and who comes again when. Changes the rows."""
    found: dict[int, Place | Rest] = {}
    for wish in wishes:
        names = _names(plan, wish)
        rest = next((rest for name in names if name in ("day",) and (rest := _day(plan, rows[name]))), None)
        rest = rest or next((rest for name in names if _warms(name) and (rest := _warmth(plan, rows[name]))), None)
        place: Place | Rest = rest or Place()
        if rest is None:
            for name in names:
                if name.startswith("domain "):
                    place = _line(plan, wish, rows[name])
        if isinstance(place, Place):
            for name in names:
                _count(rows[name])
        found[wish.id] = place
    return found


async def within(
    db: Connection,
    shop_id: int,
    channel: str,
    plan: Plan,
    moves: Sequence[Move],
    addresses: Mapping[int, str],
    waiting: Mapping[int, AtGate],
    now: datetime,
) -> tuple[list[Move], dict[int, float]]:
    """The moves that are left to do, those that do not fit resting, and the seconds until the place of each that has to
    wait for it. All other moves are done here, before: no other claim waits longer for the allowances than the few
    statements from here to the end of the transaction."""
    goes = [one for one in moves if one.verdict == "go"]
    await messages.move(db, shop_id, [one for one in moves if one.verdict != "go"], now, timedelta())
    wishes = [
        Wish(one.id, domain_of(addresses[one.id]), waiting[one.id].rehearsal, waiting[one.id].came_back) for one in goes
    ]
    found = await reserve(db, channel, plan, wishes)
    left = [_move(one, found[one.id]) for one in goes]
    return left, {one: place.wait for one, place in found.items() if isinstance(place, Place) and place.wait}


def _move(go: Move, place: Place | Rest) -> Move:
    return go if isinstance(place, Place) else Move(go.id, "rest", place.reason, rests_for=place.rests_for)


async def free(context: Context, shop_id: int) -> int:
    """How many messages are held by what is no longer the rule: they are looked at again now. Asked by each process
    when it has read its settings and rules; one that still has the old ones holds them once more."""
    freed = 0
    for channel in context.channels:
        plan = plan_of(context, shop_id, channel) or Plan()
        held = [one.reason for one in await allowances.held(context.pool, shop_id) if one.channel == channel]
        old = [reason for reason in held if not holds(plan, reason)]
        if not old:
            continue
        lines = [f"domain {found['name']}" for reason in old if (found := LINE.fullmatch(reason))]
        await allowances.forget_lines(context.pool, channel, lines)
        while number := await allowances.free(context.pool, shop_id, channel, old, BATCH):
            freed += number
    return freed


def holds(plan: Plan, reason: str) -> bool:
    """Whether this would still be said of a message that does not fit."""
    if found := LINE.fullmatch(reason):
        known = rate_of(found["name"], plan.domains)
        return known is not None and reason == _held_in_line(*known)
    if found := WARMTH.fullmatch(reason):
        warm_up, day = plan.warm_up, int(found["day"])
        limit = warm_up.limit(day) if warm_up else None
        return limit is not None and reason == _held_by_warmth(plan, limit, day)
    return bool(plan.per_day) and reason == _held_by_day(plan)


def _held_in_line(name: str, rate: Rate) -> str:
    return f"held by the allowance of {name}: {rate}"


def _held_by_day(plan: Plan) -> str:
    return f"held by the allowance of the relay: {plan.per_day} in 24 hours"


def _held_by_warmth(plan: Plan, limit: int, day: int) -> str:
    return f"held by the warm-up of {plan.sender}: at most {limit} mails on day {day}"


def _names(plan: Plan, wish: Wish) -> list[str]:
    """The rows that a message is counted in."""
    known = rate_of(wish.domain, plan.domains)
    return [
        *(["day"] if plan.per_day else []),
        *([f"domain {known[0]}"] if known else []),
        *([f"warm-up {plan.sender}"] if plan.warm_up and not wish.rehearsal else []),
    ]


def _warms(name: str) -> bool:
    return name.startswith("warm-up ")


def _day(plan: Plan, row: Allowance) -> Rest | None:
    hour = _hour(row.at)
    used = Counter[int]()
    for key, count in (row.used or {}).items():
        if int(key) > hour - HOURS:
            used[min(int(key), hour)] += count  # an hour of the future is one of a clock that was put back
    row.used = {str(key): count for key, count in sorted(used.items())}
    if sum(used.values()) < plan.per_day:
        return None
    ends = datetime.fromtimestamp((min(used) + HOURS) * HOUR, row.at.tzinfo)
    return Rest(_held_by_day(plan), ends - row.at)


def _warmth(plan: Plan, row: Allowance) -> Rest | None:
    assert plan.warm_up is not None
    day = _age(row)
    limit = plan.warm_up.limit(day)
    if limit is None or (row.used or {}).get(str(day), 0) < limit:
        return None
    return Rest(_held_by_warmth(plan, limit, day), row.since_real + day * DAY - row.at)


def _age(row: Allowance) -> int:
    return max(0, (row.at - row.since_real).days) + 1


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // HOUR


def _count(row: Allowance) -> None:
    """One more, under the number of its hour or day; a line has its places instead."""
    if row.name == "day" or _warms(row.name):
        key = str(_hour(row.at) if row.name == "day" else _age(row))
        keep = row.used or {} if row.name == "day" else {key: (row.used or {}).get(key, 0)}
        row.used = {**keep, key: keep.get(key, 0) + 1}


def _line(plan: Plan, wish: Wish, row: Allowance) -> Place | Rest:
    """The next place of the line, if it is near and nobody else's. Who comes later goes to its end."""
    known = rate_of(wish.domain, plan.domains)
    assert known is not None
    name, rate = known
    each = _spaced(rate, row)
    free = max(min(row.next_real or row.at, row.at + NEAR + each), row.at)  # no place is given further ahead
    queued = row.queue_real is not None and row.queue_real > row.at + NEAR
    idle = row.next_real is None or row.at - row.next_real > max(IDLE, 5 * each)
    if free - row.at <= NEAR and (wish.came_back or not queued or idle):
        row.next_real = free + each
        return Place((free - row.at).total_seconds())
    row.queue_real = max(row.queue_real or free, free) + each
    return Rest(_held_in_line(name, rate), row.queue_real - row.at)


def _spaced(rate: Rate, row: Allowance) -> timedelta:
    """The time between two mails; a provider that complained gets back to its rate step by step."""
    while row.slowed > 1 and row.slowed_until_real is not None and row.at > row.slowed_until_real:
        row.slowed /= 2
        row.slowed_until_real += SPARED_FOR
    row.slowed = max(1.0, row.slowed)
    return rate.each * SPARE * row.slowed


def domain_of(address: str) -> str:
    """In the letters that DNS has; one that no mail can go to as it is written, for the channel to refuse."""
    domain = address.rpartition("@")[2].casefold()
    try:
        return domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        return domain


async def heed(context: Context, channel: str, group: Sequence[tuple[Message, Outcome]]) -> None:
    """A provider that asked for less gets less for a while."""
    if not (rates := context.settings.smtp_domain_rates):
        return
    domains = {
        domain_of(message.address)
        for message, outcome in group
        if outcome.state == "retry_wait" and outcome.code.startswith(ASKED_FOR_LESS)
    }
    names = [f"domain {known[0]}" for domain in domains if (known := rate_of(domain, rates))]
    if names:
        await allowances.slow_down(context.pool, channel, names, SPARED_FOR)
