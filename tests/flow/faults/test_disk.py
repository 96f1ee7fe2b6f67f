"""A disk is full, PostgreSQL's, Valkey's or that of the log: nothing is sent twice, and work goes on once it can."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import redis.asyncio

from daemon.clock import monotonic
from daemon.embedded import start
from daemon.migrate import migrate
from tests.conftest import lacks
from tests.flow.faults.hosts import DUE, LATER

UNRECORDED = 64
"""Messages whose outcome nobody could write down: one window at most."""


@pytest.fixture
def small_disk(open_folder):
    """400 MB of memory as a disk."""
    folder = open_folder / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=711", "tmpfs", folder]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode:
        lacks(f"no file system can be mounted: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def filled(folder):
    """To the last byte; the file to remove."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    return ballast


@pytest.mark.long
async def test_a_full_disk_of_the_database_costs_no_message_and_no_copy(make_stage, small_disk):
    settings = {"autovacuum": "off", "max_wal_size": "64MB", "min_wal_size": "32MB"}
    async with await start(small_disk / "data", with_valkey=False, keep=True, settings=settings) as servers:
        await migrate(servers.database_url)
        stage = await make_stage(database_url=servers.database_url, smtp_connections="5")
        await stage.prepared(1000)
        await stage.relay.ask(delay=0.02)
        worker = await stage.worker()

        async def some():
            return (await stage.states()).get("accepted", 0) >= 100

        await stage.until(some, within=60)
        ballast = filled(small_disk)
        await asyncio.sleep(15)  # the fault itself
        ballast.unlink()
        began = monotonic()
        fences = []

        async def claims():
            try:
                fences.append(await stage.value("SELECT last_value FROM fence"))
                return fences[-1] > fences[0] or (await stage.states()).get("accepted") == 1000
            except Exception:
                return False

        await stage.until(claims, within=90)
        after = monotonic() - began
        print(f"first claim {after:.0f} s after there was room")
        assert after <= 60

        async def settled():
            try:
                return set(await stage.states()) <= {"accepted", "unknown"}
            except Exception:
                return False

        await stage.until(settled, within=120)
        copies = Counter(address for _, address, _ in (await stage.relay.ask("taken"))["taken"])
        assert [address for address, number in copies.items() if number > 1] == []
        states = await stage.states()
        unknown = states.get("unknown", 0)
        print(f"of 1000 {unknown} are unknown; the relay took {len(copies)}")
        assert unknown <= UNRECORDED
        assert states["accepted"] <= len(copies) <= states["accepted"] + unknown
        await stage.books_are_clean()
        assert worker.lives()


@pytest.mark.long
async def test_a_full_disk_of_the_bell_holds_up_nobody(make_stage, small_disk):
    """It takes no more jobs, so the work is done directly; once there is room it rings again."""
    async with await start(small_disk / "data", with_postgres=False, keep=True) as servers:
        stage = await make_stage(redis_url=servers.redis_url, smtp_connections="5")
        await stage.prepared(600)
        await stage.context.pool.execute(LATER)
        await stage.relay.ask(delay=0.05)
        worker = await stage.worker()
        await stage.context.pool.execute(DUE, 100, await stage.now())
        client = redis.asyncio.Redis.from_url(servers.redis_url)

        def reached(count):
            async def accepted():
                return (await stage.states()).get("accepted", 0) >= count

            return accepted

        async def takes_words():
            try:
                return bool(await client.set("word", "x" * 1000))
            except redis.exceptions.RedisError:
                return False

        async def refuses():
            return not await takes_words()

        await stage.until(reached(50))
        ballast = filled(small_disk)
        await stage.until(refuses)
        await stage.context.pool.execute(DUE, 600, await stage.now())
        before = (await stage.states())["accepted"]
        await stage.until(reached(before + 150))
        assert await refuses()
        ballast.unlink()
        began = monotonic()
        await stage.until(takes_words)
        print(f"{before} before; the bell was back {monotonic() - began:.0f} s after there was room")
        await client.aclose()

        async def done():
            return await stage.states() == {"accepted": 600}

        await stage.until(done)
        copies = Counter(address for _, address, _ in (await stage.relay.ask("taken"))["taken"])
        assert (len(copies), set(copies.values())) == (600, {1})
        assert worker.lives()
        await stage.books_are_clean()


async def test_a_log_that_nothing_can_be_written_to_costs_no_message(make_stage):
    stage = await make_stage(smtp_connections="5")
    await stage.prepared(60)
    worker = await stage.worker(log=Path("/dev/full"))

    async def done():
        return await stage.states() == {"accepted": 60}

    await stage.until(done)
    copies = Counter(address for _, address, _ in (await stage.relay.ask("taken"))["taken"])
    assert (len(copies), set(copies.values())) == (60, {1})
    assert worker.lives()
    await stage.books_are_clean()
