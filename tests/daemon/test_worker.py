"""The worker: one work's fault is its own, and each work is done once at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from daemon.flow import enrol
from daemon.worker import FLOW, Runner
from tests.flow.conftest import Scripted


async def test_a_shop_that_raises_holds_up_nothing_else(town, make_buyer):
    shop = await town.polls()

    async def broken(*_):
        raise RuntimeError("a bug of the connector, at somebody@example.org")

    shop.carts = broken
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(minutes=10)
    [poll] = await town.fetch("SELECT * FROM work WHERE name = 'poll'")
    assert poll["problem"].startswith("RuntimeError (")
    assert poll["failures"] >= 1
    assert poll["rest_until_real"] is not None
    assert poll["holder"] is None

    # Meanwhile what was pushed is followed up as ever.
    await town.context.pool.execute("UPDATE work SET due_at = now() + interval '10 years' WHERE name = 'poll'")
    await town.passes(minutes=50)
    assert len(town.letters.taken) == 1

    # And when the shop works again, nothing is left of it.
    town.context.shops["main"] = Scripted(town.context.keeper.book.configs["main"])
    await town.context.pool.execute(
        "UPDATE work SET due_at = $1, rest_until_real = NULL WHERE name = 'poll'", await town.now()
    )
    await town.settles()
    [poll] = await town.fetch("SELECT * FROM work WHERE name = 'poll'")
    assert (poll["problem"], poll["failures"], poll["rest_until_real"]) == (None, 0, None)
    await town.books_are_clean()


async def test_carts_that_come_to_rest_meanwhile_are_gathered_for_the_next_look(town, make_buyer, monkeypatch):
    """Or with carts at rest all the time one would be enrolled after the other, and nothing else have its turn."""
    looks = 0

    async def counted(*asked):
        nonlocal looks
        looks += 1
        return await enrol.resting_carts(*asked)

    for number in range(3):
        await town.leaves_cart(f"c{number}", make_buyer(str(number)), "red")
    await town.passes(minutes=10)
    await town.context.pool.execute("UPDATE cart SET look_at = $1", await town.now())
    monkeypatch.setitem(FLOW, "enrol", replace(FLOW["enrol"], do=counted))
    runner = Runner(town.context)
    await runner.run("enrol", town.shop_id)
    assert await town.value("SELECT count(*) FROM cart WHERE look_at <= $1", await town.now()) == 0
    assert looks == 1


async def test_a_work_is_done_once_at_a_time_and_once_more_if_asked_meanwhile(town, monkeypatch):
    begun, go_on = asyncio.Event(), asyncio.Event()
    runs, at_once, most = 0, 0, 0

    async def slow(*_):
        nonlocal runs, at_once, most
        runs, at_once = runs + 1, at_once + 1
        most = max(most, at_once)
        begun.set()
        await go_on.wait()
        at_once -= 1
        return 0

    monkeypatch.setitem(FLOW, "enrol", FLOW["enrol"].__class__(slow))
    here, there = Runner(town.context), Runner(replace(town.context, process="there"))
    here.start("enrol", town.shop_id)
    await begun.wait()
    for _ in range(5):
        here.start("enrol", town.shop_id)
    await there.run("enrol", town.shop_id)  # another worker, while the row is ours: it goes away at once
    assert runs == 1
    go_on.set()
    await here.rest()
    assert (runs, most) == (2, 1)
    assert await town.value("SELECT holder FROM work WHERE name = 'enrol'") is None


async def test_work_of_a_worker_that_was_killed_is_taken_over_when_its_lease_is_over(town, make_buyer):
    take = "UPDATE work SET holder = 'gone', lease_until_real = clock_timestamp() + $1 WHERE name = 'enrol'"
    await town.context.pool.execute(take, timedelta(hours=1))
    runner = Runner(town.context)
    await runner.run("enrol", town.shop_id)
    assert await town.value("SELECT holder FROM work WHERE name = 'enrol'") == "gone"
    await town.context.pool.execute(take, timedelta(seconds=-1))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=1)
    assert len(town.letters.taken) == 1


async def test_work_of_a_shop_that_is_no_longer_there_is_nothing(town):
    runner = Runner(town.context)
    await runner.run("poll", 999)
    assert runner.running == {}


async def test_nothing_new_is_begun_while_stopping(town):
    town.context.stopping.set()
    runner = Runner(town.context)
    runner.start("enrol", town.shop_id)
    assert runner.running == {}
