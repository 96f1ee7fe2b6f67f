"""Brings the database to the newest schema."""

import asyncio
from contextlib import suppress
from pathlib import Path

import asyncpg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from daemon.errors import TemporaryError
from daemon.schema import refuse_unknown
from daemon.store import database
from migrations.files import SQL_FOLDER
from migrations.history import History

# Any number that nothing else in this database locks.
LOCK = 0x7111_BE11
LOCK_TIMEOUT = "3s"
NOTICED = "1s"
"""When the server notices that a migration was killed, and lets go of its locks."""
TRIES = 20
PAUSE = 0.5


async def migrate(url: str, sql_folder: Path = SQL_FOLDER) -> list[str]:
    """Apply what is missing and return the names of the files applied.

    All of it is one transaction under an advisory lock: any number of processes may call this at once, and one that is
    killed half-way leaves nothing behind. It never makes a running daemon wait longer than `LOCK_TIMEOUT` for a table:
    it lets go then, and tries again. Raises TemporaryError when it never got its tables.
    """
    for _ in range(TRIES):
        try:
            return await _once(url, sql_folder)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(PAUSE)
    raise TemporaryError("the migration could not get its tables: something holds them; nothing was changed")


async def _once(url: str, sql_folder: Path) -> list[str]:
    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        connection = await database.connect(url)
        with suppress(asyncpg.InvalidParameterValueError):  # a server on an odd system cannot look after its clients
            await connection.execute(f"SET client_connection_check_interval = '{NOTICED}'")
        return connection

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            return await connection.run_sync(upgrade, History(sql_folder))
    finally:
        await engine.dispose()


def upgrade(connection: Connection, history: History) -> list[str]:
    applied: list[str] = []

    def missing(current: tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
        refuse_unknown(current[0] if current else None, history.sql_folder)
        steps = history._upgrade_revs("head", current)  # type: ignore[arg-type]  # as alembic.command.upgrade does
        applied.extend(Path(step.revision.path).stem for step in steps)
        return steps

    config = Config(attributes={"connection": connection})
    with EnvironmentContext(config, history, fn=missing, destination_rev="head"):
        history.run_env()
    return applied
