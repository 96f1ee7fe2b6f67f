"""P1 as it is: mails a second through the real daemon, from carts at rest to the relay's 250, and where the time goes.

The carts lie in the database and the workers are up before the clock jumps to the moment when all carts are at rest.
From then on counts every millisecond until the last mail is recorded as accepted. The phases are measured once more in
this process, one after the other, because in the daemon they overlap.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import asyncpg
import psutil

from bench import peers
from bench.crowd import cart, keep_all
from bench.measured import Measured, Row
from bench.phases import of_one_process
from bench.place import NOON, Place, cpu_of, settle
from bench.post import Relay, open_relay
from daemon.mail.packed import unpacked
from daemon.store import clock

BEFORE = NOON - timedelta(hours=4)
"""Shop time while the workers start: nothing is due yet."""
PATIENCE = 240
ONE_MAIL = "SELECT letter FROM message WHERE letter IS NOT NULL LIMIT 1"


@dataclass(frozen=True, slots=True)
class Sent:
    """What one run came to; CPU in seconds, memory in MiB."""

    mails: int
    wall: float
    cpu: float
    database_cpu: float
    relay_cpu: float
    memory: list[float]

    @property
    def per_second(self) -> float:
        return self.mails / self.wall

    def figure(self) -> str:
        each = 1e6 / self.mails
        memory = " and ".join(f"{one:.0f}" for one in self.memory)
        return f"{self.per_second:,.0f}/s, {self.cpu * each:.0f} + {self.database_cpu * each:.0f} µs CPU, {memory} MiB"


async def measure(place: Place, mails: int = 1000) -> Measured:
    """One worker process, then two, `mails` each; then the phases."""
    told = Measured()
    async with open_relay() as relay:
        runs = {workers: await through_daemon(place, relay, workers, mails) for workers in (1, 2)}
        phases, inside = await of_one_process(place, relay, mails)
        others = await peers_of(place, relay, mails, runs[2].per_second)
    told.rows += [
        Row("P1", "whole mail path, one worker", runs[1].figure()),
        Row("P1", "whole mail path, two workers", runs[2].figure(), runs[2].per_second / runs[1].per_second),
        *others,
        *phases,
    ]
    told.figures = {f"mails_per_s_{workers}": round(run.per_second, 1) for workers, run in runs.items()}
    told.notes += [
        f"the relay is {relay.program}: {runs[1].relay_cpu / mails * 1e6:.0f} µs CPU a mail of its own",
        inside,
    ]
    return told


async def through_daemon(place: Place, relay: Relay, workers: int, mails: int) -> Sent:
    """So many worker processes on a database of their own."""
    url = await place.database()
    async with place.household(url) as context:
        await keep_all(context, (cart(n, NOON, consents=True) for n in range(mails)), NOON)
        await settle(context)
        await clock.set_clock(context.pool, BEFORE, Decimal(0))
        async with AsyncExitStack() as stack:
            processes = [await stack.enter_async_context(worker(place, url, relay)) for _ in range(workers)]
            await until(context.pool, "SELECT count(*) FROM heartbeat", workers)
            watched = [*processes, place.postgres(), relay.process]
            before = [cpu_of(one) for one in watched]
            await clock.set_clock(context.pool, NOON, Decimal(1))
            began = perf_counter()
            await until(context.pool, "SELECT count(*) FROM message WHERE state = 'accepted'", mails)
            wall = perf_counter() - began
            used = [cpu_of(one) - start for one, start in zip(watched, before, strict=True)]
            memory = [one.memory_info().rss / 2**20 for one in processes]
            await asyncio.to_thread(keep_parts, place.folder, await context.pool.fetchval(ONE_MAIL))
    return Sent(mails, wall, sum(used[:workers]), used[-2], used[-1], memory)


@asynccontextmanager
async def worker(place: Place, url: str, relay: Relay) -> AsyncIterator[psutil.Process]:
    """`tillbell run --only worker`, until the end of the block."""
    settings = place.settings(url, smtp_host="127.0.0.1", smtp_port=relay.port, smtp_tls="none")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TILLBELL_")}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        environment[f"TILLBELL_{name.upper()}"] = text
    command = [sys.executable, "-m", "daemon", "run", "--only", "worker"]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


def keep_parts(folder: Path, letter: bytes) -> None:
    """Both parts of one of our mails, for those who shall send as much."""
    for name, text in unpacked(letter).items():
        (folder / name).write_text(text.replace("Ada", "NAME"))


async def peers_of(place: Place, relay: Relay, mails: int, ours: float) -> list[Row]:
    """What others make of the same work or a part of it: mails of our size into the same relay, after our own runs."""
    parts = place.folder / "html", place.folder / "text"
    rows = []

    async def row(what: str, run: Awaitable[dict[str, float]]) -> None:
        try:
            told = await run
        except peers.Absent as absent:
            rows.append(Row("P1", what, f"not measured: {absent}"))
        else:
            figure = f"{told['per_s']:,.0f}/s, {told['cpu_us']:.0f} µs CPU"
            rows.append(Row("P1", what, figure, ours / told["per_s"]))

    async def nodemailer() -> dict[str, float]:
        node, script = await peers.node_with(place.folder / "node", "mails.mjs", "nodemailer")
        return await peers.told(node, script, relay.port, mails, *parts)

    async def post_office() -> dict[str, float]:
        python = await peers.python_with(place.folder / "django", "django-post-office", "psycopg[binary]")
        return await peers.told(
            python, peers.HERE / "queued_mails.py", await place.database(empty=True), relay.port, mails, *parts
        )

    await row("two workers, to nodemailer without a database", nodemailer())
    await row("two workers, to django-post-office with PostgreSQL", post_office())
    return rows


async def until(pool: asyncpg.Pool[asyncpg.Record], query: str, wanted: int) -> None:
    """Looked at twenty times a second; gives up when it takes too long."""
    async with asyncio.timeout(PATIENCE):
        while await pool.fetchval(query) < wanted:  # noqa: ASYNC110 - other processes do the work
            await asyncio.sleep(0.05)
