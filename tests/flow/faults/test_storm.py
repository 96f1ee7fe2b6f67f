"""Everything dies again and again while twenty thousand messages are sent: workers, PostgreSQL and the bell."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass

import pytest

from daemon.clock import monotonic
from daemon.embedded import start
from daemon.migrate import migrate
from daemon.store.database import is_transient
from tests.conftest import FAST, named, on_server

MESSAGES, WORKERS, CONNECTIONS = 20_000, 4, 10
CLAIMED = 2 * CONNECTIONS
WAITING = "SELECT count(*) FROM message WHERE state IN ('planned', 'prepared', 'retry_wait', 'sending')"
BACKEND = """SELECT pid FROM pg_stat_activity
    WHERE application_name = 'tillbell' AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
LATER = "UPDATE message SET not_before = '2100-01-01', not_after = '2101-01-01'"
DUE = """
UPDATE message SET not_before = $2 WHERE id IN (SELECT id FROM message WHERE not_before >= '2100-01-01' LIMIT $1)
"""
STRIKES, SLICE = 3, 5_000
"""So often each kind of strike hits at least; so many messages are due from the beginning, and after each of those."""
LONGEST = 150
"""Seconds until the storm is over: on a busy machine the rest is sent in the calm."""
RECOVERED = 60
"""Seconds within which work goes on by itself."""


@pytest.fixture
async def own_servers(open_folder):
    """Servers that may be killed; whoever owns them starts them again."""
    async with await start(open_folder / "servers", settings=FAST) as running:
        yield running


@pytest.fixture
async def database(own_servers):
    await on_server(own_servers.database_url, "CREATE DATABASE storm TEMPLATE template0")
    await migrate(named(own_servers.database_url, "storm"))
    return named(own_servers.database_url, "storm")


@pytest.fixture
def redis_url(own_servers):
    return own_servers.redis_url


async def in_spite_of_all(ask):
    """The answer, however often the database goes away meanwhile."""
    async with asyncio.timeout(RECOVERED):
        while True:
            try:
                return await ask()
            except Exception as error:
                if not is_transient(error):
                    raise
            await asyncio.sleep(0.05)  # a server that recovers gives no signal


@dataclass
class Storm:
    """What strikes, and how often it has."""

    stage: object
    servers: object
    chance: random.Random
    workers: list
    struck: Counter

    def rounds(self):
        """How often each kind has struck."""
        return min(self.struck[name] for name in ("worker_killed", "database_crashed", "bell_killed"))

    async def every(self, low, high, strike):
        while True:
            await asyncio.sleep(self.chance.uniform(low, high))  # the fault itself: a random moment
            self.struck[strike.__name__] += await strike()

    async def worker_killed(self):
        under_way = (await self.stage.relay.ask("under_way"))["under_way"]
        busy = [one for one in self.workers if under_way.get(one.name)]
        if not busy:
            return 0
        victim = self.chance.choice(busy)
        victim.sends(signal.SIGKILL)
        self.workers.remove(victim)
        await self.supervised()
        return 1

    async def supervised(self):
        """Whoever is missing is started again. A worker ends by itself where the database is away while it starts."""
        self.workers[:] = [one for one in self.workers if one.lives()]
        while len(self.workers) < WORKERS:
            self.workers.append(await self.stage.worker())

    async def database_crashed(self):
        """One backend dies by force, so PostgreSQL ends all of them and recovers."""

        async def any_backend():
            return await self.stage.value(f"{BACKEND} ORDER BY random() LIMIT 1")

        victim = await in_spite_of_all(any_backend)
        if victim is None:  # none of them is back since the last time
            return 0
        os.kill(victim, signal.SIGKILL)
        return 1

    async def bell_killed(self):
        [valkey] = [one for one in self.servers.running if one.url == self.servers.redis_url]
        if valkey.process is None or valkey.process.poll() is not None:
            return 0
        valkey.process.kill()
        return 1


async def all_done(stage):
    """What the relay refused waits for a minute and what a dead worker had claimed for its lease: here that is over."""
    await stage.context.pool.execute("UPDATE message SET retry_real = NULL WHERE state = 'retry_wait'")
    return not await stage.value(WAITING)


@pytest.mark.long(320)
@pytest.mark.timeout(900)
async def test_twenty_thousand_messages_through_the_storm(make_stage, own_servers):
    stage = await make_stage(smtp_connections=str(CONNECTIONS), smtp_to_dot="3s", smtp_from_dot="5s")
    await stage.prepared(MESSAGES)
    await stage.relay.ask(delay=0.02, faults=0.1, pipelining=True)
    await stage.context.pool.execute(LATER)
    storm = Storm(stage, own_servers, random.Random(3), [await stage.worker() for _ in range(WORKERS)], Counter())
    strikes = [
        asyncio.create_task(storm.every(1.5, 3.0, storm.worker_killed)),
        asyncio.create_task(storm.every(6.0, 10.0, storm.database_crashed)),
        asyncio.create_task(storm.every(10.0, 10.0, storm.bell_killed)),
    ]
    began, due = monotonic(), 0

    async def nearly_done():
        nonlocal due
        while due <= min(storm.rounds(), STRIKES):
            await stage.context.pool.execute(DUE, SLICE, await stage.now())
            due += 1
        await stage.context.pool.execute("UPDATE message SET retry_real = NULL WHERE state = 'retry_wait'")
        return await stage.value(WAITING) <= CLAIMED * (storm.struck["worker_killed"] + WORKERS)

    def may_end():
        return due > STRIKES and monotonic() - began >= LONGEST

    while not await in_spite_of_all(nearly_done) and not may_end():
        assert not any(strike.done() for strike in strikes), [strike for strike in strikes if strike.done()]
        await asyncio.sleep(0.5)  # looks now and then, so as not to be a load itself
    for strike in strikes:
        strike.cancel()
    await asyncio.gather(*strikes, return_exceptions=True)

    async def quiet():
        await storm.supervised()
        under_way = (await stage.relay.ask("under_way"))["under_way"]
        return not under_way and set(await stage.states()) <= {"accepted", "unknown", "sending"}

    async def eventually(holds):
        return await in_spite_of_all(holds)

    await stage.until(lambda: eventually(lambda: all_tried(stage, quiet)), within=400)
    took = monotonic() - began
    await stage.leases_end()
    await stage.until(lambda: eventually(lambda: all_done(stage)), within=120)
    await accounts(stage, storm, took)


async def all_tried(stage, quiet):
    await stage.context.pool.execute("UPDATE message SET retry_real = NULL WHERE state = 'retry_wait'")
    return await quiet()


async def accounts(stage, storm, took):
    """The books beside what the relay counted."""
    told = await stage.relay.ask("taken", "ambiguous")
    states = await stage.states()
    copies = Counter(message_id for message_id, _, _ in told["taken"])
    moments = sorted(at for _, _, at in told["taken"])
    longest = max(later - sooner for sooner, later in itertools.pairwise(moments))
    unknown = states.get("unknown", 0)
    print(f"{dict(storm.struck)} in {took:.0f} s: {states}, {len(told['ambiguous'])} ambiguous at the relay")
    print(f"{len(copies)} taken, {len(told['taken']) - len(copies)} twice; the longest silence was {longest:.1f} s")
    assert {message for message, count in copies.items() if count > 1} == set()
    assert set(states) <= {"accepted", "unknown"}
    assert sum(states.values()) == MESSAGES
    assert len(copies) >= states["accepted"]
    # A fallen database leaves none: whoever handed over writes the outcome again until it is back.
    assert unknown <= CLAIMED * storm.struck["worker_killed"] + len(told["ambiguous"])
    assert longest < RECOVERED
    assert storm.rounds() >= STRIKES
    await stage.books_are_clean()
