"""The servers we bring along: started, shared, killed, and left alone by their owner, without losing a row."""

import asyncio
import errno
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from daemon.embedded import Servers, key, start
from daemon.embedded.account import Account, refuse_closed_parents, servant
from daemon.embedded.folder import explained
from daemon.embedded.postgres import refuse_nameless
from daemon.embedded.process import is_ours
from daemon.errors import ConfigurationError

OWNER = """
import asyncio, sys
from pathlib import Path
import asyncpg, redis.asyncio
from daemon.embedded import start

async def main():
    servers = await start(Path(sys.argv[1]))
    database = await asyncpg.connect(servers.database_url)
    bell = redis.asyncio.Redis.from_url(servers.redis_url)
    await bell.delete("kept")
    await database.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept (no int)")
    for no in range(1_000_000):
        await database.execute("INSERT INTO kept VALUES ($1)", no)
        await bell.rpush("kept", no)
        print(no, *(server.process.pid for server in servers.running), flush=True)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def used_folder() -> Iterator[Path]:
    """A data folder that has been used before; initdb is the slow part of a start."""
    folder = Path(tempfile.mkdtemp(prefix="tillbell-tests-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder)


async def rows(servers: Servers) -> int:
    connection = await asyncpg.connect(servers.database_url)
    try:
        return await connection.fetchval("SELECT count(*) FROM kept")
    finally:
        await connection.close()


def bell(url: str) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(url, decode_responses=True, single_connection_client=True)


async def keep_rows(servers: Servers, count: int) -> None:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept (no int)")
    for no in range(count):
        await connection.execute("INSERT INTO kept VALUES ($1)", no)
    await connection.close()


async def until_back(servers: Servers, restarts: int) -> None:
    """The keepers have started each server again that fell, and it answers."""
    async with asyncio.timeout(60):
        for server in servers.running:
            while server.restarts < restarts or not await server.answers(server.url):
                await asyncio.sleep(0.02)


def modes(folder: Path) -> dict[Path, int]:
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in folder.parents}


async def test_starts_from_nothing_and_again_with_its_rows(open_folder):
    folder = open_folder / "with a space"
    before = modes(folder)
    async with await start(folder) as servers:
        await keep_rows(servers, 10)
    async with await start(folder) as servers:
        assert await rows(servers) == 10
        async with bell(servers.redis_url) as client:
            assert await client.ping()
    assert modes(folder) == before


async def test_listens_on_loopback_only_and_asks_for_a_password(used_folder):
    async with await start(used_folder) as servers:
        assert "@127.0.0.1:" in servers.database_url
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(servers.database_url.replace(key(used_folder, "postgres"), "guess"))
        with pytest.raises(redis.exceptions.AuthenticationError):
            async with bell(servers.redis_url.replace(key(used_folder, "valkey"), "guess")) as client:
                await client.ping()


async def test_valkey_never_evicts_and_writes_down(used_folder):
    async with await start(used_folder, with_postgres=False) as servers:
        assert servers.database_url == ""
        async with bell(servers.redis_url) as client:
            assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert await client.config_get("appendonly") == {"appendonly": "yes"}


async def test_killed_servers_come_back_at_the_same_address_with_every_row(used_folder):
    async with await start(used_folder) as servers:
        await keep_rows(servers, 100)
        for fall in (1, 2, 3):
            for server in servers.running:
                os.kill(server.process.pid, signal.SIGKILL)
            await until_back(servers, fall)
            assert await rows(servers) == 100


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
async def test_killed_owner_leaves_no_server_behind_and_loses_no_row(used_folder):
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, used_folder, stdout=asyncio.subprocess.PIPE
    )
    acknowledged, pids = 0, []
    while acknowledged < 200:
        acknowledged, *pids = map(int, (await owner.stdout.readline()).split())
    assert all(is_ours(pid, used_folder) for pid in pids)
    owner.kill()
    await owner.communicate()
    async with asyncio.timeout(60):
        while any(is_ours(pid, used_folder) for pid in pids):
            await asyncio.sleep(0.02)
    async with await start(used_folder) as servers:
        assert await rows(servers) > acknowledged
        async with bell(servers.redis_url) as client:
            assert await client.llen("kept") > acknowledged


async def test_servers_left_behind_by_an_owner_are_taken_down_first(used_folder):
    servers = await start(used_folder, keep=False)
    await keep_rows(servers, 10)
    left_over = [server.process for server in servers.running]
    servers.running.clear()
    await servers.stop()  # the owner forgets them, as on a system that does not end them with it
    async with await start(used_folder) as again:
        assert [process.wait(1) is not None for process in left_over] == [True, True]
        assert await rows(again) == 10


async def test_pid_file_of_another_process_does_not_keep_it_from_starting(used_folder):
    async with await start(used_folder, with_valkey=False) as servers:
        await keep_rows(servers, 1)
    pid_file = used_folder / "postgres" / "cluster" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    os.chown(pid_file, *(pid_file.parent.stat().st_uid, pid_file.parent.stat().st_gid))
    async with await start(used_folder, with_valkey=False) as servers:
        assert await rows(servers) == 1


async def test_second_owner_is_refused_and_a_command_may_share(used_folder):
    async with await start(used_folder) as servers:
        with pytest.raises(ConfigurationError, match=rf"already run by process {os.getpid()}; hint: "):
            await start(used_folder)
        async with await start(used_folder, share=True) as shared:
            assert shared.shared
            assert (shared.database_url, shared.redis_url) == (servers.database_url, servers.redis_url)
        async with bell(servers.redis_url) as client:
            assert await client.ping()


async def test_cluster_of_another_major_version_is_refused_with_the_way_out(used_folder):
    async with await start(used_folder, with_valkey=False) as servers:
        await keep_rows(servers, 1)
    (used_folder / "postgres" / "cluster" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 17.*`tillbell dump FILE`.*`tillbell load FILE`"):
        await start(used_folder)
    (used_folder / "postgres" / "cluster" / "PG_VERSION").write_text("18\n")
    async with await start(used_folder, with_valkey=False) as servers:
        assert await rows(servers) == 1


async def test_initdb_that_was_killed_is_done_again(open_folder):
    half = open_folder / "data" / "postgres" / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with await start(open_folder / "data", with_valkey=False) as servers:
        await keep_rows(servers, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands its servers to another account")
async def test_root_hands_the_servers_to_another_account_and_says_so(used_folder):
    async with await start(used_folder) as servers:
        account = servant()
        assert any(account.name in note for note in servers.notes)
        for server in servers.running:
            assert os.stat(f"/proc/{server.process.pid}").st_uid == account.uid  # noqa: PTH116


def test_closed_parent_is_named(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigurationError, match=rf"cannot pass {tmp_path} .*hint: set TILLBELL_DATA_DIR"):
        refuse_closed_parents(tmp_path / "data", Account("tillbell", 60_000, 60_000))


def test_account_without_a_name_is_told_what_to_do():
    with pytest.raises(ConfigurationError, match=r"user number 4000000 has none; hint: .*TILLBELL_DATABASE_URL"):
        refuse_nameless(4_000_000)


def test_folder_of_another_account_is_told_what_to_do(tmp_path):
    with (
        pytest.raises(
            ConfigurationError, match=r"lock belongs to another account.*; hint: run as the account that made"
        ),
        explained(tmp_path),
    ):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "lock"))
