"""The bell: Redis only rings. Without it the same work is done, and when it is back it rings again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from daemon import bell as module
from daemon.bell import MOST_RUNG, QUEUE, RUNG, UNHEARD, Bell, answer_rings
from daemon.clock import monotonic
from daemon.embedded import Servers, start
from daemon.worker import FLOW, Runner


class Counting(Runner):
    """Says when something was asked of it."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.asked: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    def start(self, name: str, shop_id: int) -> None:
        self.asked.put_nowait((name, shop_id))
        super().start(name, shop_id)


async def rings(bell: Bell, name: str, shop_id: int) -> None:
    """Until Redis has it: a busy machine may take longer to say so than a bell waits."""
    async with asyncio.timeout(60):
        while True:
            bell.retry_at = 0.0
            await bell.ring(name, shop_id)
            if not bell.retry_at:
                return


@pytest.fixture
async def valkey(open_folder: Any) -> AsyncIterator[Servers]:
    """One of this test alone, to be taken away."""
    async with await start(open_folder / "own", with_postgres=False, keep=False) as servers:
        yield servers


async def test_a_ring_reaches_a_worker_through_redis(town, valkey, monkeypatch):
    """The same again within the time of one id is one job, not two."""
    monkeypatch.setattr(module, "NEW_ID_EVERY", 1e9)  # no other begins while this test runs
    there = Counting(town.context)
    bell = Bell(town.context, None, valkey.redis_url)
    for _ in range(5):
        await rings(bell, "sweep", town.shop_id)
    assert bell.redis is not None
    assert await bell.redis.zcard(QUEUE) == 1
    answering = asyncio.create_task(answer_rings(town.context, there, valkey.redis_url))
    async with asyncio.timeout(60):
        assert await there.asked.get() == ("sweep", town.shop_id)
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    await there.rest()
    await bell.close()


async def test_who_listens_waits_for_a_ring_instead_of_looking_again_and_again(town, valkey):
    there = Counting(town.context)
    bell = Bell(town.context, None, valkey.redis_url)
    answering = asyncio.create_task(answer_rings(town.context, there, valkey.redis_url))
    async with Redis.from_url(valkey.redis_url) as client, asyncio.timeout(60):
        while not (await client.info("clients"))["blocked_clients"]:
            await asyncio.sleep(0.01)
        await rings(bell, "sweep", town.shop_id)
        assert await there.asked.get() == ("sweep", town.shop_id)
        while await client.llen(RUNG):  # who was looking just then takes it when it listens again
            await asyncio.sleep(0.01)
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    await there.rest()
    await bell.close()


async def test_rings_that_nobody_hears_do_not_pile_up(town, valkey):
    bell = Bell(town.context, None, valkey.redis_url)
    async with Redis.from_url(valkey.redis_url) as client:
        for shop_id in range(MOST_RUNG + 20):
            await rings(bell, "sweep", shop_id)
        assert await client.zcard(QUEUE) == MOST_RUNG + 20
        assert await client.llen(RUNG) == MOST_RUNG
    await bell.close()


async def test_redis_goes_and_comes_back(town, valkey):
    """It rings, then the work is done here, then it rings again; the one who answers survives all of it."""

    async def asks(name: str) -> None:
        while await runner.asked.get() != (name, town.shop_id):
            pass

    [server] = valkey.running
    context, runner = town.context, Counting(town.context)
    bell = Bell(context, runner, valkey.redis_url)
    bell.stepped = False
    answering = asyncio.create_task(answer_rings(context, runner, valkey.redis_url))
    async with asyncio.timeout(60):
        await bell.ring("sweep", town.shop_id)
        await asks("sweep")
        await server.stop()
        await bell.ring("react", town.shop_id)
        await asks("react")
        assert bell.retry_at > 0
        await server.start()
        bell.runner = None  # so it can only come through Redis
        await rings(bell, "decide", town.shop_id)
        await asks("decide")
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    await runner.rest()
    await bell.close()


async def test_who_listened_at_a_server_that_vanished_listens_at_its_successor(town, valkey, make_proxy):
    """It was told nothing, not even that the connection is gone."""
    there, line = Counting(town.context), await make_proxy(valkey.redis_url)
    bell = Bell(town.context, None, valkey.redis_url)
    answering = asyncio.create_task(answer_rings(town.context, there, line.before(valkey.redis_url)))
    async with Redis.from_url(valkey.redis_url) as client, asyncio.timeout(60):
        while not (await client.info("clients"))["blocked_clients"]:
            await asyncio.sleep(0.01)
        line.cut("down", fate="silence")
        await line.until(lambda: line.fired == 1)
        await rings(bell, "sweep", town.shop_id)
        assert await there.asked.get() == ("sweep", town.shop_id)
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    await there.rest()
    await bell.close()


async def test_what_rang_here_is_done_here_at_once(town):
    """A mail is not kept waiting for a queue when its worker is this very process."""
    await town.settles()  # so that nothing else rings at the same time
    runner = Counting(town.context)
    bell = Bell(town.context, runner, "redis://127.0.0.1:1")
    town.context.rung.add(("deliver", town.shop_id))
    town.context.rung.add(("no such work", town.shop_id))
    await bell.tick()
    assert runner.asked.get_nowait() == ("deliver", town.shop_id)  # before what is merely due
    assert "no such work" not in {runner.asked.get_nowait()[0] for _ in range(runner.asked.qsize())}
    await runner.rest()


async def test_rings_in_quick_succession_are_one_look_at_what_else_is_due(town):
    """A thousand mails ring a hundred times a second; what else is due has its look at the next tick."""
    await town.settles()
    runner = Counting(town.context)
    bell = Bell(town.context, runner, "")
    bell.stepped, bell.looked_at = False, monotonic() + 60
    town.context.stopping.set()  # so that nobody else looks at the same time
    await town.context.pool.execute("UPDATE work SET due_at = $1 WHERE name = 'sweep'", await town.now())
    town.context.rung.add(("deliver", town.shop_id))
    await bell.tick()
    assert runner.asked.get_nowait() == ("deliver", town.shop_id)
    assert runner.asked.empty()
    await bell.tick()  # nothing rang: it is the tick
    assert ("sweep", town.shop_id) in {runner.asked.get_nowait() for _ in range(runner.asked.qsize())}
    await runner.rest()


async def test_a_story_is_told_to_its_end_without_redis(make_town, make_buyer, unused_tcp_port):
    from pydantic import SecretStr

    town = await make_town(redis_url=SecretStr(f"redis://127.0.0.1:{unused_tcp_port}"))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=25)
    assert len(town.letters.taken) == 2
    await town.books_are_clean()


def test_every_work_has_a_row():
    from daemon.flow.shops import WORKS

    assert set(WORKS) == set(FLOW)


async def test_a_ring_that_was_taken_and_lost_is_made_up_for_here(town, valkey, monkeypatch):
    """Redis says yes and forgets: after two seconds the work is done without it."""
    seconds = [monotonic()]
    monkeypatch.setattr(module, "monotonic", lambda: seconds[0])
    runner = Counting(town.context)
    bell = Bell(town.context, runner, valkey.redis_url)
    bell.stepped = False
    await town.context.pool.execute("UPDATE work SET due_at = $1 WHERE name = 'sweep'", await town.now())
    key = ("sweep", town.shop_id)
    assert not bell._unheard(key)
    seconds[0] += UNHEARD
    assert bell._unheard(key)
    assert not bell._unheard(key)
    await bell.close()
