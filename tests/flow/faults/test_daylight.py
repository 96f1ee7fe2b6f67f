"""Where clocks are changed, each step goes out once, in time, and never by night."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from channels.base import Outcome
from daemon.shops.base import Customer
from daemon.store import work
from tests.flow.faults.small_world import World, confirmed, quiet_house, settings

EVERY = timedelta(seconds=5)
LATE = timedelta(seconds=10)
SPAN = timedelta(hours=48)
STEPS = {"remind": timedelta(hours=1), "doubts": timedelta(hours=5), "last-call": timedelta(hours=9)}
NIGHT = (time(23), time(2, 30))
"""It ends at an hour that some days do not have and others have twice."""
POLICY = """
legal: de
starts: {rests_for: 30m}
quiet: "23:00-02:30"
closes_after: 1h
steps:
  - {name: remind, send: email, after: 1h}
  - {name: doubts, send: email, after: 5h}
  - {name: last-call, send: email, after: 9h}
"""
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo")
PLANNED_ONCE = "plan_cache_mode=force_generic_plan"
"""Of what a tick asks, most is planning; 34,560 ticks ask the same."""
CHANGES = {
    "Berlin loses an hour": datetime(2026, 3, 29, 1, tzinfo=UTC),
    "Berlin gains an hour": datetime(2026, 10, 25, 1, tzinfo=UTC),
    "New York loses an hour": datetime(2026, 3, 8, 7, tzinfo=UTC),
    "New York gains an hour": datetime(2026, 11, 1, 6, tzinfo=UTC),
    "Lord Howe loses half an hour": datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    "Lord Howe gains half an hour": datetime(2026, 4, 4, 15, tzinfo=UTC),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
SENT = """
SELECT p.customer_ref AS who, p.zone, m.step, m.sending_at FROM message m JOIN person p ON p.id = m.person_id
WHERE m.shop_id = $1 AND m.state = 'accepted' ORDER BY m.sending_at
"""


def is_night(at: datetime, zone: str) -> bool:
    wall = at.astimezone(ZoneInfo(zone)).time()
    return wall >= NIGHT[0] or wall < NIGHT[1]


def first_good(at: datetime, zone: str) -> datetime:
    """Looked for minute by minute: it knows nothing of how clocks are changed."""
    while is_night(at, zone):
        at = (at + timedelta(minutes=1)).replace(second=0, microsecond=0)
    return at


def wanted(left_at: datetime, zone: str, end: datetime) -> dict[str, datetime]:
    """When each step of a cart has to go out; one that the night holds up until the next is due does not."""
    due = {step: left_at + after for step, after in STEPS.items()}
    follows = {"remind": due["doubts"], "doubts": due["last-call"], "last-call": due["last-call"] + timedelta(days=2)}
    good = {step: first_good(at, zone) for step, at in due.items()}
    return {step: at for step, at in good.items() if at < follows[step] and at < end}


async def lives(world: World, start: datetime, *, tick: bool) -> dict[str, tuple[datetime, str]]:
    """48 hours. Carts are left at all hours in every zone; `tick`: each five seconds are lived through."""
    left: dict[str, tuple[datetime, str]] = {}
    leaving = [start + number * timedelta(minutes=17 if tick else 131) for number in range(90 if tick else 12)]
    now, end = start, start + SPAN
    while now < end:
        await world.turns_to(now)
        if leaving and leaving[0] <= now:
            leaving.pop(0)
            for zone in ZONES:
                ref = str(len(left))
                left[ref] = (now, zone)
                await world.cart(ref, Customer(ref, f"p{ref}@example.org", zone=zone, consents=confirmed()), 1)
        await tend(world)
        instant = None if tick else await work.next_instant(world.context.pool, [world.shop_id], now)
        following = min([instant or end, *leaving[:1]])
        now += EVERY if tick else max(EVERY, -((now - following) // EVERY) * EVERY)
    return left


async def tend(world: World) -> None:
    """What the bell would ring for, until it is silent; the relay takes everything at once."""
    while await world.due():
        await world.plans()
        _, claims = await world.claims(64)
        if claims:
            await world.records([(one, Outcome("accepted", "2.0.0")) for one in claims])


async def live(database: str, folder: Any, change: datetime, *, tick: bool) -> None:
    start = change - timedelta(hours=20)
    url = f"{database}{'&' if '?' in database else '?'}{PLANNED_ONCE}"
    async with quiet_house(settings(folder, url, POLICY), url) as context:
        world = World(context)
        await world.begins(start)
        left = await lives(world, start, tick=tick)
        sent = await context.pool.fetch(SENT, world.shop_id)
        assert await world.contradictions() == []
    assert [row for row in sent if is_night(row["sending_at"], row["zone"])] == []
    steps = {(row["who"], row["step"]): row["sending_at"] for row in sent}
    assert len(steps) == len(sent), "a step went out twice"
    due = {(ref, step): at for ref, told in left.items() for step, at in wanted(*told, start + SPAN - LATE).items()}
    missing = {key: at for key, at in due.items() if key not in steps}
    assert missing == {}
    assert len(due) > 1.5 * len(left)
    late = max(steps[key] - at for key, at in due.items())
    early = min(steps[key] - at for key, at in due.items())
    assert timedelta(0) <= early
    assert late <= LATE


@every_change
async def test_each_step_goes_out_once_and_never_by_night(database: str, open_folder: Any, change: datetime) -> None:
    await live(database, open_folder, change, tick=False)


@pytest.mark.long
@pytest.mark.timeout(600)
@every_change
async def test_the_same_tick_by_tick(database: str, open_folder: Any, change: datetime) -> None:
    await live(database, open_folder, change, tick=True)
