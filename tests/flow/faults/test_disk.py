"""The disk of PostgreSQL is full: claims rest, nothing is sent twice, and work goes on once there is room."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections import Counter

import pytest

from daemon.clock import monotonic
from daemon.embedded import start
from daemon.migrate import migrate

UNRECORDED = 64
"""Messages whose outcome nobody could write down: one window at most."""


@pytest.fixture
def small_disk(open_folder):
    """400 MB of memory as a disk; where nothing can be mounted the test is skipped."""
    folder = open_folder / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=711", "tmpfs", folder]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.long
@pytest.mark.timeout(300)
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
        ballast = small_disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:  # to the last byte
                file.write(bytes(1 << 20))
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
