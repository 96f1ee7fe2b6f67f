"""P6: hits that are answered after their commit, against one INSERT a hit and against recording nothing.

The product's own handlers in a process of their own, wrk at 64 connections, PostgreSQL with its defaults. Modes:
`group` is the product; `insert` the product with every hit written alone; `nothing` bare aiohttp that answers the same
picture. Prints one JSON line: hits a second, 99th percentile, CPU of the web process per hit, ratios of medians over
interleaved rounds, and how many answered hits were missing after a kill -9 (which must be none).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import uvloop
from aiohttp import web

from daemon.context import Context
from daemon.embedded import start
from daemon.hits import Hit
from daemon.migrate import migrate
from daemon.store import events
from daemon.store.events import Link
from daemon.web.app import public_app
from daemon.web.edge import SILENT
from daemon.web.links import PIXEL, PIXEL_HEADERS
from daemon.web.state import STATE
from tests.letters import make_context, write_letter

MODES = ("group", "insert", "nothing")
LETTERS = 200


async def measure(seconds: int = 4, rounds: int = 3, connections: int = 64) -> dict[str, float]:
    """The figures of P6 by name; see the module's docstring."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    folder = open_folder()
    servers = await start(folder / "data", with_valkey=False, keep=False)
    try:
        await migrate(servers.database_url)
        script = await seeded(servers.database_url, folder)
        rates, late, cpu = defaultdict(list), defaultdict(list), defaultdict(list)
        for _ in range(rounds):
            for mode in MODES:
                async with serving(mode, servers.database_url, folder) as (port, process):
                    before = cpu_seconds(process.pid)
                    told = await load(wrk, port, script, seconds, connections)
                    rates[mode].append(told["rate"])
                    late[mode].append(told["p99_ms"])
                    cpu[mode].append((cpu_seconds(process.pid) - before) / told["answered"] * 1e6)
        lost = sum([await lost_at_kill(wrk, servers.database_url, folder, script, connections) for _ in range(rounds)])
    finally:
        await servers.stop()
        shutil.rmtree(folder, ignore_errors=True)
    rate = {mode: statistics.median(rates[mode]) for mode in MODES}
    figures = {f"{mode}_per_s": round(rate[mode]) for mode in MODES}
    figures |= {f"{mode}_p99_ms": round(statistics.median(late[mode]), 1) for mode in MODES}
    figures |= {f"{mode}_cpu_us": round(statistics.median(cpu[mode]), 1) for mode in MODES}
    return figures | {
        "group_to_insert": round(rate["group"] / rate["insert"], 2),
        "group_to_nothing": round(rate["group"] / rate["nothing"], 2),
        "kills": rounds,
        "lost_at_kill": lost,
    }


def open_folder() -> Path:
    """One that the servers' own account can reach when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="tillbell-bench-"))
    folder.chmod(0o711)
    return folder


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
    command = [sys.executable, __file__, "--serve", mode, "--url", url, "--folder", str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        yield int(await process.stdout.readline()), process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def load(wrk: str, port: int, script: Path, seconds: int, connections: int) -> dict[str, float]:
    """What wrk saw."""
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{port}/"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    text = (await process.communicate())[0].decode()
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", text).groups()
    if refused := re.search(r"Non-2xx or 3xx responses: (\d+)", text):
        raise SystemExit(f"{refused[1]} requests were refused")
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "answered": int(re.search(r"(\d+) requests in", text)[1]),
        "p99_ms": float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
    }


async def lost_at_kill(wrk: str, url: str, folder: Path, script: Path, connections: int) -> int:
    """Answered hits that are nowhere after the process was killed amid traffic."""
    async with serving("group", url, folder) as (port, process):
        asyncio.get_running_loop().call_later(1.5, process.kill)
        told = await load(wrk, port, script, 3, connections)
    return max(0, int(told["answered"]) - await on(url, "SELECT count(*) FROM event"))


async def on(url: str, query: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--serve", choices=MODES)
    parser.add_argument("--url")
    parser.add_argument("--folder", type=Path)
    told = parser.parse_args()
    if told.serve:
        uvloop.run(serve(told.serve, told.url, told.folder))
    else:
        print(json.dumps({"goal": "P6"} | asyncio.run(measure(told.seconds, told.rounds, told.connections))))


if __name__ == "__main__":
    main()
