"""P6: hits that are answered after their commit, against one INSERT a hit and against recording nothing.

The product's own handlers in a process of their own, wrk at 64 connections, PostgreSQL with its defaults. Modes:
`group` is the product; `insert` the product with every hit written alone; `nothing` bare aiohttp that answers the same
picture. nginx, where it is installed, answers one from its memory. Medians over interleaved rounds, and how many
answered hits were missing after a kill -9 (which must be none).
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from aiohttp import web

from bench.measured import Measured, Row
from bench.peers.pictures import nginx
from bench.place import Place
from bench.traffic import CONNECTIONS, Run, answer, load, main, on, serving, under_load
from daemon.context import Context
from daemon.hits import Hit
from daemon.store import events
from daemon.store.events import Link
from daemon.web.app import public_app
from daemon.web.links import PIXEL, PIXEL_HEADERS
from daemon.web.state import STATE
from tests.letters import make_context, write_letter

MODULE = "bench.p06_pixel"
MODES = ("group", "insert", "nothing")
LETTERS = 200


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
    limit: list[Run] = []
    for _ in range(rounds):
        for mode in MODES:
            await on(url, "TRUNCATE event")
            async with serving(MODULE, mode, url, folder) as server:
                runs[mode].append(await under_load(place, wrk, server, script, seconds))
        if program := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"):
            async with nginx(program, folder / "nginx") as server:
                limit.append(await under_load(place, wrk, server, script, seconds))
    lost = sum([await lost_at_kill(wrk, url, folder, script) for _ in range(rounds)])
    measured = told({mode: Run.median(each) for mode, each in runs.items()}, lost, rounds)
    measured.rows += beside(Run.median(runs["group"]), limit)
    return measured


def beside(ours: Run, limit: list[Run]) -> list[Row]:
    """What the request alone costs a server in C that does nothing else."""
    if not limit:
        return [Row("P6", "nginx, a picture from memory", "not measured: nginx is not installed")]
    theirs = Run.median(limit)
    return [
        Row("P6", "nginx, a picture from memory", f"{theirs}"),
        Row(
            "P6", "hits after commit, to that, by CPU", f"{ours.cpu:.0f} and {theirs.cpu:.0f} µs", theirs.cpu / ours.cpu
        ),
    ]


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


async def lost_at_kill(wrk: str, url: str, folder: Path, script: Path) -> int:
    """Answered hits that are nowhere after the process was killed amid traffic."""
    await on(url, "TRUNCATE event")
    async with serving(MODULE, "group", url, folder) as (port, process):
        asyncio.get_running_loop().call_later(1.5, process.kill)
        run = await load(wrk, port, script, 3)
    return max(0, run.answered - await on(url, "SELECT count(*) FROM event"))


async def serve(mode: str, url: str, folder: Path) -> None:
    """One web process in this mode."""
    context = await make_context(url, folder)
    app = bare() if mode == "nothing" else public_app(context)
    if mode != "nothing":
        app[STATE].hits.most = 10**9  # few mails stand for many
    if mode == "insert":
        app[STATE].desk.record = one_by_one(context)
    await answer(app)
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


if __name__ == "__main__":
    main(serve, MODES)
