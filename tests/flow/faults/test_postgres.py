"""PostgreSQL goes, comes, answers badly or not at all: nothing is sent twice or lost, and work goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from daemon.clock import monotonic
from daemon.embedded import start
from daemon.flow import deliver
from daemon.migrate import migrate
from daemon.store import clock
from daemon.store import database as store
from daemon.store.database import connect_pool, is_transient, transaction
from tests.flow.faults.hosts import DUE, LATER

SOON, SHARED = 10, 100
"""Seconds until the first claim, once PostgreSQL is well again; and so many times what a busy machine lets a process
wait that has next to nothing to do."""
READ_ONLY, TOO_MANY = "25006", "53300"
PATIENCE = 2.0
"""Seconds that a daemon waits for a free connection."""
WAITING = "SELECT count(*) FROM message WHERE state IN ('prepared', 'retry_wait') AND not_before < '2100-01-01'"


async def all_sent(stage, count, within=60):
    """Until every message was taken and recorded; each once."""

    async def done():
        return (await stage.states()).get("accepted", 0) == count

    await stage.until(done, within=within)
    taken = (await stage.relay.ask("taken"))["taken"]
    copies = Counter(address for _, address, _ in taken)
    assert [address for address, number in copies.items() if number > 1] == []
    assert len(copies) == count


def some(stage, count):
    async def accepted():
        return (await stage.states()).get("accepted", 0) >= count

    return accepted


async def works(stage, proxy):
    """A worker that reaches the database by way of this proxy; it has begun."""

    async def beats():
        return bool(await stage.value("SELECT count(*) FROM heartbeat"))

    worker = await stage.worker(TILLBELL_DATABASE_URL=proxy.before(stage.env["TILLBELL_DATABASE_URL"]))
    await stage.until(beats)
    return worker


@pytest.mark.parametrize(
    ("eaten", "messages", "within"),
    [
        pytest.param(8, 200, 60, id="eight answers to COMMIT are lost"),
        pytest.param(200, 2000, 300, id="two hundred answers to COMMIT are lost", marks=pytest.mark.long),
    ],
)
async def test_a_lost_answer_to_commit_costs_no_message_and_no_copy(eaten, messages, within, make_stage, make_proxy):
    """Every second, so that it meets all that is committed: one after the other, it would be the first of each try."""
    stage = await make_stage(smtp_connections="5")
    await stage.prepared(messages)
    proxy = await make_proxy(stage.env["TILLBELL_DATABASE_URL"])
    await stage.context.pool.execute(LATER)
    await works(stage, proxy)
    proxy.eat(b"COMMIT;", times=eaten, sparing=1)
    await stage.context.pool.execute(DUE, messages, await stage.now())
    await all_sent(stage, messages, within)
    assert proxy.eaten == eaten
    assert await stage.value("SELECT max(tries) FROM message") == 1
    await stage.no_deadlocks()
    await stage.books_are_clean()


async def test_what_was_claimed_too_long_ago_is_given_back_and_not_called_unknown(make_stage, make_proxy, monkeypatch):
    """The answer to COMMIT took longer than the word of the gate holds."""
    stage = await make_stage()
    await stage.prepared(5)
    proxy = await make_proxy(stage.env["TILLBELL_DATABASE_URL"])
    pool = await connect_pool(proxy.before(stage.env["TILLBELL_DATABASE_URL"]), 2)
    context = replace(stage.context, pool=pool, deliveries={})
    monkeypatch.setattr(deliver, "GATE_HOLDS", timedelta())
    try:
        proxy.eat(b"COMMIT;")
        assert await deliver.claim(context, stage.shop_id, "email", await stage.now(), 5) == (5, [])
        assert proxy.eaten == 1
        await deliver.drain(context)
        assert await stage.states() == {"retry_wait": 5}
    finally:
        pool.terminate()


@pytest.fixture
async def own_postgres(open_folder):
    """A server of this test alone, migrated, to be stopped and started."""
    settings = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
    async with await start(open_folder / "own", with_valkey=False, keep=False, settings=settings) as servers:
        await migrate(servers.database_url)
        yield servers


async def test_backends_that_are_killed_in_the_middle_cost_nothing(make_stage, make_proxy):
    """The line to the database is slow, so each transaction is met; and there is always something to do."""
    stage = await make_stage(smtp_connections="5")
    await stage.prepared(200)
    await stage.relay.ask(delay=0.01)
    await stage.context.pool.execute(LATER)
    proxy = await make_proxy(stage.env["TILLBELL_DATABASE_URL"], latency=0.01)
    await works(stage, proxy)
    await stage.context.pool.execute(DUE, 10, await stage.now())
    await stage.until(some(stage, 10))
    kill = """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'tillbell' AND pid <> pg_backend_pid()
            AND xact_start IS NOT NULL AND state <> 'idle'
    """
    killed = 0

    async def enough():
        nonlocal killed
        if not await stage.value(WAITING):
            await stage.context.pool.execute(DUE, 20, await stage.now())
        killed += await stage.value(kill)
        return killed >= 5

    await stage.until(enough)
    proxy.latency = 0.0
    await stage.context.pool.execute(DUE, 200, await stage.now())
    await all_sent(stage, 200)
    await stage.books_are_clean()


async def soon(stage):
    late = (await stage.relay.ask("late"))["late"]
    return SOON + SHARED * max(late, default=0.0)


async def first_claim(stage, messages):
    """Seconds from now until the next claim is committed."""
    began, fence = monotonic(), None

    async def claims():
        nonlocal fence
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            newest = await stage.value("SELECT last_value FROM fence")
            fence = newest if fence is None else fence
            return newest > fence or (await stage.states()).get("accepted") == messages
        return False

    await stage.until(claims)
    after = monotonic() - began
    print(f"first claim {after:.1f} s after PostgreSQL was well again")
    return after


def says(worker, sqlstate, after=0):
    """So that one can wait until PostgreSQL has refused this worker with that code once more."""

    async def holds():
        return worker.log.read_text().count(sqlstate) > after

    return holds


@pytest.mark.parametrize(
    ("seconds", "messages"),
    [
        pytest.param(2, 300, id="for two seconds"),
        pytest.param(20, 3000, id="for twenty seconds", marks=pytest.mark.long),
    ],
)
async def test_postgres_is_stopped_and_comes_back(seconds, messages, make_stage, own_postgres):
    """In the middle of the work. The first claim is made within ten seconds, by the same process."""
    stage = await make_stage(database_url=own_postgres.database_url, smtp_connections="5")
    await stage.prepared(messages)
    await stage.relay.ask(delay=0.02)
    worker = await stage.worker()

    await stage.until(some(stage, 20))
    [server] = own_postgres.running
    await server.stop()
    await asyncio.sleep(seconds)  # the fault itself: how long it is away
    await server.start()
    after = await first_claim(stage, messages)
    assert seconds < 20 or after <= await soon(stage)
    assert worker.lives()
    await all_sent(stage, messages, within=90)
    await stage.books_are_clean()


@pytest.mark.long
async def test_a_server_that_became_read_only_is_waited_for(make_stage):
    """As after a failover: what is written is refused, until the address leads to one that may write."""
    stage, messages = await make_stage(smtp_connections="5"), 600
    await stage.prepared(messages)
    name = await stage.value("SELECT current_database()")
    await stage.relay.ask(delay=0.1)
    worker = await stage.worker()

    await stage.until(some(stage, 10))
    await stage.value(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await stage.value(BREAK_OFF)
    await stage.until(says(worker, READ_ONLY))
    await stage.until(quiet(stage))
    assert (await stage.states()).get("accepted", 0) < messages
    refused = worker.log.read_text().count(READ_ONLY)
    await stage.until(says(worker, READ_ONLY, after=refused))  # it has tried again since nothing was under way
    assert (await stage.relay.ask("under_way"))["under_way"] == {}
    async with stage.context.pool.acquire() as db:
        await db.execute("SET default_transaction_read_only = off")
        await db.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    assert await first_claim(stage, messages) <= await soon(stage)
    await all_sent(stage, messages)
    assert worker.lives()
    await stage.books_are_clean()


def quiet(stage):
    async def nothing_under_way():
        return (await stage.relay.ask("under_way"))["under_way"] == {}

    return nothing_under_way


BREAK_OFF = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'tillbell' AND pid <> pg_backend_pid()
"""


@pytest.mark.long
async def test_too_many_connections_are_waited_for(make_stage):
    """A worker that gets two connections does with two, and with none for a while."""
    stage, messages = await make_stage(smtp_connections="5"), 300
    await stage.prepared(messages)
    await stage.relay.ask(delay=0.1)
    url = stage.env["TILLBELL_DATABASE_URL"]
    role = f"guest_{await stage.value('SELECT current_database()')}"
    await stage.value(f"CREATE ROLE {role} LOGIN PASSWORD 'guest' CONNECTION LIMIT 2 IN ROLE tillbell")
    end = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{role}'"
    try:
        account, _, place = url.partition("@")
        worker = await stage.worker(TILLBELL_DATABASE_URL=f"postgresql://{role}:guest@{place}")
        assert account

        await stage.until(some(stage, 10))
        await stage.value(f"ALTER ROLE {role} CONNECTION LIMIT 0")
        await stage.value(end)
        refused = worker.log.read_text().count(TOO_MANY)  # with two it is refused a third now and then
        await stage.until(quiet(stage))
        await stage.until(says(worker, TOO_MANY, after=refused))
        assert (await stage.states()).get("accepted", 0) < messages
        assert await stage.value(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'") == 0
        await stage.value(f"ALTER ROLE {role} CONNECTION LIMIT 2")
        assert await first_claim(stage, messages) <= await soon(stage)
        await all_sent(stage, messages, within=120)
        assert worker.lives()
        await stage.books_are_clean()
        worker.sends(signal.SIGKILL)
    finally:
        await stage.value(end)
        await stage.value(f"DROP ROLE {role}")


async def test_fifty_slow_tasks_on_two_connections_wait_two_seconds_and_no_longer(database, monkeypatch):
    """Whoever gets none is told so: an error that passes. Nothing hangs, and afterwards all is as before."""
    monkeypatch.setattr(store, "PATIENCE", PATIENCE)
    pool = await connect_pool(database, 2)
    try:
        began = monotonic()
        waits = []

        async def slow(number):
            try:
                if number % 2:
                    return await clock.sql.shop_now(pool)
                async with transaction(pool) as db:
                    return await db.fetchval("SELECT 1 FROM pg_sleep(3)")
            except Exception as error:
                waits.append((monotonic() - began, error))
                return None

        done = await asyncio.gather(*(slow(number) for number in range(0, 50)))
        assert sum(one is not None for one in done) >= 2
        assert len(waits) >= 40
        assert all(is_transient(error) for _, error in waits)
        last = max(after for after, _ in waits)
        print(f"{len(waits)} of 50 told to come again, the last after {last:.2f} s")
        assert PATIENCE <= last <= 10 * PATIENCE
        assert await pool.fetchval("SELECT 1") == 1
    finally:
        pool.terminate()
