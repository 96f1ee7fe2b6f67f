"""A database that says nothing at all: every wait ends, and a commit into silence counts as unanswered."""

from __future__ import annotations

import asyncio
import socket

import asyncpg
import pytest

from daemon.clock import monotonic
from daemon.store.database import (
    GRACE,
    PATIENCE,
    VANISHED,
    Unanswered,
    again,
    connect,
    connect_pool,
    is_transient,
    transaction,
)

LIMIT = 2.0
SLACK = 40.0
"""Seconds that a busy machine may add; without a limit it would be for ever."""


@pytest.fixture
async def distant(database, make_proxy, monkeypatch):
    """A pool of three open connections, and the line to the server."""
    monkeypatch.setattr("daemon.store.database.PATIENCE", PATIENCE)
    line = await make_proxy(database)
    pool = await connect_pool(line.before(database), 3, limit=LIMIT)
    await asyncio.gather(*(pool.fetchval("SELECT 1 FROM pg_sleep(0.2)") for _ in range(3)))
    yield pool, line
    pool.terminate()


async def one_statement(pool):
    await pool.fetchval("SELECT 1")


async def one_transaction(pool):
    async with transaction(pool) as db:
        await db.execute("SELECT 1")


async def one_body(pool):
    async def body(db):
        return await db.fetchval("SELECT 1")

    await again(pool, body)


async def timed(doing):
    """What it raised, and after how many seconds."""
    began = monotonic()
    try:
        await doing
    except Exception as error:
        return error, monotonic() - began
    return None, monotonic() - began


async def test_no_wait_for_a_silent_server_lasts_longer_than_its_limit_and_a_few_seconds(distant):
    pool, line = distant
    ways = (one_statement, one_transaction, one_body)
    line.hold()
    for error, after in await asyncio.gather(*(timed(way(pool)) for way in (*ways, one_statement))):
        assert is_transient(error)  # the fourth gets no connection
        assert after <= LIMIT + GRACE + PATIENCE + SLACK
    line.release()
    for way in ways:
        await way(pool)


async def test_a_commit_into_silence_is_unanswered_and_in_time(distant):
    pool, line = distant

    async def body(db):
        await db.execute("SELECT 1")
        line.hold()
        return "claimed"

    error, after = await timed(again(pool, body))
    assert isinstance(error, Unanswered)
    assert error.result == "claimed"
    assert after <= LIMIT + GRACE + PATIENCE + SLACK


async def test_who_stops_waiting_for_a_silent_server_is_let_go(distant):
    pool, line = distant

    async def body(db):
        line.hold()
        await db.execute("SELECT 1")

    async def impatient():
        async with asyncio.timeout(0.2):
            await again(pool, body)

    error, after = await timed(impatient())
    assert isinstance(error, TimeoutError)
    assert after <= 0.2 + PATIENCE + SLACK


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(distant):
    pool, _ = distant
    with pytest.raises(asyncpg.QueryCanceledError) as raised:
        await pool.fetchval("SELECT 1 FROM pg_sleep(30)")
    assert is_transient(raised.value)
    assert await pool.fetchval("SELECT 1") == 1


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system's kernel knows no such limit")
async def test_a_host_that_vanished_is_noticed_by_our_kernel(distant):
    pool, _ = distant
    async with pool.acquire() as connection:
        line = connection._transport.get_extra_info("socket")
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5


async def test_a_host_of_ours_that_vanished_is_noticed_by_the_server(database):
    """Else it would keep persons locked for a quarter of an hour, and what it was migrating for two hours."""
    pool, alone = await connect_pool(database), await connect(database)
    for one in (pool, alone):
        told = dict(await one.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", [*VANISHED]))
        assert told["idle_in_transaction_session_timeout"] == "30000"
        assert told["tcp_user_timeout"] == "25000"
        probes = [int(told[f"tcp_keepalives_{word}"]) for word in ("idle", "interval", "count")]
        assert probes[0] + probes[1] * probes[2] == 25
    await alone.close()
    await pool.close()
