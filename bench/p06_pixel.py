"""P6: hits that are answered after their commit, against one INSERT a hit and against recording nothing.

The product's own handlers in a process of their own, wrk at 64 connections, PostgreSQL with its defaults. Modes:
`group` is the product; `insert` the product with every hit written alone; `nothing` bare aiohttp that answers the same
picture. Medians over interleaved rounds, and how many answered hits were missing after a kill -9 (which must be none).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import signal
import statistics
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import asyncpg
import psutil
import uvloop
from aiohttp import web

from bench.measured import Measured, Row, rate
from bench.place import Place, cpu_of
from daemon.context import Context
from daemon.hits import Hit
from daemon.store import events
from daemon.store.events import Link
from daemon.web.app import public_app
from daemon.web.edge import SILENT
from daemon.web.links import PIXEL, PIXEL_HEADERS
from daemon.web.state import STATE
from tests.letters import make_context, write_letter

MODES = ("group", "insert", "nothing")
LETTERS = 200
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Run:
    """What wrk saw of one mode: hits a second, 99th percentile in ms, CPU µs a hit, ours and PostgreSQL's."""

    rate: float
    p99: float
    answered: int
    cpu: float = 0.0
    database_cpu: float = 0.0

    @classmethod
    def median(cls, runs: list[Run]) -> Run:
        middle = (statistics.median(column) for column in zip(*map(astuple, runs), strict=True))
        return cls(*middle)

    def __str__(self) -> str:
        return f"{rate(self.rate)}, p99 {self.p99:.0f} ms, {self.cpu:.0f} + {self.database_cpu:.0f} µs CPU"


async def measure(place: Place, seconds: int = 3, rounds: int = 3) -> Measured:
    """`seconds` of traffic a round and mode, 64 connections."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return Measured([Row("P6", "hits answered after their commit", "not measured: wrk is not installed")])
    url = await place.database()
    folder = place.folder / "pixel"
    await asyncio.to_thread(folder.mkdir)
    script = await seeded(url, folder)
    runs: dict[str, list[Run]] = {mode: [] for mode in MODES}
    for _ in range(rounds):
        for mode in MODES:
            async with serving(mode, url, folder) as (port, process):
                watched = psutil.Process(process.pid), place.postgres()
                before = [cpu_of(one) for one in watched]
                run = await load(wrk, port, script, seconds)
                used = [(cpu_of(one) - start) / run.answered * 1e6 for one, start in zip(watched, before, strict=True)]
                runs[mode].append(replace(run, cpu=used[0], database_cpu=used[1]))
    lost = sum([await lost_at_kill(wrk, url, folder, script) for _ in range(rounds)])
    return told({mode: Run.median(each) for mode, each in runs.items()}, lost, rounds)


def told(runs: dict[str, Run], lost: int, kills: int) -> Measured:
    group, insert, nothing = (runs[mode] for mode in MODES)
    p99 = group.p99
    rows = [
        Row("P6", "hits after commit, to one INSERT each", f"{group}", group.rate / insert.rate, 3),
        Row("P6", "one INSERT each, answered after it", f"{insert}"),
        Row("P6", "hits after commit, to recording nothing", f"{nothing}", group.rate / nothing.rate, 0.5),
        Row("P6", f"their 99th percentile, {CONNECTIONS} connections, in ms", f"{p99:.1f} ms", p99, 25, at_most=True),
        Row("P6", "answered hits lost at kill -9", f"{lost} in {kills} kills", lost, 0, at_most=True),
    ]
    figures = {f"{mode}_per_s": round(run.rate) for mode, run in runs.items()}
    return Measured(rows, figures | {f"{mode}_p99_ms": round(run.p99, 1) for mode, run in runs.items()})


async def seeded(url: str, folder: Path) -> Path:
    """A wrk script that asks for the pictures of many mails in turn."""
    context = await make_context(url, folder)
    letters = [await write_letter(context.pool, context.shop_ids["main"], f"p{n}@example.org") for n in range(LETTERS)]
    await context.pool.close()
    paths = ",".join(f'"{letter.pixel}"' for letter in letters)
    script = folder / "paths.lua"
    turn = "n = n % #paths + 1 return requests[n]"
    script.write_text(
        f"local paths = {{{paths}}}\nlocal requests = {{}}\nlocal n = 0\n"
        'init = function() for i, path in ipairs(paths) do requests[i] = wrk.format("GET", path) end end\n'
        f"request = function() {turn} end\n"
    )
    return script


@asynccontextmanager
async def serving(mode: str, url: str, folder: Path):
    """A web process on an emptied event table: its port and the process."""
    await on(url, "TRUNCATE event")
    command = [sys.executable, "-m", "bench.p06_pixel", mode, url, str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        yield int(await process.stdout.readline()), process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def load(wrk: str, port: int, script: Path, seconds: int) -> Run:
    """What wrk saw."""
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{port}/"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    text = (await process.communicate())[0].decode()
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", text).groups()
    if refused := re.search(r"Non-2xx or 3xx responses: (\d+)", text):
        raise SystemExit(f"{refused[1]} requests were refused")
    return Run(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        answered=int(re.search(r"(\d+) requests in", text)[1]),
        p99=float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
    )


async def lost_at_kill(wrk: str, url: str, folder: Path, script: Path) -> int:
    """Answered hits that are nowhere after the process was killed amid traffic."""
    async with serving("group", url, folder) as (port, process):
        asyncio.get_running_loop().call_later(1.5, process.kill)
        run = await load(wrk, port, script, 3)
    return max(0, run.answered - await on(url, "SELECT count(*) FROM event"))


async def on(url: str, query: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def serve(mode: str, url: str, folder: Path) -> None:
    """One web process in this mode until SIGTERM; prints its port."""
    context = await make_context(url, folder)
    app = bare() if mode == "nothing" else public_app(context)
    if mode == "insert":
        app[STATE].desk.record = one_by_one(context)
    runner = web.AppRunner(app, access_log=None, logger=SILENT)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()
    await context.pool.close()


def bare() -> web.Application:
    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=PIXEL, headers=PIXEL_HEADERS.copy())

    app = web.Application()
    app.add_routes([web.get("/o/{token}.gif", picture)])
    return app


def one_by_one(context: Context):
    async def record(hit: Hit) -> Link | None:
        async with context.pool.acquire() as db:
            return (await events.record(db, [hit]))[0].link

    return record


def main() -> None:
    """The web process of one mode."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    told = parser.parse_args()
    uvloop.run(serve(told.mode, told.url, told.folder))


if __name__ == "__main__":
    main()
