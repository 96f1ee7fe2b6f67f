"""The schema from nothing, by many at once, and refused when it is not the one we know."""

import asyncio
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

import daemon.migrate
import daemon.run
from daemon.errors import ConfigurationError, TemporaryError
from daemon.migrate import migrate
from daemon.schema import check_schema
from migrations.files import SQL_FOLDER, sql_files

ROOT = Path(__file__).parents[2]


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


async def test_one_that_is_killed_half_way_leaves_nothing_and_is_run_again(database, db, tmp_path):
    newer = with_another(tmp_path, "9998_long.sql", "CREATE TABLE half (x int); SELECT pg_sleep(60);")
    script = "import asyncio, sys, pathlib, daemon.migrate as m\n"
    script += "asyncio.run(m.migrate(sys.argv[1], pathlib.Path(sys.argv[2])))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, database, str(newer), cwd=ROOT)
    sleeps = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    async with asyncio.timeout(60):
        while not await db.fetchval(sleeps):
            await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    assert await db.fetchval("SELECT to_regclass('half')") is None
    await check_schema(db)
    (newer / "9998_long.sql").write_text("CREATE TABLE half (x int);")
    assert await migrate(database, newer) == ["9998_long"]
    assert await db.fetchval("SELECT to_regclass('half')") is not None


async def test_one_whose_host_vanishes_half_way_lets_go_of_its_tables(database, db, tmp_path):
    """Nobody tells the server; it has to ask."""
    limits = ("idle_in_transaction_session_timeout", "tcp_user_timeout", "tcp_keepalives_idle")
    seen = ", ".join(f"current_setting('{name}') AS {name}" for name in limits)
    newer = with_another(tmp_path, "9998_curious.sql", f"CREATE TABLE seen AS SELECT {seen};")
    await migrate(database, newer)
    assert tuple(await db.fetchrow("SELECT * FROM seen")) == ("30s", "25000", "10")


async def test_a_table_that_is_held_makes_it_wait_and_nobody_behind_it(database, db, tmp_path, monkeypatch):
    """Whoever waits for a table keeps all others from it: so the migration lets go, and comes again."""
    monkeypatch.setattr(daemon.migrate, "LOCK_TIMEOUT", "300ms")  # long enough to be seen waiting
    monkeypatch.setattr(daemon.migrate, "PAUSE", 0.05)
    monkeypatch.setattr(daemon.migrate, "TRIES", 10_000)
    newer = with_another(tmp_path, "9998_one_more.sql", "ALTER TABLE shop ADD COLUMN more int;")
    holder = await asyncpg.connect(database)
    await holder.execute("BEGIN; LOCK TABLE shop IN ACCESS SHARE MODE")
    at_work = asyncio.create_task(migrate(database, newer))
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'shop'::regclass"
    async with asyncio.timeout(60):
        while not await db.fetchval(waits):
            await asyncio.sleep(0.005)
        while await db.fetchval(waits):
            await asyncio.sleep(0.005)
    await holder.execute("COMMIT")
    assert await at_work == ["9998_one_more"]
    await holder.close()


async def test_a_migration_that_never_gets_its_table_says_so_and_changes_nothing(database, db, tmp_path, monkeypatch):
    monkeypatch.setattr(daemon.migrate, "LOCK_TIMEOUT", "20ms")
    monkeypatch.setattr(daemon.migrate, "PAUSE", 0.01)
    monkeypatch.setattr(daemon.migrate, "TRIES", 3)
    newer = with_another(tmp_path, "9998_one_more.sql", "ALTER TABLE shop ADD COLUMN more int;")
    await db.execute("BEGIN; LOCK TABLE shop IN ACCESS SHARE MODE")
    with pytest.raises(TemporaryError, match="nothing was changed"):
        await migrate(database, newer)
    await db.execute("ROLLBACK")
    await check_schema(db)


async def test_an_old_daemon_beside_a_new_schema_stops_with_a_sentence(town):
    """It notices at its next heartbeat, which comes before any claim that is not fresh."""
    await town.context.pool.execute("UPDATE alembic_version SET version_num = '9999'")
    town.context.cut_off = True
    with pytest.raises(ConfigurationError, match=r"schema 9999.*hint: install the newer tillbell again"):
        await town.context.may_claim()


async def test_a_running_process_ends_when_its_database_is_migrated_by_a_newer_one(town, monkeypatch):
    monkeypatch.setattr(daemon.run, "BEAT", 0.05)
    settings = town.context.settings.model_copy(update={"listen": "127.0.0.1:0"})
    own = {"stopping": asyncio.Event(), "bell": asyncio.Event(), "reasons": [], "deliveries": {}}
    context = replace(town.context, settings=settings, process="old", **own)
    async with daemon.run.running(context, ""):
        await context.pool.execute("UPDATE alembic_version SET version_num = '9999'")
        async with asyncio.timeout(60):
            await context.stopping.wait()
        assert "schema 9999" in context.ends_because
