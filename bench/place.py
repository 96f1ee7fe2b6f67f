"""Where it is measured: an embedded PostgreSQL as it comes, a database and a daemon's context for each measurement."""

from __future__ import annotations

import gc
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import perf_counter, process_time
from types import TracebackType
from typing import Self

import asyncpg
import psutil
from pydantic import SecretStr

from daemon import logs
from daemon.context import Context
from daemon.embedded import Servers, start
from daemon.house import house
from daemon.migrate import migrate
from daemon.settings import Settings
from daemon.store import clock

NOON = datetime(2026, 3, 3, 11, 0, tzinfo=UTC)
"""Shop time at the start of each measurement: a Tuesday at midday in Berlin, so that nobody's rest is disturbed."""
SHOPS = """
shops:
  main:
    connector: push
    mode: live
    title: Laden
    url: https://shop.example
    cart_page: https://shop.example/cart
    zone: Europe/Berlin
    locale: de-DE
    holdout: 0%
    legal: de
    sender: {name: Laden, address: laden@shop.example, imprint: [Laden GmbH, Hauptstraße 1, 10115 Berlin]}
    connection: {secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}
"""
POLICY = """
extends: default
"""


@dataclass(slots=True)
class Place:
    """Running servers and a folder that they can reach."""

    servers: Servers
    folder: Path
    rules: Path
    databases: int = field(default=0)

    async def database(self, *, empty: bool = False) -> str:
        """The address of a database of its own, migrated unless it is somebody else's."""
        self.databases += 1
        name = f"bench_{self.databases}_{secrets.token_hex(3)}"
        connection = await asyncpg.connect(self.servers.database_url)
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        finally:
            await connection.close()
        address, mark, options = self.servers.database_url.partition("?")
        url = f"{address.rpartition('/')[0]}/{name}{mark}{options}"
        if not empty:
            await migrate(url)
        return url

    def settings(self, database_url: str, **more: object) -> Settings:
        chosen: Mapping[str, object] = {
            "database_url": SecretStr(database_url),
            "redis_url": SecretStr(self.servers.redis_url),
            "data_dir": self.folder / "house",
            "rules_dir": self.rules,
            "listen": "127.0.0.1:0",
            "private_listen": "127.0.0.1:0",
            "public_base_url": "https://t.shop.example",
            "secret": SecretStr("s" * 40),
            "pepper": SecretStr("p" * 40),
            "log_level": "error",
            **more,
        }
        return Settings.model_validate(chosen)

    @asynccontextmanager
    async def household(self, database_url: str = "", **more: object) -> AsyncIterator[Context]:
        """A daemon's context with nothing at work in it; shop time runs from NOON on."""
        url = database_url or await self.database()
        async with house(self.settings(url, **more), url) as context:
            if not database_url:
                await clock.set_clock(context.pool, NOON, Decimal(1))
            yield context

    def postgres(self) -> psutil.Process:
        """The postmaster."""
        data = next(self.folder.glob("data/**/postmaster.pid"))
        return psutil.Process(int(data.read_text().splitlines()[0]))


@asynccontextmanager
async def open_place() -> AsyncIterator[Place]:
    """Servers with their default settings, fsync on; all gone afterwards."""
    logs.set_up(Settings(log_level="error"))
    folder = Path(tempfile.mkdtemp(prefix="tillbell-bench-"))
    os.chmod(folder, 0o711)  # noqa: PTH101 - the servers' own account has to reach it when we are root
    rules = folder / "rules"
    rules.mkdir()
    (rules / "shops.yaml").write_text(SHOPS)
    (rules / "main.yaml").write_text(POLICY)
    try:
        async with await start(folder / "data", keep=False) as servers:
            yield Place(servers, folder, rules)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def settle(context: Context) -> None:
    """What autovacuum does within a minute: statistics, so that plans are those of a shop that has been running."""
    gc.collect()
    gc.freeze()  # the made-up carts are ours, not the product's: its garbage collector shall not walk them
    async with context.pool.acquire() as connection:
        await connection.execute("VACUUM ANALYZE")


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU that a process and its children, living and dead, have used."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


@dataclass(slots=True)
class Meter:
    """Wall time, our CPU time and PostgreSQL's, in seconds, summed over the spans it was entered for."""

    database: psutil.Process
    wall: float = 0.0
    cpu: float = 0.0
    database_cpu: float = 0.0

    def __enter__(self) -> Self:
        self.database_cpu -= cpu_of(self.database)
        self.cpu -= process_time()
        self.wall -= perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall += perf_counter()
        self.cpu += process_time()
        self.database_cpu += cpu_of(self.database)

    def per(self, count: int) -> str:
        """CPU per item, ours and the database's."""
        return f"{self.cpu / count * 1e6:.0f} + {self.database_cpu / count * 1e6:.0f} µs CPU"


def machine() -> str:
    """What the figures were measured on, in one line."""
    busy = os.getloadavg()[0]
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB; before the start load {busy:.1f} and "
        f"{fdatasync_rate():,.0f} fdatasync/s, which bounds commits"
    )


def fdatasync_rate() -> float:
    """Of 8 KiB each, one after the other, for half a second: on a shared disk this swings more than anything else."""
    with tempfile.TemporaryFile() as file:
        began, count = perf_counter(), 0
        while perf_counter() - began < 0.5:
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fdatasync(file.fileno())
            count += 1
        return count / (perf_counter() - began)
