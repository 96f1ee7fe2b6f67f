"""The life of a cart in order, and who does it when: whoever opens this file sees all the work there is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from asyncpg import InterfaceError, PostgresError

from daemon.clock import monotonic
from daemon.context import Context
from daemon.flow import (
    asking,
    audiences,
    callbacks,
    decide,
    deliver,
    enrol,
    ingest,
    mailbox,
    post,
    prepare,
    reconcile,
    stop,
    track,
)
from daemon.flow.shops import ENDINGS
from daemon.logs import told
from daemon.shops.base import ShopUnavailable
from daemon.store import clock, work
from daemon.store.database import Unanswered, is_transient

log = structlog.get_logger()

LEASE = timedelta(seconds=30)
"""Machine time: so long the work of a worker that was killed waits for the next one."""
RENEW = LEASE.total_seconds() / 3
"""Seconds after which a lease is renewed before the next batch."""

SOON = 1.0
"""Seconds until work is tried again that the database broke off."""
DATABASE = (PostgresError, InterfaceError, Unanswered)


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work of one shop. A batch says how many it found; the loop around it drains until there is none."""

    do: Callable[[Context, int, datetime], Awaitable[int]]
    once: bool = False
    """It looks after itself: its row says when it is due and who is at it."""
    shared: bool = False
    """Any number of workers may be at it at once."""
    full: int = 1
    """A batch that found fewer was the last: what comes meanwhile rings, or is found by the next tick."""


FLOW = {
    "poll": Work(ingest.poll, once=True),  # 1 look at the shop  2 keep what changed
    "inbox": Work(ingest.work_off_inbox),  # 2 keep what was pushed
    "enrol": Work(enrol.resting_carts, full=enrol.MOST),  # 3 carts at rest become recoveries
    "decide": Work(decide.due_recoveries, full=decide.MOST),  # 4 ask the rules
    "prepare": Work(prepare.planned_messages, full=prepare.MOST),  # 5 links, render
    "deliver": Work(deliver.due_messages, shared=True),  # 6 claim  7 send  8 record
    "reconcile": Work(reconcile.look_up),  # 8 what nobody knows is looked up where that can be asked
    "confirm": Work(asking.due_requests, shared=True),  # a consent is to be confirmed: by a message of its own
    "react": Work(track.reactions, full=track.MOST),  # 9 what came back has its effect
    "mailbox": Work(mailbox.look, once=True),  # 9 what lies in the shop's mailbox is fetched
    "callbacks": Work(callbacks.work_off),  # 9 what providers of channels tell has its effect
    "post": Work(post.work_off),  # 9 what came by mail has its effect, too
    "audiences": Work(audiences.sync, once=True),  # 10 who bought or withdrew is out of the ad audiences
    "sweep": Work(stop.sweep, once=True),  # 10 close what is over, find what was lost
}


MAY_END_A_STAY = frozenset({"poll", "inbox", "react", "callbacks", "post", "decide"})
"""Works that may have found a reason why somebody joins or leaves an ad audience."""


class Runner:
    """Does work in this process: each (work, shop) once at a time, and once more if it was asked for meanwhile."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.running: dict[tuple[str, int], asyncio.Task[None]] = {}
        self.again: set[tuple[str, int]] = set()
        self.failing: set[tuple[str, int]] = set()

    def start(self, name: str, shop_id: int) -> None:
        """See that it is done soon; returns at once."""
        key = (name, shop_id)
        if self.context.stopping.is_set():
            return
        if key in self.running:
            self.again.add(key)
            return
        task = asyncio.create_task(self._run(key), name=f"{name} {shop_id}")
        self.running[key] = task

    async def run(self, name: str, shop_id: int) -> None:
        """See that it is done, and wait for it; if it is being done already, say that once more is wanted."""
        known = (name, shop_id) in self.running
        self.start(name, shop_id)
        if not known and (task := self.running.get((name, shop_id))):
            await asyncio.wait([task])

    async def rest(self) -> None:
        """Wait until nothing runs any more."""
        while self.running:
            await asyncio.wait(self.running.values())

    async def _run(self, key: tuple[str, int]) -> None:
        try:
            while True:
                self.again.discard(key)
                await self._contained(*key)
                if key not in self.again or self.context.stopping.is_set():
                    return
        finally:
            self.running.pop(key, None)
            self.again.discard(key)

    async def _contained(self, name: str, shop_id: int) -> None:
        """One work's error never touches another's: it rests for a while and is tried again."""
        context = self.context
        if not self._ours(name, shop_id):
            return
        try:
            await self._drain(name, shop_id)
        except Exception as error:
            if not self._ours(name, shop_id):
                return  # its shop was taken out of shops.yaml in the middle of it
            context.trouble(error)
            known = is_transient(error) or isinstance(error, ShopUnavailable)
            log.log(30 if known else 40, name, shop=shop_id, problem=told(error), exc_info=not known)
            if isinstance(error, DATABASE) and known:
                await asyncio.sleep(SOON)  # no fault of this work: it goes on as soon as the database does
                return
            self.failing.add((name, shop_id))
            try:
                await work.failed(context.pool, shop_id, name, told(error)[:300])
            except Exception as second:
                log.warning(name, shop=shop_id, problem=told(second))
                await asyncio.sleep(SOON)  # the database itself is away: the tick asks again

    def _ours(self, name: str, shop_id: int) -> bool:
        """Of a shop that was taken out of shops.yaml only what brings things to an end is done."""
        context = self.context
        there = shop_id in context.shop_ids.values() and context.shop_called(shop_id) in context.keeper.book.shops
        return there or (name in ENDINGS and context.knows(shop_id))

    async def _drain(self, name: str, shop_id: int) -> None:
        context, one = self.context, FLOW[name]
        if one.once:
            self._tell(name, shop_id, await one.do(context, shop_id, await clock.shop_now(context.pool)))
            return
        taken, taken_at = None, 0.0
        try:
            while not context.stopping.is_set():
                now = None
                if not one.shared and (taken is None or monotonic() - taken_at > RENEW):
                    taken_at = monotonic()
                    taken = await work.take(context.pool, shop_id, name, context.process, LEASE)
                    if taken is None:
                        return
                    now = taken.now
                found = await one.do(context, shop_id, now or await clock.shop_now(context.pool))
                await self._well((name, shop_id), taken.failures if taken else 0)
                self._tell(name, shop_id, found)
                if found < one.full:
                    return
        finally:
            if not one.shared:
                await work.give_back(context.pool, shop_id, name, context.process)

    def _tell(self, name: str, shop_id: int, found: int) -> None:
        """Whoever bought or withdrew is taken out of the ad audiences at once."""
        if found and name in MAY_END_A_STAY and self._has_audiences(shop_id):
            self.context.ring("audiences", shop_id)

    def _has_audiences(self, shop_id: int) -> bool:
        """Those whom this process does not know how to reach are looked at in their turn."""
        shop = self.context.keeper.book.shops.get(self.context.shop_called(shop_id))
        return bool(self.context.audiences.get(shop_id) or (shop and shop.audiences))

    async def _well(self, key: tuple[str, int], failures: int) -> None:
        """It worked: what was said of it before no longer holds."""
        if failures or key in self.failing:
            await work.well(self.context.pool, key[1], key[0])
            self.failing.discard(key)
