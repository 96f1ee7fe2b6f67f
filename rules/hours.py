"""When a message may go out by the clock where the person lives: the hours of the policy, and those of the law."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rules.law import Clock, Week, zone
from rules.policy import Policy

HORIZON = 15
"""Days to look ahead: two weeks hold every weekday twice, so a change of clocks may swallow one."""
__all__ = ["DAYS", "HORIZON", "allowed", "ever_allowed", "next_allowed", "next_forbidden", "zone", "zone_of"]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def zone_of(person: str, shop: str) -> ZoneInfo:
    """The person's, else the shop's, else UTC."""
    return zone(person) or zone(shop) or ZoneInfo("UTC")


def allowed(policy: Policy, local: datetime) -> bool:
    """Whether the wall clock lets a message out."""
    wall = local.time()
    if policy.quiet is not None and policy.quiet.holds(wall):
        return False
    if policy.on.between is not None and not policy.on.between.holds(wall):
        return False
    return DAYS[local.weekday()] in policy.on.days


def next_allowed(policy: Policy, at: datetime, where: ZoneInfo, clocks: Sequence[Clock] = ()) -> datetime | None:
    """The first instant from `at` on at which a message may go out; None if there is none within two weeks.

    `where`: the zone by which the policy counts. `clocks`: those of the law, all of which must stand within hours.
    """

    def holds(instant: datetime) -> bool:
        return allowed(policy, instant.astimezone(where)) and all(
            clock.week.holds(instant.astimezone(clock.where)) for clock in clocks
        )

    if holds(at):
        return at
    openings = [_openings(at, where, lambda _: _edges(policy))]
    openings += [_openings(at, clock.where, clock.week.edges) for clock in clocks]
    return next((instant for instant in heapq.merge(*openings) if instant > at and holds(instant)), None)


def next_forbidden(policy: Policy, at: datetime, where: ZoneInfo, clocks: Sequence[Clock] = ()) -> datetime | None:
    """The first instant from `at` on at which no message may go out; None if there is none within two weeks."""
    if next_allowed(policy, at, where, clocks) != at:
        return at
    endings = [_openings(at, where, lambda _: _ends(policy))]
    endings += [_openings(at, clock.where, clock.week.ends) for clock in clocks]
    return next(
        (
            instant
            for instant in heapq.merge(*endings)
            if instant > at and next_allowed(policy, instant, where, clocks) != instant
        ),
        None,
    )


def ever_allowed(policy: Policy, weeks: Sequence[Week] = ()) -> bool:
    """Whether an ordinary week has a minute that quiet hours, days, part of the day and the law's hours leave."""
    monday = datetime(2024, 3, 4, tzinfo=UTC)
    return any(
        allowed(policy, minute) and all(week.holds(minute) for week in weeks)
        for minute in (monday + timedelta(minutes=no) for no in range(7 * 24 * 60))
    )


def _openings(at: datetime, where: ZoneInfo, edges: Callable[[date], Iterator[time]]) -> Iterator[datetime]:
    """Instants in their order at which one clock may turn from forbidden to allowed."""
    first = at.astimezone(where).date()
    for no in range(HORIZON):
        try:
            day = first + timedelta(days=no)
        except OverflowError:
            return
        yield from sorted(instant for edge in edges(day) for instant in _instants(day, edge, where))


def _edges(policy: Policy) -> Iterator[time]:
    """Wall-clock times at which forbidden may turn into allowed."""
    yield time(0)
    if policy.quiet is not None:
        yield policy.quiet.end
    if policy.on.between is not None:
        yield policy.on.between.start


def _ends(policy: Policy) -> Iterator[time]:
    """Wall-clock times at which allowed may turn into forbidden."""
    yield time(0)
    if policy.quiet is not None:
        yield policy.quiet.start
    if policy.on.between is not None:
        yield policy.on.between.end


def _instants(day: date, wall: time, where: ZoneInfo) -> Iterator[datetime]:
    """When the clock shows that time on that day: twice when it is put back, at the jump when it is skipped."""
    shown = datetime.combine(day, wall, where)
    early, late = (shown.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if early <= late:
        yield from {early, late}
        if early < late:
            yield _jump(early, late, where)
    else:
        yield _jump(late, early, where)


def _jump(before: datetime, after: datetime, where: ZoneInfo) -> datetime:
    """The instant between two at which the clock is changed, to the second."""
    old = before.astimezone(where).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(where).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
