"""Web processes under wrk's traffic: what each answered, how fast, and at what cost."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import statistics
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import asyncpg
import psutil
import uvloop
from aiohttp import web

from bench.measured import rate
from bench.place import Place, cpu_of
from daemon import logs
from daemon.settings import Settings
from daemon.web.edge import SILENT

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


Server = tuple[int, Process]
"""Its port and the process."""


@asynccontextmanager
async def serving(module: str, mode: str, url: str, folder: Path) -> AsyncIterator[Server]:
    """A web process that a module's own `serve` runs: its port and the process."""
    command = [sys.executable, "-m", module, mode, url, str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        yield int(await process.stdout.readline()), process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def under_load(place: Place, wrk: str, server: Server, script: Path, seconds: int) -> Run:
    """What wrk saw and what it cost the process and PostgreSQL."""
    port, process = server
    watched = psutil.Process(process.pid), place.postgres()
    before = [cpu_of(one) for one in watched]
    run = await load(wrk, port, script, seconds)
    used = [(cpu_of(one) - start) / run.answered * 1e6 for one, start in zip(watched, before, strict=True)]
    return replace(run, cpu=used[0], database_cpu=used[1])


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


async def on(url: str, query: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def answer(app: web.Application) -> None:
    """Serve until SIGTERM; prints the port."""
    runner = web.AppRunner(app, access_log=None, logger=SILENT)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


def main(serve: Callable[[str, str, Path], Awaitable[None]], modes: tuple[str, ...]) -> None:
    """The web process of one mode."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("mode", choices=modes)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    told = parser.parse_args()
    logs.set_up(Settings(log_level="error"))  # nobody reads what it prints after the port
    uvloop.run(serve(told.mode, told.url, told.folder))  # type: ignore[arg-type]
