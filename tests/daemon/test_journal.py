"""What was said to be kept is on the disk, whatever happens to the process, and comes back once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.journal import REFUSED, Journal, decoded, encoded

WRITER = """
import asyncio, sys
from pathlib import Path
from daemon.journal import Journal

async def main():
    journal = Journal(Path(sys.argv[1]), "web-7")

    async def one(lane):
        number = 0
        while True:
            await journal.append({"id": f"{lane}-{number}", "text": "x" * 300})
            print(f"{lane}-{number}", flush=True)
            number += 1

    await asyncio.gather(*(one(lane) for lane in range(8)))

asyncio.run(main())
"""


class Database:
    """Takes lines; away, or at odds with some of them, when told to be."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.away = False
        self.bad: set[str] = set()

    async def apply(self, lines: Sequence[Mapping[str, Any]]) -> None:
        if self.away:
            raise ConnectionRefusedError("away")
        if any(line["id"] in self.bad for line in lines):
            raise ValueError("bad line")
        self.ids += [line["id"] for line in lines]


@pytest.fixture
def database() -> Database:
    return Database()


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


async def test_what_is_appended_comes_back_in_order_and_once(tmp_path, database):
    journal = Journal(tmp_path, "web-1")
    for number in range(1200):
        if number % 400 == 0:
            await asyncio.gather(*(journal.append({"id": f"{number + n}"}) for n in range(400)))
    assert journal.lines == 1200
    assert await journal.replay(database.apply) == 1200
    assert database.ids == [str(n) for n in range(1200)]
    assert journal.lines == 0
    assert await journal.replay(database.apply) == 0
    assert files(tmp_path) == []
    await journal.close()


async def test_while_the_database_stays_away_nothing_is_dropped(tmp_path, database):
    journal = Journal(tmp_path, "web-1")
    await journal.append({"id": "a"})
    database.away = True
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await journal.replay(database.apply)
    await journal.append({"id": "b"})
    assert journal.lines == 2
    database.away = False
    assert await journal.replay(database.apply) == 2
    assert database.ids == ["a", "b"]
    await journal.close()


async def test_a_line_that_the_database_refuses_stops_nobody(tmp_path, database):
    journal = Journal(tmp_path, "web-1")
    await asyncio.gather(*(journal.append({"id": str(n)}) for n in range(20)))
    database.bad = {"7", "13"}
    await journal.replay(database.apply)
    assert database.ids == [str(n) for n in range(20) if n not in (7, 13)]
    assert [line["id"] for line in decoded(tmp_path / REFUSED)] == ["7", "13"]
    await journal.close()


async def test_a_line_that_was_cut_off_is_no_line(tmp_path):
    whole, other = encoded({"id": "whole"}), encoded({"id": "other"})
    path = tmp_path / "x.journal"
    for cut in range(len(other)):
        path.write_bytes(whole + other[:cut])
        assert [line["id"] for line in decoded(path)] == ["whole"]
    path.write_bytes(whole + b"\x00" * 100 + b"\n" + whole.replace(b"whole", b"whale") + whole)
    assert [line["id"] for line in decoded(path)] == ["whole", "whole"]


async def test_a_living_process_keeps_its_file_and_a_dead_ones_is_adopted(tmp_path, database):
    living, other = Journal(tmp_path, "web-1"), Journal(tmp_path, "web-2")
    await living.append({"id": "mine"})
    assert await other.replay(database.apply) == 0
    await living.close()
    assert await other.replay(database.apply) == 1
    assert database.ids == ["mine"]
    await other.close()


async def test_a_full_disk_is_not_answered_as_kept_and_spoils_nothing(tmp_path, database, monkeypatch):
    journal = Journal(tmp_path, "web-1")
    await journal.append({"id": "before"})
    real = os.write

    def half(descriptor: int, data: bytes) -> int:
        real(descriptor, bytes(data)[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        await journal.append({"id": "lost"})
    monkeypatch.setattr(os, "write", real)
    await journal.append({"id": "after"})
    await journal.replay(database.apply)
    assert database.ids == ["before", "after"]
    await journal.close()


def started(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)


async def test_a_killed_writer_loses_no_line_that_it_had_confirmed(tmp_path, database):
    for _ in range(3):
        writer = started(tmp_path)
        assert writer.stdout is not None
        confirmed = [writer.stdout.readline().strip() for _ in range(400)]
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate(timeout=60)
        confirmed += rest.split("\n")[:-1]
        database.ids.clear()
        journal = Journal(tmp_path, "web-8")
        await journal.replay(database.apply)
        await journal.close()
        assert len(confirmed) >= 400
        assert set(confirmed) <= set(database.ids)
        assert len(set(database.ids)) == len(database.ids)


async def test_a_killed_replay_is_begun_again(tmp_path, database):
    first = Journal(tmp_path, "web-1")
    await asyncio.gather(*(first.append({"id": str(n)}) for n in range(700)))
    calls = 0

    async def dies(lines: Sequence[Mapping[str, Any]]) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionResetError("killed")
        await database.apply(lines)

    with pytest.raises(ConnectionResetError):
        await first.replay(dies)
    await first.close()
    second = Journal(tmp_path, "web-2")
    assert await second.replay(database.apply) == 700
    assert set(database.ids) == {str(n) for n in range(700)}
    await second.close()
