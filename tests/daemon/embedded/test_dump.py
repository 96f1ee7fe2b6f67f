"""A database to a file and back."""

import gzip

import asyncpg
import pytest

from daemon.embedded.dump import connection, dump, load, script
from daemon.errors import ConfigurationError
from daemon.schema import check_schema


async def add_shops(url: str) -> None:
    db = await asyncpg.connect(url)
    await db.execute(
        "INSERT INTO shop (name, added_at) SELECT 'Käse & Söhne ' || n, now() FROM generate_series(1, 500) n"
    )
    await db.close()


async def test_every_row_comes_back_and_the_keys_go_on_counting(database, empty_database, tmp_path):
    await add_shops(database)
    file = tmp_path / "all.sql.gz"
    assert await dump(database, file) == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    await load(empty_database, file)
    before, after = await asyncpg.connect(database), await asyncpg.connect(empty_database)
    assert await after.fetch("TABLE shop ORDER BY shop_id") == await before.fetch("TABLE shop ORDER BY shop_id")
    await check_schema(after)
    assert await after.fetchval("INSERT INTO shop (name, added_at) VALUES ('next', now()) RETURNING shop_id") == 501
    await before.close()
    await after.close()


async def test_a_database_with_tables_is_not_loaded_into(database, tmp_path):
    file = tmp_path / "all.sql.gz"
    await dump(database, file)
    with pytest.raises(ConfigurationError, match=r"already has \d+ tables; hint"):
        await load(database, file)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
async def test_half_a_file_loads_nothing(database, empty_database, tmp_path, share):
    await add_shops(database)
    file = tmp_path / "all.sql.gz"
    size = await dump(database, file)
    file.write_bytes(file.read_bytes()[: int(size * share)])
    with pytest.raises(ConfigurationError, match="not a whole dump"):
        await load(empty_database, file)
    left = await asyncpg.connect(empty_database)
    assert await left.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await left.close()


async def test_no_such_file(empty_database, tmp_path):
    with pytest.raises(ConfigurationError, match="there is no file"):
        await load(empty_database, tmp_path / "none.sql.gz")


def test_password_is_not_on_the_command_line():
    address, environment = connection("postgresql://ada:p%40ss@db.test:5433/bell?sslmode=require")
    assert address == "postgresql://ada@db.test:5433/bell?sslmode=require"
    assert environment["PGPASSWORD"] == "p@ss"


def test_older_server_is_spared_a_word_it_does_not_know(tmp_path):
    file = tmp_path / "all.sql.gz"
    file.write_bytes(gzip.compress(b"SET lock_timeout = 0;\nSET transaction_timeout = 0;\nSELECT 1;\n"))
    assert b"".join(script(file)) == b"SET lock_timeout = 0;\nSELECT 1;\n"
