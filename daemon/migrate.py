"""Brings the database to the newest schema, and tells whether it is there."""

from pathlib import Path

import asyncpg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from daemon.errors import ConfigurationError
from migrations.history import SQL_FOLDER, History, number, sql_files

# Any number that nothing else in this database locks.
LOCK = 0x7111_BE11


async def migrate(url: str, sql_folder: Path = SQL_FOLDER) -> list[str]:
    """Apply what is missing and return the names of the files applied.

    All of it is one transaction under an advisory lock: any number of processes may call this at once, and one that is
    killed half-way leaves nothing behind.
    """

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(url)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
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


async def check_schema(connection: "asyncpg.Connection[asyncpg.Record]", sql_folder: Path = SQL_FOLDER) -> None:
    """Raises ConfigurationError unless the schema is exactly the one that this tillbell was written for."""
    try:
        current = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        current = None
    refuse_unknown(current, sql_folder)
    newest = number(sql_files(sql_folder)[-1])
    if current != newest:
        has = f"schema {current}" if current else "no schema of tillbell yet"
        raise ConfigurationError(f"the database has {has}, this tillbell needs {newest}; hint: run `tillbell migrate`")


def refuse_unknown(current: str | None, sql_folder: Path) -> None:
    known = [number(path) for path in sql_files(sql_folder)]
    if current is not None and current not in known:
        raise ConfigurationError(
            f"the database has schema {current}, which this tillbell does not know: a newer one was here "
            f"(this one knows up to {known[-1]}); hint: install the newer tillbell again"
        )
