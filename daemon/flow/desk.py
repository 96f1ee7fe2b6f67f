"""Where a web process takes hits in: into the database in groups, or onto its own disk while that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import groupby

import asyncpg
import structlog
from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from daemon import metrics
from daemon.batcher import Batcher
from daemon.clock import machine_now, monotonic
from daemon.context import Context
from daemon.flow import optout
from daemon.hits import Hit, from_line
from daemon.journal import Journal, Line
from daemon.store import events
from daemon.store.database import PATIENCE, Connection, is_transient
from daemon.store.events import Kept, Link

log = structlog.get_logger()

DEADLINE = 3.0
"""Seconds that a hit waits for the database before it goes to the journal."""
LOOK_AGAIN = 1.0
"""Seconds between two looks whether the database is back."""
LAST_LOOK = 10.0
"""Seconds that an ending process spends on its journal; the rest is for the next one."""
LINKS = 20_000
"""Links that are remembered for the time when the database is away."""
OPTOUTS = ("unsubscribed", "resubscribed")


class Desk:
    """One per web process. What it has taken is on a disk: the database's, or that of the data folder."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.journal = Journal(context.data_dir / "journal", context.process)
        self.batcher: Batcher[Hit, Kept] = Batcher("hits", self._write)
        self.away = False
        self.links: dict[tuple[int, int, int], Link] = {}
        self._connection: PoolConnectionProxy[Record] | None = None
        self._turn = asyncio.Lock()
        self._speed = 1.0
        self._shop_time: tuple[datetime, float] | None = None
        self._wake = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take over what earlier processes left on the disk, and go on looking after it."""
        await self._catch_up()
        self._keeper = asyncio.create_task(self._keep(), name="desk")

    async def close(self) -> None:
        """Answer what was taken, bring the journal home if the database is there, let go of the rest."""
        await self.batcher.close()
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_LOOK):
                await self._catch_up()
        await self.journal.close()
        await self._let_go()

    async def record(self, hit: Hit) -> Link | None:
        """The link that was hit, when the hit is durable. Raises `Full` or OSError when nothing could take it."""
        if not self.away:
            try:
                return self._remember(hit, await self.batcher.submit(hit))
            except Exception as error:
                self._failed(error)
        await self.journal.append(self._timed(hit).line())
        return self.link(hit)

    async def opt_out(self, hit: Hit, *, noted: bool = True) -> None:
        """An `unsubscribed` or `resubscribed` hit has had its effect, or will have it before anything else is sent.
        `noted`: with a row that tells of it."""
        if not self.away:
            try:
                async with asyncio.timeout(DEADLINE):
                    await optout.settle(self.context.pool, hit, noted=noted)
                return
            except Exception as error:
                self._failed(error)
        await self.journal.append(self._timed(hit).line())

    def link(self, hit: Hit) -> Link | None:
        """What is remembered of a link, without asking the database."""
        return self.links.get((hit.shop_id, hit.message_id, hit.link_no)) if hit.link_no is not None else None

    def reasons(self) -> list[str]:
        """Why this process is degraded."""
        found = ["PostgreSQL is out of reach; hits go to the journal"] if self.away else []
        if lines := self.journal.lines:
            found.append(f"{lines} hits in the journal wait for PostgreSQL")
        return found

    async def _write(self, hits: Sequence[Hit]) -> Sequence[Kept]:
        async with self._line() as db:
            return await events.record(db, hits)

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[Connection]:
        """A connection of our own, from the first hit on: busy workers cannot keep hits waiting, and to give it back
        after each group would cost a round trip. One user at a time; after a failure the next gets a new one.
        """
        async with self._turn:
            try:
                if self._connection is None:
                    self._connection = await self.context.pool.acquire(timeout=PATIENCE)
                async with asyncio.timeout(DEADLINE):
                    yield self._connection
            except BaseException as error:
                if is_transient(error) or not isinstance(error, Exception):
                    await self._let_go(broken=True)
                raise

    async def _let_go(self, *, broken: bool = False) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(asyncpg.InterfaceError, asyncpg.PostgresError, OSError, TimeoutError):
                # InterfaceError: the pool has noticed before us, and taken it back
                if broken:
                    connection.terminate()
                await self.context.pool.release(connection, timeout=PATIENCE)

    def _remember(self, hit: Hit, kept: Kept) -> Link | None:
        self._shop_time = (kept.at, monotonic())
        if kept.link is not None and hit.link_no is not None:
            if len(self.links) >= LINKS:
                self.links.pop(next(iter(self.links)))
            self.links[hit.shop_id, hit.message_id, hit.link_no] = kept.link
        return kept.link

    def _failed(self, error: Exception) -> None:
        if is_transient(error):
            if not self.away:
                log.warning("database away", error=type(error).__name__)
            self.away = True
            metrics.database_away.set(1)
        else:
            log.error("hit refused by the database", error=type(error).__name__)
        self._wake.set()

    def _timed(self, hit: Hit) -> Hit:
        """With the shop time that we know of; the host's clock is asked only if the database never was."""
        if self._shop_time is None:
            return hit._replace(at=machine_now())
        at, then = self._shop_time
        return hit._replace(at=at + timedelta(seconds=(monotonic() - then) * self._speed))

    async def _keep(self) -> None:
        while not self.batcher.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN):
                    await self._wake.wait()
            if self.away:
                await asyncio.sleep(LOOK_AGAIN / 4)
            self._wake.clear()
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Is the database there? Then everything from the journal goes into it."""
        try:
            async with self._line() as db:
                self._speed = await events.clock_speed(db)
            self.away = False
            metrics.database_away.set(0)
            if done := await self.journal.replay(self._replay):
                log.info("journal replayed", hits=done)
        except Exception as error:
            self._failed(error)

    async def _replay(self, lines: Sequence[Line]) -> None:
        for is_optout, group in groupby(map(from_line, lines), key=lambda hit: hit.kind in OPTOUTS):
            hits = list(group)
            if is_optout:
                for hit in hits:
                    await optout.settle(self.context.pool, hit)
            else:
                async with self._line() as db:
                    await events.record(db, hits, again=True)
