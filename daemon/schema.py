"""Whether the database has the schema that this tillbell was written for. It does not need what migrates."""

from pathlib import Path

import asyncpg

from daemon.errors import ConfigurationError
from migrations.files import SQL_FOLDER, number, sql_files


async def check_schema(connection: "asyncpg.Connection[asyncpg.Record]", sql_folder: Path = SQL_FOLDER) -> None:
    """Raises ConfigurationError unless the schema is exactly the one that this tillbell was written for."""
    if said := await lacks(connection, sql_folder):
        raise ConfigurationError(f"{said}; hint: run `tillbell migrate`")


async def lacks(connection: "asyncpg.Connection[asyncpg.Record]", sql_folder: Path = SQL_FOLDER) -> str:
    """What the schema is behind by, empty for the right one. Raises ConfigurationError for one that is newer."""
    try:
        current = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        current = None
    refuse_unknown(current, sql_folder)
    newest = number(sql_files(sql_folder)[-1])
    if current == newest:
        return ""
    has = f"schema {current}" if current else "no schema of tillbell yet"
    return f"the database has {has}, this tillbell needs {newest}"


def refuse_unknown(current: str | None, sql_folder: Path) -> None:
    known = [number(path) for path in sql_files(sql_folder)]
    if current is not None and current not in known:
        raise ConfigurationError(
            f"the database has schema {current}, which this tillbell does not know: a newer one was here "
            f"(this one knows up to {known[-1]}); hint: install the newer tillbell again"
        )
