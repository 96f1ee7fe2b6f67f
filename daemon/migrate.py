"""Brings the database to the newest schema."""

from pathlib import Path

import asyncpg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from daemon.schema import refuse_unknown
from migrations.files import SQL_FOLDER
from migrations.history import History

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
