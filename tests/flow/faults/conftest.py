"""A stage for accidents: a shop with many carts, a relay that counts, and workers that may be killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from daemon import faults
from daemon.context import Context
from daemon.flow import decide, enrol, ingest, keep, prepare
from daemon.flow.keep import Look
from daemon.house import house
from daemon.settings import Settings
from daemon.shops.base import CartSnapshot, Line, OrderSnapshot
from daemon.store import books, clock, work
from daemon.store.database import again, connect_pool
from tests.flow.faults.reach import REACH, at_their_browsers, customer, policy

HERE = Path(__file__).parent
START = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
SHOPS = """
shops:
  main:
    connector: push
    mode: live
    url: https://shop.example
    cart_page: https://shop.example/cart
    zone: Europe/Berlin
    locale: de-DE
    holdout: 0%
    legal: de
    existing_customer_notice: {since: 2020-01-01, version: "1"}
    sender:
      name: Laden
      address: laden@shop.example
      imprint: [Laden GmbH, Hauptstraße 1, 10115 Berlin]
    connection:
      secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
"""
PERSONS = re.compile(r"\bp\d+(?:@|%40)|4915112\d{6}|Kanaria|Leckmann")
"""What nobody but the shop may know of those whom `reach.customer` makes."""
ALONE = """
SELECT count(*) = 0 FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> ALL($1)
"""
MODES = {"live": "mode: live", "rehearsal": "mode: rehearsal\n    rehearsal_to: me@shop.example"}


@dataclass
class Relay:
    """The relay's or another provider's process, asked over its control port."""

    control: int

    async def ask(self, *tell: str, **words: Any) -> dict[str, Any]:
        """What it knows under these names, after `words` have been changed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.control, limit=1 << 26)
        writer.write(json.dumps({"set": words, "tell": list(tell)}).encode() + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return dict(answer)


class Nobody(Relay):
    """Where nothing leaves the house."""

    async def ask(self, *tell: str, **words: Any) -> dict[str, Any]:
        return {"taken": [], "under_way": {}}


@dataclass
class Worker:
    """A forked `tillbell run --only worker`; `name` is what it says in EHLO."""

    pid: int
    name: str
    log: Path

    def sends(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def lives(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def left_with(self, code: int) -> bool:
        """Whether it came to its end by itself, with this exit code: nobody waits for a fork of the nursery."""
        return self.log.read_text().endswith(f"left with {code}\n")

    def fired(self, point: str) -> bool:
        """Whether it reached its crash point, as it said itself."""
        return f"{faults.FIRED} {point}\n" in self.log.read_text()


@dataclass
class Stage:
    """One shop at noon. Its clock runs as fast as any."""

    context: Context
    relay: Relay
    env: dict[str, str]
    folder: Path
    stack: AsyncExitStack
    channel: str = "email"
    nursery: asyncio.subprocess.Process | None = None
    nursery_words: dict[str, str] = field(default_factory=dict)
    """Environment of the process that workers are forks of."""
    born: list[Worker] = field(default_factory=list)

    @property
    def shop_id(self) -> int:
        return self.context.shop_ids["main"]

    async def now(self) -> datetime:
        return await clock.shop_now(self.context.pool)

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        return list(await self.context.pool.fetch(sql, *values))

    async def value(self, sql: str, *values: Any) -> Any:
        return await self.context.pool.fetchval(sql, *values)

    async def states(self) -> dict[str, int]:
        return dict(await self.fetch("SELECT state, count(*)::int FROM message GROUP BY 1"))

    async def prepared(self, count: int) -> None:
        """So many persons, each with a message that is due: by the shop's push and the real steps 2 to 5."""
        left_at = START - timedelta(hours=2)
        for first in range(0, count, 1000):
            carts = [self.cart(number, left_at) for number in range(first, min(first + 1000, count))]

            async def body(db: Any, carts: Any = carts) -> int:
                await work.serialise(db, self.shop_id)
                look = Look(left_at, ingest.micros(left_at), pushed=True)
                return await keep.keep_carts(self.context, db, self.shop_id, carts, look)

            await again(self.context.pool, body)
        await at_their_browsers(self, self.channel, count)
        now = await self.now()
        for step in (enrol.resting_carts, decide.due_recoveries, prepare.planned_messages):
            while await step(self.context, self.shop_id, now):
                pass
        self.context.rung.clear()
        assert await self.states() == {"prepared": count}
        await self.context.pool.execute("ANALYZE")

    def cart(self, number: int, left_at: datetime, pieces: int = 1) -> CartSnapshot:
        address = "https://shop.example/p/red"
        line = Line("red", "red", "Schuh", Decimal(pieces), Decimal("49.90"), product_url=address)
        total = Decimal("49.90") * pieces
        return CartSnapshot(
            f"c{number}",
            customer(number, self.channel),
            (line,),
            "EUR",
            total,
            source_updated_at=left_at,
            time_precision="second",
        )

    def order(self, number: int, at: datetime) -> OrderSnapshot:
        who = customer(number)
        return OrderSnapshot(f"o{number}", at, "paid", "purchase", Decimal("49.90"), "EUR", who.ref, who.email)

    async def buys(self, context: Context, number: int) -> None:
        """A purchase as the shop would push it."""
        now = await clock.shop_now(context.pool)

        async def body(db: Any) -> int:
            await work.serialise(db, self.shop_id)
            look = Look(now, ingest.micros(now), pushed=True)
            return await keep.keep_orders(context, db, self.shop_id, [self.order(number, now)], look)

        await again(context.pool, body)

    async def beside(self, size: int = 6) -> Context:
        """Another process's context, as far as the database can tell: connections of its own."""
        pool = await connect_pool(self.env["TILLBELL_DATABASE_URL"], size)
        self.stack.push_async_callback(pool.close)
        return replace(self.context, pool=pool, process=f"beside.{id(pool)}", deliveries={}, rung=set())

    async def worker(
        self,
        *,
        sabotage: str = "",
        fault: str = "",
        only: str = "worker",
        log: Path | None = None,
        nursery: asyncio.subprocess.Process | None = None,
        **env: str,
    ) -> Worker:
        """One more worker; it is a fork, so it is at work within a moment. `fault`: words of `daemon.faults.arm`.
        `nursery`: of another machine."""
        if nursery is None and self.nursery is None:
            self.nursery = await self.stack.enter_async_context(program("nursery.py", env=self.nursery_words))
        nursery = nursery or self.nursery
        assert nursery is not None
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        name = f"w{len(self.born)}.example"
        words = {**self.env, "TILLBELL_SMTP_HELO": name, **env}
        log = log or self.folder / f"{name}.log"
        order = {"env": words, "sabotage": sabotage, "fault": fault, "only": only, "log": str(log)}
        nursery.stdin.write(json.dumps(order).encode() + b"\n")
        made = Worker(int(await nursery.stdout.readline()), name, log)
        self.born.append(made)
        return made

    async def until(self, holds: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
        """Looks at rows and at the relay until it is so."""
        try:
            async with asyncio.timeout(within):
                while not await holds():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            said = "\n".join(log.read_text()[-2000:] for log in sorted(self.folder.glob("w*.log")))
            pytest.fail(f"not within {within} s; states {await self.states()}; the workers said:\n{said[-6000:]}")

    async def leases_end(self) -> None:
        """What those who are dead or frozen have claimed, and the reaper's rest, are over at once."""
        await self.context.pool.execute(
            "UPDATE message SET lease_until_real = clock_timestamp() WHERE state = 'sending'"
        )
        await self.context.pool.execute(
            "UPDATE work SET due_at = $1, holder = NULL, lease_until_real = NULL WHERE name = 'sweep'", START
        )

    async def sessions_end(self) -> None:
        """What the dead had said to PostgreSQL is done or undone: nobody but this process talks to it any more."""

        async def alone() -> bool:
            connections = [one._con for one in self.context.pool._holders if one._con is not None]
            ours = [one.get_server_pid() for one in connections]
            return bool(await self.value(ALONE, ours))

        await self.until(alone)

    async def bell_forgets(self) -> None:
        """A job that died with its worker is rung anew after five seconds: here at once. Redis holds nothing else."""
        client = redis.asyncio.Redis.from_url(self.env["TILLBELL_REDIS_URL"])
        await client.flushdb()
        await client.aclose()

    async def no_deadlocks(self) -> None:
        """Of this test's database, as PostgreSQL counts them."""
        await self.context.pool.fetchval("SELECT pg_stat_force_next_flush()")
        count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert await self.value(count) == 0

    async def tells_nobody(self) -> None:
        """No log of a worker and nothing in Redis says who anybody is."""
        texts = {log.name: log.read_text(errors="replace") for log in self.folder.glob("w*.log")}
        client = redis.asyncio.Redis.from_url(self.env["TILLBELL_REDIS_URL"], socket_timeout=5)
        with suppress(redis.exceptions.RedisError, OSError):  # some tests have done away with it
            async for key in client.scan_iter():
                texts["Redis"] = texts.get("Redis", "") + (key + (await client.dump(key) or b"")).decode("latin-1")
        await client.aclose()
        found = {name: PERSONS.findall(text)[:3] for name, text in texts.items() if PERSONS.search(text)}
        assert found == {}, "who somebody is, told where it must not be"

    async def books_are_clean(self) -> None:
        assert await books.violations(self.context.pool, await self.now()) == []


@asynccontextmanager
async def program(
    name: str, *arguments: str, env: Mapping[str, str] | None = None, within: Sequence[str] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A script of this folder in a session of its own, so that it and what it forks can be ended together. `within`:
    the command that runs the command."""
    process = await asyncio.create_subprocess_exec(
        *within,
        sys.executable,
        str(HERE / name),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        cwd=HERE.parents[2],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[2]), **(env or {})},
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert (await process.stdout.readline()).strip() == b"ready"
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.fixture
async def make_stage(
    database: str, open_folder: Path, redis_url: str, unused_tcp_port_factory: Any
) -> AsyncIterator[Callable[..., Awaitable[Stage]]]:
    made: list[Stage] = []
    async with AsyncExitStack() as stack:

        async def make(
            mode: str = "live", channel: str = "email", shop: str = "", at: str = "", **settings: str
        ) -> Stage:
            """`channel` has its provider here, in a process of its own, that counts what it took. `shop`: more of its
            words. `at`: another address for the relay."""
            reach, ports = REACH[channel], (unused_tcp_port_factory(), unused_tcp_port_factory())
            rules = open_folder / "rules"
            rules.mkdir()
            more = shop + reach.shop.replace("FOLDER", str(open_folder / "lists"))
            shops = SHOPS.replace("mode: live", MODES[mode]).replace("    sender:\n", f"{more}    sender:\n")
            (rules / "shops.yaml").write_text(shops)
            (rules / "main.yaml").write_text(policy(channel))
            relay = Relay(ports[1]) if reach.program else Nobody(0)
            if reach.program:
                await stack.enter_async_context(program(*reach.program, *map(str, ports), *([at] if at else [])))
            words = {
                "database_url": database,
                "redis_url": redis_url,
                "data_dir": str(open_folder / "data"),
                "rules_dir": str(rules),
                "public_base_url": "https://t.shop.example",
                "listen": "127.0.0.1:0",
                "private_listen": "127.0.0.1:0",
                "secret": "s" * 40,
                "pepper": "p" * 40,
                "log_format": "json",
                **{name: word.replace("PORT", str(ports[0])) for name, word in reach.settings.items()},
                **settings,
            }
            chosen = Settings(**words)  # type: ignore[arg-type]
            context = await stack.enter_async_context(house(chosen, words["database_url"]))
            await clock.set_clock(context.pool, START, Decimal(1))
            await context.pool.execute("UPDATE work SET due_at = $1", START)
            env = {f"TILLBELL_{key.upper()}": value for key, value in words.items()}
            made.append(Stage(context, relay, env, open_folder, stack, channel))
            return made[-1]

        yield make
        for stage in made:
            await stage.tells_nobody()
