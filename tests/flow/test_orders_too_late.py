"""A policy does not write to people whose orders are still on their way to us."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.flow import lateness
from daemon.flow.shops import open_shops
from daemon.store import brake, survey
from daemon.store.brake import Scope
from daemon.store.survey import Lateness
from rules.reader import read_policy
from tests.flow.conftest import SHOPS

HOUR = timedelta(hours=1)
POLICY = read_policy("extends: default\nsteps: [{name: remind, after: 1h}]", "main.yaml", "main").policy


@pytest.mark.parametrize(
    ("seen", "forgiven", "expected"),
    [
        pytest.param(Lateness(50, 2 * HOUR), 0 * HOUR, ["main"], id="orders later than the first step"),
        pytest.param(Lateness(50, HOUR), 0 * HOUR, [], id="as late as the first step"),
        pytest.param(Lateness(4, 9 * HOUR), 0 * HOUR, [], id="four orders say nothing"),
        pytest.param(Lateness(50, 2 * HOUR), HOUR, [], id="late only between our looks, and asked before each mail"),
    ],
)
def test_too_early(seen, forgiven, expected):
    assert list(lateness.too_early([POLICY], seen, forgiven)) == expected


@pytest.fixture
async def known_town(make_town):
    """A town that tillbell has known for a day."""

    async def make(*words):
        town = await make_town(*words)
        await town.context.pool.execute("UPDATE shop SET added_at = $1", await town.now() - timedelta(days=1))
        return town

    return make


async def late_orders(town, make_buyer, number: int, ago: timedelta, first: int = 0) -> None:
    for each in range(first, first + number):
        await town.buys(f"o{each}", make_buyer(f"late{each}"), ago=ago)


async def paused(town) -> list[str]:
    return [one.reason for one in await brake.pauses(town.context.pool, await town.now())]


async def test_a_policy_waits_while_orders_come_later_than_its_first_step(known_town, make_buyer):
    town = await known_town()
    await late_orders(town, make_buyer, 6, 3 * HOUR)
    await town.passes(minutes=1)
    assert await paused(town) == ["orders reach us up to 3 h late, and its first step comes after 1 h"]
    await town.leaves_cart("c1", make_buyer("ada"), "red")
    await town.passes(hours=2)
    assert town.letters.taken == []
    assert any("orders reach us" in because for because in await town.because())
    await town.buys("o9", make_buyer("ada"), ago=HOUR)
    await town.passes(hours=1)
    assert town.letters.taken == []
    await town.books_are_clean()


async def test_it_goes_on_when_orders_come_in_time(known_town, make_buyer):
    town = await known_town()
    await late_orders(town, make_buyer, 5, 3 * HOUR)
    await town.passes(minutes=1)
    assert len(await paused(town)) == 1
    await town.leaves_cart("c1", make_buyer("ada"), "red")
    await late_orders(town, make_buyer, 50, timedelta(minutes=2), first=10)
    await town.passes(hours=1, minutes=5)
    assert await paused(town) == []
    assert len(town.letters.of("ada@example.org")) == 1


async def test_who_resumes_it_has_it_measured_anew(known_town, make_buyer):
    town = await known_town()
    await late_orders(town, make_buyer, 5, 3 * HOUR)
    await town.passes(minutes=1)
    await brake.resume(town.context.pool, [town.shop_id], Scope("main"), await town.now())
    await town.passes(minutes=1)
    assert await paused(town) == []
    assert (await survey.lateness(town.context.pool, town.shop_id)).orders == 0
    await late_orders(town, make_buyer, 5, 3 * HOUR, first=10)
    await town.passes(minutes=1)
    assert len(await paused(town)) == 1


async def test_a_rehearsal_is_not_held_and_the_switch_to_live_is(known_town, make_buyer):
    town = await known_town(SHOPS.replace("mode: live", "mode: rehearsal\n    rehearsal_to: me@shop.example"))
    await late_orders(town, make_buyer, 6, 3 * HOUR)
    await town.passes(minutes=1)
    assert await paused(town) == []
    (town.context.settings.rules_dir / "shops.yaml").write_text(SHOPS.format(holdout="0%"))
    assert town.context.keeper.reload()
    await open_shops(town.context)
    assert len(await paused(town)) == 1
    await town.leaves_cart("c1", make_buyer("ada"), "red")
    await town.passes(hours=2)
    assert town.letters.of("ada@example.org") == []


async def test_orders_from_before_us_say_nothing(known_town, make_buyer):
    town = await known_town()
    await late_orders(town, make_buyer, 8, timedelta(days=30))
    await town.passes(minutes=1)
    assert await paused(town) == []
