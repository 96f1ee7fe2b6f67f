"""A month in three shops, lived through in minutes: customers who come and buy, and mishaps of every kind."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg

from channels.base import Channel, MayLeave, Message, Receipt, Refused, Retry, Unclear, Withheld
from daemon.bell import Bell
from daemon.clock import monotonic
from daemon.context import Context
from daemon.flow import optout
from daemon.hits import Hit
from daemon.shops.base import (
    Capability,
    CartBatch,
    CartSnapshot,
    ConsentHint,
    Customer,
    Line,
    OrderBatch,
    OrderSnapshot,
    Shop,
    ShopUnavailable,
)
from daemon.store import clock
from daemon.worker import Runner

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
GRID, AWAY = timedelta(minutes=30), timedelta(hours=1)
ZONES = {"berlin": "Europe/Berlin", "york": "America/New_York", "howe": "Australia/Lord_Howe"}
SHOP = """
  {name}:
    connector: push
    mode: live
    url: https://{name}.example
    cart_page: https://{name}.example/cart
    zone: {zone}
    locale: de-DE
    holdout: 10%
    existing_customer_notice: {{since: 2020-01-01, version: "1"}}
    sender: {{name: Laden, address: laden@{name}.example, imprint: [Laden GmbH, "Weg 1, 10115 Berlin"]}}
    connection: {{secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}
"""
SHOPS = "shops:" + "".join(SHOP.format(name=name, zone=zone) for name, zone in ZONES.items())
POLICY = """
extends: default
legal: de
starts: {rests_for: 1h, again_after: 2d}
caps: {any: 3 per 7d, same_channel_gap: 12h}
closes_after: 1d
steps:
  - {name: remind, after: 1h}
  - {name: doubts, after: 24h}
  - {name: last-call, after: 48h}
"""
WAKE = "UPDATE work SET rest_until_real = NULL, failures = 0 WHERE rest_until_real IS NOT NULL"
LEASES = "UPDATE message SET lease_until_real = clock_timestamp() - interval '1 s' WHERE state = 'sending'"
CUT = """
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'tillbell'
"""
PATIENCE = 1.0
"""Seconds: an outcome that could not be written is written again within half of it."""
CAPS = ((3, timedelta(days=7)), (1, timedelta(hours=12)))


class Dice(random.Random):
    """One seed for the whole month; each kind of mishap is counted."""

    def __init__(self, seed: int, share: float) -> None:
        super().__init__(seed)
        self.share = share
        self.mishaps: Counter[str] = Counter()

    def mishap(self, kind: str) -> bool:
        found = self.random() < self.share
        self.mishaps[kind] += found
        return found


class Village(Shop):
    """A shop that is looked at. Now and then it does not answer, or tells an order late."""

    name = "village"

    def __init__(self, dice: Dice) -> None:
        super().__init__(None)
        self.dice = dice
        self.shows: dict[str, CartSnapshot] = {}
        self.sold: list[OrderSnapshot] = []
        self.told = 0
        self.late: list[OrderSnapshot] = []

    def capabilities(self) -> frozenset[Capability]:
        return frozenset({Capability.CARTS_SNAPSHOT, Capability.FIND_ORDERS})

    async def carts(self, cursor: str, limit: int, now: datetime) -> CartBatch:
        self._answer("the shop shows no carts")
        return CartBatch(tuple(self.shows.values()), is_full_snapshot=True)

    async def orders(self, cursor: str, limit: int, now: datetime) -> OrderBatch:
        self._answer("the shop tells no orders")
        self.sold += self.late
        self.late.clear()
        self.told = len(self.sold)
        return OrderBatch(tuple(self.sold[int(cursor or 0) :]), str(self.told))

    async def find_orders(self, refs: Sequence[str], emails: Sequence[str], since: datetime) -> list[OrderSnapshot]:
        self._answer("the shop finds no orders")
        return [one for one in self.sold if one.customer_ref in refs and one.placed_at >= since]

    def _answer(self, kind: str) -> None:
        if self.dice.mishap(kind):
            raise ShopUnavailable(kind)


ERRORS: dict[str, Callable[[], Exception]] = {
    "busy": lambda: Retry("4.3.2", after=timedelta(0)),
    "refused": lambda: Refused("5.2.2"),
    "unknown address": lambda: Refused("5.1.1", suppress=True),
    "lost": lambda: Unclear("no answer"),
}


class Relay(Channel):
    """Takes mails, counts them, and errs. One that is frozen says what it did when everybody has given it up."""

    name = "email"
    address = "email"

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.taken: Counter[int] = Counter()
        self.frozen: dict[int, asyncio.Future[None]] = {}

    def ready(self) -> int:
        return 32

    def may_have_left(self, message: Message) -> bool:
        return True

    async def send(self, message: Message, may_leave: MayLeave) -> Receipt:
        if not await may_leave(message):
            raise Withheld("no longer wanted")
        for kind, error in ERRORS.items():
            if self.dice.mishap(f"relay: {kind}"):
                raise error()
        self.taken[message.id] += 1
        if self.dice.mishap("relay: taken, no answer"):
            raise Unclear("no answer")
        if self.dice.mishap("worker: frozen"):
            self.frozen[message.id] = asyncio.get_running_loop().create_future()
            await self.frozen[message.id]
        return Receipt("2.0.0")


@dataclass
class Month:
    """The daemon of this process, moved on from half-hour to half-hour. `eye` is no part of it."""

    context: Context
    eye: asyncpg.Connection[asyncpg.Record]
    relay: Relay
    villages: dict[str, Village]
    dice: Dice
    now: datetime = START
    grid: timedelta = GRID
    plan: list[tuple[datetime, int, Callable[[], Any]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = Runner(self.context)
        self.bell = Bell(self.context, self.runner, "")

    async def lives(self, until: datetime) -> None:
        """Whoever looks at the books then finds a daemon that is back."""
        while self.now < until:
            await clock.set_clock(self.eye, self.now, Decimal(0))
            while self.plan and self.plan[0][0] <= self.now:
                await self.plan.pop(0)[2]()
            if self.now + AWAY < until and self.dice.mishap("the daemon is away for an hour"):
                self.now += AWAY
                continue
            cut = self.dice.mishap("database: connections cut")
            await asyncio.gather(self.settles(orphans=cut), *([self._cut()] if cut else []))
            await self._thaw()
            self.now += self.grid

    async def settles(self, *, orphans: bool = False) -> None:
        """Until all that is due is done, but for what is frozen. What rests after a failure need not rest here."""
        while True:
            await self._ticks(orphans)
            if await self.eye.execute(WAKE) == "UPDATE 0":
                return

    async def _ticks(self, orphans: bool) -> None:
        """`orphans`: claims whose transaction's end was cut off are in nobody's hands, and are not waited for."""
        while True:
            try:
                await self.bell.tick()
            except Exception as error:  # as its loop does
                self.dice.mishaps[f"bell: {type(error).__name__}"] += 1
                await asyncio.sleep(0)
                continue
            if not self.runner.running and not self.context.rung:
                return
            await self.runner.rest()
            until = monotonic() + (PATIENCE if orphans else 60)
            while monotonic() < until and await self._sending() > len(self.relay.frozen):
                await asyncio.sleep(0.001)

    async def _sending(self) -> int:
        return int(await self.eye.fetchval("SELECT count(*) FROM message WHERE state = 'sending'"))

    async def _cut(self) -> None:
        """All that is under way in the database is broken off."""
        await asyncio.sleep(self.dice.random() / 20)
        other = await asyncpg.connect(self.context.settings.database_url.get_secret_value())
        await other.execute(CUT)
        await other.close()

    async def _thaw(self) -> None:
        """Leases are over before the frozen wake up: their word comes late."""
        if not self.relay.frozen and not await self._sending():
            return
        await self.eye.execute(LEASES)
        await self.eye.execute("UPDATE work SET due_at = $1 WHERE name = 'sweep'", self.now)
        frozen, self.relay.frozen = self.relay.frozen, {}
        await self.settles()
        for waiting in frozen.values():
            waiting.set_result(None)
        late = "SELECT count(*) FROM message WHERE state = 'unknown' AND id = ANY($1::bigint[])"
        while await self.eye.fetchval(late, list(frozen)):
            await asyncio.sleep(0.001)
        await self.settles()

    async def _opts_out(self, hit: Hit) -> None:
        """As often as it takes, as the journal does it."""
        while True:
            try:
                await optout.settle(self.context.pool, hit)
                return
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                continue

    def customers(self, count: int, days: int) -> None:
        """Each comes once in ten days or so, leaves a cart, and buys, changes or empties it, or does nothing."""
        numbers = iter(range(10**9))
        for who in range(count):
            shop = list(ZONES)[who % len(ZONES)]
            for visit in range(max(1, round(days * self.dice.random() / 5))):
                at = START + timedelta(minutes=self.dice.randrange(days * 1440))
                self.plan.append((at, next(numbers), self._leaves(shop, who, f"{who}-{visit}")))
                after = at + timedelta(minutes=self.dice.randrange(30, 4000))
                deed = self.dice.choice((self._buys, self._leaves, self._empties, self._unsubscribes, None, None))
                if deed is not None:
                    self.plan.append((after, next(numbers), deed(shop, who, f"{who}-{visit}")))
        self.plan.sort(key=lambda one: one[:2])

    def _leaves(self, shop: str, who: int, ref: str) -> Callable[[], Any]:
        async def do() -> None:
            pieces = self.dice.randrange(1, 9)
            line = Line("red", "red", "Schuh", Decimal(pieces), Decimal(10), product_url=f"https://{shop}.example/p")
            customer = buyer(who)
            village = self.villages[shop]
            if any(one.cart_ref == ref for one in [*village.sold, *village.late]):
                return
            village.shows[ref] = CartSnapshot(
                ref, customer, (line,), "EUR", Decimal(10) * pieces, source_updated_at=self.now,
                time_precision="second",
            )  # fmt: skip

        return do

    def _empties(self, shop: str, who: int, ref: str) -> Callable[[], Any]:
        async def do() -> None:
            self.villages[shop].shows.pop(ref, None)

        return do

    def _buys(self, shop: str, who: int, ref: str) -> Callable[[], Any]:
        async def do() -> None:
            village = self.villages[shop]
            if village.shows.pop(ref, None) is None:
                return
            customer = buyer(who)
            order = OrderSnapshot(
                f"o{ref}", self.now, "paid", "purchase", Decimal(10), "EUR", customer.ref, customer.email, cart_ref=ref
            )
            (village.late if self.dice.mishap("the shop tells an order late") else village.sold).append(order)
            if self.dice.mishap("the shop tells an order twice"):
                village.sold.append(order)

        return do

    def _unsubscribes(self, shop: str, who: int, ref: str) -> Callable[[], Any]:
        async def do() -> None:
            row = await self.eye.fetchrow(
                "SELECT m.shop_id, m.id FROM message m JOIN person p USING (shop_id) WHERE p.id = m.person_id "
                "AND p.customer_ref = $1 AND m.state = 'accepted' ORDER BY m.id DESC LIMIT 1",
                f"k{who}",
            )
            if row is not None and who % 5 == 0:
                hit = Hit(uuid.UUID(int=row["id"]), "unsubscribed", row["shop_id"], row["id"], at=self.now)
                for _ in range(1 + who % 2):  # a click may come twice
                    await self._opts_out(hit)

        return do


def buyer(who: int) -> Customer:
    """One in ten never agreed to anything."""
    consent = ConsentHint("email_mkt", "confirmed", None, "newsletter", "double opt-in")
    return Customer(f"k{who}", f"p{who}@example.org", consents=(consent,) if who % 10 else ())
