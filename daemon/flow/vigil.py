"""The vigil: may this process claim at all? A database that has forgotten, a long silence and a full disk say no."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import structlog

from daemon import metrics
from daemon.clock import monotonic
from daemon.context import Context
from daemon.memory import Memory
from daemon.schema import check_schema
from daemon.store import clock, instance, shops
from daemon.store.database import Connection, again

log = structlog.get_logger()

LONG = timedelta(hours=24)
"""Machine time without any process that works, after which steps that are overdue are not made up for."""
JUMP = timedelta(seconds=10)
"""Less than this no clock is put back by: NTP slews."""
FRESH = 30.0
"""Seconds for which a beat says that the database is still the one it was."""
NEAR = 1_000
"""Beats, an hour or more: so close to what this host remembers, a database that has moved is the newest one."""
FULL_REST = 30.0
"""Seconds without a claim after the database had no room: what leaves must be able to be recorded."""
LEAP = 100_000_000
"""Messages that may have been sent since a backup was made: their numbers are not given to others. A leap is longer by
chance, by as much at most: what was sent after the first of two restores of the same backup is out there, too."""
LOOK_EVERY = 2.0
MEGABYTE = 1024 * 1024
OLDER = (
    "this database is older than what this host remembers of it: a backup was restored, so what was sent, and who "
    "unsubscribed or was erased since then, is forgotten; `tillbell resume` goes on without what was due before"
)
COPY = (
    "this database was copied or restored from another server, which may be sending the same; make sure that only one "
    "is live, then `tillbell resume` goes on without what was due before"
)


class Vigil:
    """One per process. `journal_lines` says how many hits wait on this process's disk."""

    def __init__(
        self, context: Context, kind: Literal["all", "web", "worker"], version: str, journal_lines: Callable[[], int]
    ) -> None:
        self.context = context
        self.kind = kind
        self.version = version
        self.journal_lines = journal_lines
        self.memory = Memory(context.data_dir)
        self.beat_at: float | None = None
        self.looked_at = -LOOK_EVERY
        self.room = ""
        self.turn = asyncio.Lock()

    async def beat(self) -> None:
        """This process is alive, and the database is the one it remembers. Raises ConfigurationError for a schema that
        is not ours, and what the database raises when it is away."""
        async with self.turn:
            known = await again(self.context.pool, self._beat)
            self.beat_at = monotonic()
            if known is not None:
                try:
                    await asyncio.to_thread(self.memory.keep, known.id, known.beats)
                except OSError as error:
                    log.warning("heartbeat", remembered="no", problem=error.strerror)

    async def _beat(self, db: Connection) -> instance.Beat | None:
        await check_schema(db)  # type: ignore[arg-type]  # a pool's connection is one
        context = self.context
        await shops.beat(db, context.process, self.kind, self.version, self.journal_lines(), "; ".join(self.reasons()))
        told = await instance.beat(db, works=self.kind != "web")
        if told is not None:
            await self._judge(db, told)
        return told

    async def _judge(self, db: Connection, told: instance.Beat) -> None:
        known = self.memory.beats(told.id)
        older = known is not None and told.beats <= known
        moved = told.home not in ("", told.here)
        now = await clock.shop_now(db)
        if told.put_back > JUMP:
            await instance.put_back(db, told.put_back, list(self.context.channels), now)
            log.warning("heartbeat", clock="was put back", by=str(told.put_back))
        if older or (moved and (known is None or told.beats > known + NEAR)):
            reason = OLDER if older else COPY
            if await instance.hold(db, reason, now):
                log.error("held", because=reason)
            await instance.leap(db, LEAP + secrets.randbelow(LEAP))
        elif told.silence > LONG:
            reason = (
                f"nothing ran for {told.silence.total_seconds() / 3600:.0f} hours: what was due then is not made up for"
            )
            await instance.stood_still(db, reason, now, told.silence)
            log.warning("held", because=reason)
        if moved or older or not told.home:
            await instance.settle(db, told.here, (known or 0) + NEAR if older else 0)

    async def may_claim(self) -> bool:
        """Asked before each round of claims."""
        if self.context.cut_off or self.beat_at is None or monotonic() - self.beat_at > FRESH:
            await self.beat()
        return not self.reasons()

    def reasons(self) -> list[str]:
        """Why nothing is claimed here, in sentences. A held database is a pause, and shows as such."""
        found = [self._room_on_disk(), self._room_in_database()]
        return [one for one in found if one]

    def _room_on_disk(self) -> str:
        if monotonic() - self.looked_at > LOOK_EVERY:
            self.looked_at = monotonic()
            try:
                self.context.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
                free = shutil.disk_usage(self.context.data_dir).free
            except OSError as error:
                self.room = f"nothing is claimed: the data folder cannot be looked at: {error.strerror}"
                return self.room
            metrics.disk_free.set(free)
            least = self.context.settings.least_disk
            short = free < least * MEGABYTE
            text = f"{free // MEGABYTE} MB are free in the data folder, and TILLBELL_LEAST_DISK asks for {least}"
            self.room = f"nothing is claimed: {text}" if short else ""
            metrics.held.labels("disk").set(short)
        return self.room

    def _room_in_database(self) -> str:
        full_at = self.context.full_at
        full = full_at is not None and monotonic() - full_at < FULL_REST
        metrics.held.labels("database").set(full)
        return "nothing is claimed: the database had no room a moment ago" if full else ""
