"""When a message may go out by the clock where the person lives: quiet hours, weekdays, part of the day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from rules.policy import Policy

HORIZON = 15
"""Days to look ahead: two weeks hold every weekday twice, so a change of clocks may swallow one."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """None for a name that is not in the time zone database."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


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


def next_allowed(policy: Policy, at: datetime, where: ZoneInfo) -> datetime | None:
    """The first instant from `at` on at which a message may go out; None if there is none within two weeks."""
    if allowed(policy, at.astimezone(where)):
        return at
    first = at.astimezone(where).date()
    for no in range(HORIZON):
        try:
            day = first + timedelta(days=no)
        except OverflowError:
            return None
        instants = sorted(instant for edge in _edges(policy) for instant in _instants(day, edge, where))
        for instant in instants:
            if instant > at and allowed(policy, instant.astimezone(where)):
                return instant
    return None


def ever_allowed(policy: Policy) -> bool:
    """Whether an ordinary week has a minute that quiet hours, days and part of the day leave."""
    monday = datetime(2024, 1, 1, tzinfo=UTC)
    return any(allowed(policy, monday + timedelta(minutes=no)) for no in range(7 * 24 * 60))


def _edges(policy: Policy) -> Iterator[time]:
    """Wall-clock times at which forbidden may turn into allowed."""
    yield time(0)
    if policy.quiet is not None:
        yield policy.quiet.end
    if policy.on.between is not None:
        yield policy.on.between.start


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
