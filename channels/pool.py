"""The open connections to one relay: lent one at a time, kept warm, and let alone while the relay is out of reach."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from channels.base import Misconfigured, NotSent, Retry, Withheld
from channels.line import Line
from channels.patience import Patience

LONGEST_REST = 60.0
"""Seconds: the ceiling of the back-off after connections that failed one after the other."""

SOON = 1.0
"""Seconds for which a connection that is being opened is counted on; one that takes longer counts when it is there."""

FOLLOWS_WITHIN = 1.0
"""Seconds from a final dot in which the next envelope may go behind it: a relay that thinks longer is let think."""

PROVE_AFTER = 10.0
"""Seconds a connection may have lain idle before it has to answer a NOOP first."""


class Pool:
    """At most `size` lines. Opens them as they are wanted, in the background, so that a slow handshake is not wasted.

    After a failed connection no other is tried for 1, 2, 4 … 60 s (with jitter); then a single one, and more only
    when the relay has taken an envelope on that. Lines that are already open go on working meanwhile.
    """

    def __init__(
        self, opener: Callable[[], Awaitable[Line]], size: int, idle: float, chance: Callable[[], float] = random.random
    ) -> None:
        self.opener = opener
        self.size = size
        self.idle_limit = idle
        self.chance = chance
        self.idle: list[Line] = []
        self.lent: set[Line] = set()
        self.owing: list[Line] = []
        """Given back with a dot unanswered, the oldest first: the next envelope may go behind it."""
        self.opening: set[asyncio.Task[None]] = set()
        self.chores: set[asyncio.Task[None]] = set()
        self.waiting: deque[asyncio.Future[Line]] = deque()
        self.expiry: asyncio.TimerHandle | None = None
        self.failures = 0
        self.failed_at = 0.0
        self.rests_until = 0.0
        self.began_at = 0.0
        """When the newest of the connections that are being opened was begun."""
        self.cause: NotSent = Retry("the relay is out of reach")
        self.patience = Patience()
        self.closed = False

    def ready(self, now: float) -> int:
        """How many lines could be taken at loop time `now`: idle ones, those being opened, those that may be opened.
        Of those that carry one message and could carry a second behind it, half: two of them are worth an idle one."""
        if self.closed:
            return 0
        coming = len(self.opening) if now - self.began_at <= SOON else 0
        whole = len(self.idle) + coming + self.room(now)
        return max(0, (2 * whole + self.half(now) - len(self.waiting)) // 2)

    def half(self, now: float) -> int:
        """How many lines carry a single message, and could soon carry one more."""
        behind = sum(now - line.used_at <= FOLLOWS_WITHIN and line.usable for line in self.owing)
        return behind + sum(line.pipelines and line.usable and not line.pending for line in self.lent)

    def room(self, now: float) -> int:
        """How many more connections may be opened at once; after a failure a single one on trial, after the rest."""
        free = max(0, self.size - len(self.idle) - len(self.lent) - len(self.owing) - len(self.opening))
        if not self.failures:
            return free
        on_trial = self.opening or any(line.born > self.failed_at for line in (*self.idle, *self.lent, *self.owing))
        return min(free, 1) if now >= self.rests_until and not on_trial else 0

    async def take(self, until: float) -> Line:
        """A live line before loop time `until`.

        Raises `Withheld` when that time passes, and at once when no connection can be had: `Withheld` with the cause
        and `after`, as no message is to blame for that, or `Misconfigured`.
        """
        if self.closed:
            raise Withheld("the channel is closed")
        if (line := self.at_hand()) is not None:
            return line
        waiter: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self.waiting.append(waiter)
        self.settle()
        try:
            with self.patience.until(until):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())  # it came in the same moment
            if isinstance(error, TimeoutError):
                raise Withheld("no connection came free in time") from None
            raise
        finally:
            if waiter in self.waiting:
                self.waiting.remove(waiter)

    def give_back(self, line: Line) -> None:
        """A line that is no longer needed, in whatever state it is."""
        if line.turned_away:
            self.rest(Retry("the relay turned us away (421)", code="421"))
        if line.pending and line in self.lent:
            self.lend_behind(line)
        elif self.closed or not line.usable:
            line.abort()
            self.lent.discard(line)
        elif line.soiled:
            self.chore(self.wash(line))  # stays lent until it is clean
            return
        else:
            self.lent.discard(line)
            self.shelve(line)
        self.settle()

    def release(self, line: Line) -> None:
        """Its final dot has left. Until that is answered, another message's envelope may go behind it."""
        line.used_at = asyncio.get_running_loop().time()
        self.lend_behind(line)
        self.settle()

    def lend_behind(self, line: Line) -> None:
        """A line with a dot unanswered. It is not closed before the answer, whatever else it can no longer do."""
        self.lent.discard(line)
        self.owing.append(line)

    def answered(self, line: Line) -> None:
        """The dot of a released line has its answer, or never will."""
        if line in self.owing:
            self.owing.remove(line)
            self.lent.add(line)
            self.give_back(line)
        elif not line.usable:
            line.abort()  # whoever was lent it meanwhile finds out, and gives it back

    def proved(self, line: Line) -> None:
        """The relay has taken an envelope: failures from before this line was begun are forgotten."""
        if self.failures and line.born > self.failed_at:
            self.failures = 0
            self.settle()

    async def close(self) -> None:
        """Let go of all idle lines; lent ones go when they are given back; whoever waits is withheld."""
        self.closed = True
        if self.expiry:
            self.expiry.cancel()
        self.fail_waiting(Withheld("the channel is closing"))
        for task in (*self.opening, *self.chores):
            task.cancel()
        await asyncio.gather(*self.opening, *self.chores, return_exceptions=True)
        idle, self.idle = self.idle, []
        await asyncio.gather(*(line.leave() for line in idle))

    # What follows is the pool's own housekeeping; nothing here waits for anybody.

    def settle(self) -> None:
        """After every change: hand out what lies idle, open what is wanted, tell those for whom nothing can come."""
        if not self.wanted():
            return
        loop = asyncio.get_running_loop()
        while self.wanted() and self.idle:
            line = self.idle.pop()
            self.lent.add(line)
            if not line.usable:
                self.lent.discard(line)
                line.abort()
            elif loop.time() - line.used_at > PROVE_AFTER:
                self.chore(self.prove(line))
            else:
                self.waiting.popleft().set_result(line)
        while len(self.waiting) > len(self.opening) and self.room(loop.time()) > 0:
            self.began_at = loop.time()
            self.start(self.open(), self.opening)
        while self.wanted() and (behind := self.to_follow(loop.time())):
            self.waiting.popleft().set_result(behind)
        if self.wanted() and not (self.lent or self.owing or self.opening) and self.failures:
            self.fail_waiting(self.cause)

    def wanted(self) -> bool:
        """Whether anybody waits. Who has given up is forgotten when it would be their turn."""
        while self.waiting and self.waiting[0].done():
            self.waiting.popleft()
        return bool(self.waiting)

    def at_hand(self) -> Line | None:
        """The warmest line, where nobody waits and it can be trusted without a question."""
        loop = asyncio.get_running_loop()
        if self.waiting or not self.idle or not self.idle[-1].usable:
            return None
        if loop.time() - self.idle[-1].used_at > PROVE_AFTER:
            return None
        line = self.idle.pop()
        self.lent.add(line)
        return line

    def to_follow(self, now: float) -> Line | None:
        """A line that another message's answer is still due on, while all that are idle have been lent."""
        for line in self.owing:
            if now - line.used_at <= FOLLOWS_WITHIN and line.usable and not self.closed:
                self.owing.remove(line)
                self.lent.add(line)
                return line
        return None

    def shelve(self, line: Line) -> None:
        """Lay a line aside, the warmest on top, and see to it that none lies longer than the limit."""
        loop = asyncio.get_running_loop()
        line.used_at = loop.time()
        self.idle.append(line)
        if self.expiry is None:
            self.expiry = loop.call_later(self.idle_limit, self.expire)

    def expire(self) -> None:
        """Say goodbye to the lines that have lain too long."""
        loop = asyncio.get_running_loop()
        stale = [line for line in self.idle if loop.time() - line.used_at >= self.idle_limit or not line.usable]
        self.idle = [line for line in self.idle if line not in stale]
        for line in stale:
            self.chore(line.leave())
        oldest = min((line.used_at for line in self.idle), default=None)
        self.expiry = None if oldest is None else loop.call_at(oldest + self.idle_limit, self.expire)

    async def open(self) -> None:
        """One more line, for whoever waits longest."""
        try:
            line = await self.opener()
        except NotSent as error:
            self.failed(error)
        except Exception as error:  # ours, or a library's: whoever waits must hear of it
            self.failed(Retry(f"could not open a connection ({type(error).__name__})", code="bug"))
        else:
            self.opening.discard(current())
            if self.closed:
                line.abort()
            else:
                self.shelve(line)
        self.settle()

    def failed(self, error: NotSent) -> None:
        """An opener came back without a line. Wrong credentials concern everybody at once."""
        self.opening.discard(current())
        self.rest(error)
        if isinstance(error, Misconfigured):
            self.fail_waiting(error)

    async def wash(self, line: Line) -> None:
        """RSET before the next transaction."""
        try:
            await line.reset()
        finally:
            line.broken = line.broken or line.soiled
            line.soiled = False
            self.give_back(line)

    async def prove(self, line: Line) -> None:
        """NOOP before a line that has lain idle is trusted."""
        try:
            await line.lives()
        finally:
            self.give_back(line)

    def rest(self, error: NotSent) -> None:
        """A connection failed: open none for a while. Failures of one wave count once."""
        now = asyncio.get_running_loop().time()
        if now >= self.rests_until:
            self.failures += 1
            rest = min(LONGEST_REST, 2.0 ** (self.failures - 1)) * (0.5 + self.chance() / 2)
            self.rests_until = now + rest
        self.failed_at = now
        self.cause = error

    def fail_waiting(self, error: NotSent) -> None:
        """Tell everybody who waits; `after` is what is left of the rest. No byte of theirs has left."""
        left = max(0.0, self.rests_until - asyncio.get_running_loop().time())
        kind = Withheld if isinstance(error, Retry) else type(error)
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_exception(kind(str(error), code=error.code, after=timedelta(seconds=left)))

    def chore(self, work: Coroutine[Any, Any, None]) -> None:
        self.start(work, self.chores)

    def start(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        """Keep a reference, or the loop may forget the task half-way."""
        task = asyncio.get_running_loop().create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)


def current() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
