"""The relay's rate: each process holds a share of it, and no share is used twice within the rate's span.

A token is taken right before a mail's first byte and is free again one span after the relay has surely seen that byte,
so however late either is, the relay never counts more in any span than there are tokens. The shares of all processes
together are never more than the rate; they move to whoever has more to send.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import deque
from collections.abc import Mapping

import structlog

from daemon.clock import monotonic
from daemon.context import Context
from daemon.logs import told
from daemon.rates import Rate
from daemon.store import allowances
from daemon.store.allowances import Share
from daemon.store.database import Connection, again

log = structlog.get_logger()

NAME = "relay"
EVERY = 0.1
"""Seconds between two looks at who holds what."""
LEASE = 3.0
"""Seconds for which a share is held without another word; longer where the rate's span is: it outlives the last mail of
a process that was killed by one span."""
AHEAD = 0.25
"""Mails are claimed for tokens that come free within so many seconds."""
JITTER = 0.01
"""Seconds of a transaction that are not the line's doing: the next one may be faster by that much."""
SURE = 50
"""Acceptances, or those of two spans if they are more, before which nobody knows how short a transaction can be."""
HUNGRY_FOR = 1.0
LINGER = 2.0
"""Seconds after the last mail until a share is given up."""


def desired(most: int, others: Mapping[str, Share], held: int, in_use: int, *, hungry: bool) -> int:
    """How many of `most` tokens this process should come to, never more than the others leave."""
    free = most - sum(one.held for one in others.values())
    eaters = sum(one.hungry for one in others.values())
    if hungry:
        fair = -(-most // (eaters + 1))
        return max(0, min(free, fair if eaters else most))
    return max(0, min(free, held, in_use + in_use // 4 + 1) if eaters else min(free, held))


class Pace:
    """This process's share of a channel's rate."""

    def __init__(self, context: Context, channel: str, rate: Rate) -> None:
        self.context, self.channel, self.rate = context, channel, rate
        self.lease = max(LEASE, 2 * rate.span + 1)
        self.share = 0
        """What we may use; the row may still say more while what is too much cools down."""
        self.until = 0.0
        self.expected: set[int] = set()
        """Fences that have been claimed and have no token yet."""
        self.taken: dict[int, float] = {}
        """Tokens on their way, by fence, with the instant of the first byte."""
        self.heard: dict[int, float] = {}
        """Of those on their way: when the relay had answered something, so it had counted their beginning."""
        self.cooling: deque[float] = deque()
        """When each token that was used is free again, in order."""
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.shortest, self.accepted = float("inf"), 0
        """Seconds from a first byte to its acceptance, of so many."""
        self.hungry_until = self.busy_until = 0.0
        self.limited: set[int] = set()
        """Shops that had more to send."""
        self.timer: asyncio.TimerHandle | None = None
        self.keeper: asyncio.Task[None] | None = None

    # Tokens

    def in_use(self) -> int:
        now = monotonic()
        while self.cooling and self.cooling[0] <= now:
            self.cooling.popleft()
        return len(self.taken) + len(self.cooling)

    def free(self) -> int:
        in_use = self.in_use()
        return self.share - in_use if monotonic() < self.until else 0

    def room(self, shop_id: int, wanted: int) -> int:
        """How many of so many may be claimed; whoever gets less is rung when there is more."""
        now = monotonic()
        self.busy_until = now + LINGER
        self._see_to_it()
        soon = sum(1 for at in self.cooling if at <= now + AHEAD)
        found = max(0, min(wanted, self.free() + soon - len(self.expected)))
        if found < wanted:
            self.hungry_until = now + HUNGRY_FOR
            self.limited.add(shop_id)
            self._set_timer()
        return found

    def turn(self, fence: int) -> asyncio.Future[None]:
        """Done when this message has a token of our share: then its first byte has to leave at once, or `spare` it.
        Whoever stops waiting has to `spare` it too."""
        self.busy_until = monotonic() + LINGER
        self._see_to_it()
        self.expected.discard(fence)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((fence, turn))
        self._settle()
        return turn

    def spare(self, fence: int) -> None:
        """No byte has left, so it is as if it had not been taken."""
        for waiting, turn in self.waiting:
            if waiting == fence:
                turn.cancel()
        self.taken.pop(fence, None)
        self._settle()

    def begins(self, fence: int) -> None:
        """Its first byte leaves now."""
        if fence in self.taken:
            self.taken[fence] = monotonic()

    def answered(self, fence: int) -> None:
        """The relay has answered what came before the body: it has seen the beginning."""
        if fence in self.taken:
            self.heard.setdefault(fence, monotonic())

    def used(self, fence: int, *, accepted: bool = False) -> None:
        """The relay has answered, or never will. A relay may count beginnings or acceptances: a span has to pass since
        either. The next mail is accepted at least half of the shortest transaction after its own beginning, so that
        much of the second span has passed already, once it is known how short they can be. Where the relay was not
        heard of before it accepted, none of it has."""
        self.expected.discard(fence)
        since, heard = self.taken.pop(fence, None), self.heard.pop(fence, None)
        if since is None:
            return
        now, span = monotonic(), self.rate.span
        if accepted:
            self.shortest, self.accepted = min(self.shortest, now - since), self.accepted + 1
        sure = self.accepted > max(SURE, 2 * self.rate.tokens) and self.shortest < span
        passed = max(0.0, self.shortest - JITTER) / 2 if sure else 0.0
        insort(self.cooling, max(heard + span, now + span - passed) if heard is not None else now + span)
        self._settle()

    def _settle(self) -> None:
        """Tokens to those who wait longest; when there is none, at the moment the next one is free."""
        while self.waiting and self.waiting[0][1].done():
            self.waiting.popleft()
        while self.waiting and self.free() > 0:
            fence, turn = self.waiting.popleft()
            if not turn.done():
                self.taken[fence] = monotonic()
                turn.set_result(None)
        self._set_timer()

    def _set_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if not (self.waiting or self.limited):
            return
        now = monotonic()
        enough = 0 if self.waiting else max(0, len(self.expected) - self.free()) + self.share // 20
        ahead = 0.0 if self.waiting else AHEAD
        at = self.cooling[min(enough, len(self.cooling) - 1)] - ahead if self.cooling else now + EVERY
        self.timer = asyncio.get_running_loop().call_later(max(0.001, at - now), self._tick)

    def _tick(self) -> None:
        self.timer = None
        for shop_id in self.limited:
            self.context.ring("deliver", shop_id)
        self.limited.clear()
        self._settle()

    # Shares

    def _see_to_it(self) -> None:
        if self.keeper is None:
            self.keeper = asyncio.create_task(self._keep(), name=f"pace {self.channel}")

    async def _keep(self) -> None:
        """Hold, widen and give up the share, for as long as there is something to send or on its way."""
        try:
            while monotonic() < self.busy_until or self.waiting or self.in_use():
                try:
                    await self._look()
                except Exception as error:  # the lease ends by itself: nothing leaves without a share
                    log.warning("pace", channel=self.channel, problem=told(error))
                await asyncio.sleep(EVERY)
            await self._leave()
        finally:
            self.keeper = None

    async def _look(self) -> None:
        """Most looks change nothing and lock nothing."""
        asked = monotonic()
        pool, name = self.context.pool, self.context.process
        known, at = await allowances.shares(pool, self.channel, NAME)
        mine = known.get(name)
        wanted, hungry = self._wanted(known)
        left = mine.until - at if mine else 0.0
        if mine and left > self.lease / 2 and (mine.held, mine.hungry) == (wanted, hungry):
            self._hold(wanted, asked + left)
            return

        async def body(db: Connection) -> int:
            found, now = await allowances.lock_shares(db, self.channel, NAME)
            wanted, hungry = self._wanted(found)
            others = {process: one for process, one in found.items() if process != name}
            spare = self.rate.tokens - sum(one.held for one in others.values())
            self.share = min(self.share, wanted)  # from now on, so that what is in use can only become less
            held = max(0, min(spare, max(wanted, self.in_use())))
            await allowances.set_shares(db, self.channel, NAME, {**others, name: Share(held, hungry, now + self.lease)})
            return min(wanted, held)

        asked = monotonic()
        self._hold(await again(pool, body), asked + self.lease)

    def _wanted(self, known: Mapping[str, Share]) -> tuple[int, bool]:
        others = {process: one for process, one in known.items() if process != self.context.process}
        mine = known.get(self.context.process)
        hungry = monotonic() < self.hungry_until
        in_use = self.in_use()
        return desired(self.rate.tokens, others, mine.held if mine else 0, in_use, hungry=hungry), hungry

    def _hold(self, share: int, until: float) -> None:
        grown = share > self.share or monotonic() >= self.until
        self.share, self.until = share, until
        if grown:
            self._tick()

    async def _leave(self) -> None:
        self.share = 0
        try:
            await allowances.leave(self.context.pool, self.channel, NAME, self.context.process)
        except Exception as error:
            log.warning("pace", channel=self.channel, problem=told(error))

    async def close(self) -> None:
        """Nothing is on its way any more. What was used has to cool down: the lease ends by itself."""
        if self.timer is not None:
            self.timer.cancel()
        if self.keeper is not None:
            self.keeper.cancel()
            await asyncio.wait([self.keeper])


def pace_of(context: Context, channel: str) -> Pace | None:
    """The one of this process and channel; None: the relay has no rate."""
    if channel != "email" or context.settings.smtp_rate is None:
        return None
    known = context.paces.get(channel)
    if isinstance(known, Pace):
        return known
    made = context.paces[channel] = Pace(context, channel, context.settings.smtp_rate)
    return made
