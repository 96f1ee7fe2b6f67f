"""The schema from nothing, by many at once, and refused when it is not the one we know."""

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest

from daemon.errors import ConfigurationError
from daemon.migrate import migrate
from daemon.schema import check_schema
from migrations.files import SQL_FOLDER, sql_files


async def test_everything_is_applied_once_in_order(empty_database):
    assert await migrate(empty_database) == [path.stem for path in sql_files()]
    assert await migrate(empty_database) == []


async def test_three_at_once_are_all_fine(empty_database):
    applied = await asyncio.gather(*(migrate(empty_database) for _ in range(3)))
    assert sorted(applied, key=len) == [[], [], [path.stem for path in sql_files()]]


async def test_migrated_database_is_accepted(db):
    await check_schema(db)


async def test_empty_database_is_refused_with_the_way_out(empty_database):
    connection = await asyncpg.connect(empty_database)
    with pytest.raises(ConfigurationError, match=r"no schema of tillbell yet.*hint: run `tillbell migrate`"):
        await check_schema(connection)
    await connection.close()


async def test_newer_schema_is_refused_and_not_touched(database, db):
    await db.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="install the newer tillbell"):
        await check_schema(db)
    with pytest.raises(ConfigurationError, match="install the newer tillbell"):
        await migrate(database)


def with_another(folder: Path, name: str, text: str) -> Path:
    copied = shutil.copytree(SQL_FOLDER, folder / "sql")
    (copied / name).write_text(text)
    return copied


async def test_older_schema_is_refused_until_migrated(database, db, tmp_path):
    newer = with_another(tmp_path, "9998_one_more.sql", "CREATE TABLE one (x int); CREATE TABLE more (x int);")
    with pytest.raises(ConfigurationError, match=r"needs 9998; hint: run `tillbell migrate`"):
        await check_schema(db, newer)
    assert await migrate(database, newer) == ["9998_one_more"]
    await check_schema(db, newer)


async def test_one_that_fails_half_way_leaves_nothing(database, db, tmp_path):
    newer = with_another(tmp_path, "9998_broken.sql", "CREATE TABLE half (x int); SELECT 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database, newer)
    assert await db.fetchval("SELECT to_regclass('half')") is None
    await check_schema(db)
