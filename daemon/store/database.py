"""Connections to PostgreSQL, and which of its errors pass by themselves."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from asyncpg.pgproto.pgproto import UUID
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from channels.silence import watch

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:  # these classes take their type parameter only in the stubs
    Connection = asyncpg.Connection | PoolConnectionProxy
    Pool = asyncpg.Pool
T = TypeVar("T")

PATIENCE = 2.0
"""Seconds to wait for a free connection."""
LIMIT = 20.0
"""Seconds after which the server ends a statement of a daemon. Migrations, dumps and commands have their own."""
GRACE = 3.0
"""Seconds longer than the server's limit that an answer is waited for: after that the line is dead, not the query."""
PROBES = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3}
SILENCE = 15.0
"""Seconds within which our kernel notices a host that vanished."""
VANISHED = {
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25s",
}
"""The same for the server: what a host that vanished held, persons or a session, is free within half a minute. Probes
are sent only where everything was acknowledged; in the middle of an answer the last of these speaks, which without it
are 15 minutes, and two hours for probes."""
KINDS = """
SELECT $1::bigint[], $2::text[], $3::timestamptz[], $4::jsonb[], $5::boolean[], $6::bytea[], $7::interval[],
    $8::smallint[], $9::integer[], $10::numeric[], $11::double precision[], $12::uuid[], ARRAY[ROW(1)]
"""
"""The kinds of lists that our statements carry. asyncpg asks the server about each that is new to a connection, which
takes milliseconds: once for all of them, not once for each statement with a new one."""
DEADLOCKS = ("40P01", "40001")
READ_ONLY = "25006"
DISK_FULL = "53100"
SETTINGS = {
    "application_name": "tillbell",
    "timezone": "UTC",
    "synchronous_commit": "on",
    **VANISHED,
}


class Unanswered(ConnectionError):
    """COMMIT was said and its answer was lost: it may have taken effect. `result` is what the body had returned."""

    def __init__(self, result: Any, error: BaseException) -> None:
        super().__init__(f"no answer to COMMIT: {str(error) or type(error).__name__}")
        self.result = result


class PatientPool(Pool):
    """Waits for a free connection are bounded, whoever asks: then a TimeoutError, which is transient."""

    def acquire(self, *, timeout: float | None = None) -> Any:
        """`timeout` in seconds; None: `PATIENCE`."""
        return super().acquire(timeout=PATIENCE if timeout is None else timeout)


async def connect_pool(url: str, size: int = 6, limit: float = LIMIT) -> Pool:
    """A pool whose waits are bounded: no statement lasts longer than `limit` seconds, and no wait for its answer longer
    than `GRACE` more, even where nothing comes back at all. jsonb travels as Python values, uuid as uuid.UUID."""
    return await PatientPool(
        url,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        init_size=None,
        min_size=1,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        loop=None,
        connect=None,
        setup=None,
        init=_prepare,
        reset=_nothing_to_reset,
        command_timeout=limit + GRACE,
        timeout=10,
        server_settings={**SETTINGS, "statement_timeout": f"{limit * 1000:.0f}"},
    )


async def connect(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """A connection outside of any pool, whose statements may take their time. If a host vanishes, the other notices."""
    connection = await asyncpg.connect(url, server_settings=VANISHED)
    _watch_line(connection)
    return connection


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    _watch_line(connection)
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    await connection.prepare(KINDS)


def _watch_line(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    transport = connection._transport  # type: ignore[attr-defined]  # asyncpg offers no other way
    watch(transport, PROBES, SILENCE)


async def _nothing_to_reset(_: asyncpg.Connection[asyncpg.Record]) -> None:
    """We leave nothing in a session: no LISTEN, no SET, no session lock, no cursor WITH HOLD. An open transaction is
    rolled back all the same. It saves a round trip for each statement."""


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside a READ COMMITTED transaction of its own."""
    async with pool.acquire(timeout=PATIENCE) as connection:
        started = connection.transaction()
        await started.start()
        try:
            yield connection
        except BaseException:
            await _roll_back(connection, started)
            raise
        await started.commit()


async def _roll_back(connection: PoolConnectionProxy[asyncpg.Record], started: Transaction) -> None:
    """Where it cannot be said in time, the connection is dropped, and with it all that was done."""
    try:
        async with asyncio.timeout(PATIENCE):
            await started.rollback()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError):
        _drop(connection)


def _drop(connection: PoolConnectionProxy[asyncpg.Record]) -> None:
    with suppress(asyncpg.InterfaceError):  # the line was cut: the pool has it back already
        connection.terminate()


async def again(pool: Pool, body: Callable[[Connection], Awaitable[T]], tries: int = 5) -> T:
    """Run `body` in a transaction; deadlocks and serialisation failures are counted and tried again.

    Raises `Unanswered` when nobody knows whether it was committed.
    """
    for left in range(tries, 0, -1):
        try:
            return await _once(pool, body)
        except asyncpg.PostgresError as error:
            if error.sqlstate == READ_ONLY:  # this server is no longer the first: its address may lead to another now
                await pool.expire_connections()
            if error.sqlstate not in DEADLOCKS or left == 1:
                raise
            deadlocks.count += 1
            await asyncio.sleep(0.01 * (tries - left + 1))
    raise AssertionError("unreachable")


async def _once(pool: Pool, body: Callable[[Connection], Awaitable[T]]) -> T:
    async with pool.acquire(timeout=PATIENCE) as connection:
        started = connection.transaction()
        await started.start()
        try:
            result = await body(connection)
        except BaseException:
            await _roll_back(connection, started)
            raise
        try:
            await started.commit()
        except Exception as error:
            if is_transient(error) and getattr(error, "sqlstate", "") not in DEADLOCKS:
                _drop(connection)  # the pool would wait for it, and then speak of that instead
                raise Unanswered(result, error) from error
            raise
        return result


class Count:
    """A number that only grows."""

    count = 0


deadlocks = Count()


def is_transient(error: BaseException) -> bool:
    """The server is away, restarting, full, busy or read-only for now: the same statement may work later."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in {"08", "53", "57", "40"} or error.sqlstate == READ_ONLY
    if isinstance(error, ValueError):  # asyncpg could not encode an argument: an InterfaceError too
        return False
    lost = (asyncpg.InterfaceError, asyncpg.InternalClientError)  # the second, where the cut came between two answers
    return isinstance(error, (*lost, OSError, TimeoutError, asyncio.TimeoutError))


_noise: deque[bytes] = deque()
os.register_at_fork(after_in_child=_noise.clear)  # or parent and child would make the same ids


def new_id() -> uuid.UUID:
    """For rows that are made where the database may be away: version 4, in asyncpg's class. The system is asked for 256
    at a time: a call for each would cost more than all the rest of an id.
    """
    if not _noise:
        block = os.urandom(16 * 256)
        _noise.extend(block[start : start + 16] for start in range(0, len(block), 16))
    raw = bytearray(_noise.popleft())
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    return UUID(bytes(raw))


def json_text(value: Any) -> str:
    """Compact JSON for arrays of jsonb parameters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
