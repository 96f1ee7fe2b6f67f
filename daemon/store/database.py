"""Connections to PostgreSQL, and which of its errors pass by themselves."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from asyncpg.pgproto.pgproto import UUID
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:  # these classes take their type parameter only in the stubs
    Connection = asyncpg.Connection | PoolConnectionProxy
    Pool = asyncpg.Pool
T = TypeVar("T")

PATIENCE = 2.0
"""Seconds to wait for a free connection."""
COMMAND_TIMEOUT = 60.0
DEADLOCKS = ("40P01", "40001")


async def connect_pool(url: str, size: int = 6) -> Pool:
    """A pool whose waits are bounded. jsonb travels as Python values, uuid as uuid.UUID."""
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        command_timeout=COMMAND_TIMEOUT,
        timeout=10,
        init=_prepare,
        reset=_nothing_to_reset,
        server_settings={"application_name": "tillbell", "timezone": "UTC", "synchronous_commit": "on"},
    )


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _nothing_to_reset(_: asyncpg.Connection[asyncpg.Record]) -> None:
    """We leave nothing in a session: no LISTEN, no SET, no session lock, no cursor WITH HOLD. An open transaction is
    rolled back all the same. It saves a round trip for each statement."""


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside a READ COMMITTED transaction of its own."""
    async with pool.acquire(timeout=PATIENCE) as connection, connection.transaction():
        yield connection


async def again(pool: Pool, body: Callable[[Connection], Awaitable[T]], tries: int = 5) -> T:
    """Run `body` in a transaction; deadlocks and serialisation failures are counted and tried again."""
    for left in range(tries, 0, -1):
        try:
            async with transaction(pool) as connection:
                return await body(connection)
        except asyncpg.PostgresError as error:
            if error.sqlstate not in DEADLOCKS or left == 1:
                raise
            deadlocks.count += 1
            await asyncio.sleep(0.01 * (tries - left + 1))
    raise AssertionError("unreachable")


class Count:
    """A number that only grows."""

    count = 0


deadlocks = Count()


def is_transient(error: BaseException) -> bool:
    """The server is away, restarting, full or busy: the same statement may work later."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in {"08", "53", "57", "40"}
    if isinstance(error, ValueError):  # asyncpg could not encode an argument: an InterfaceError too
        return False
    return isinstance(error, (asyncpg.InterfaceError, OSError, TimeoutError, asyncio.TimeoutError))


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
