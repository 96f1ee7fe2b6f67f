"""The product behind the small model: one shop on a real PostgreSQL, moved step by step, without clock or network."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog

from channels.base import Message, Outcome
from daemon.context import Context, address_hmac
from daemon.flow import decide, deliver, enrol, ingest, keep, optout, outcomes, persons, prepare
from daemon.flow.keep import Look
from daemon.hits import Hit
from daemon.house import house
from daemon.settings import Settings
from daemon.shops.base import CartSnapshot, ConsentHint, Customer, Line, OrderSnapshot
from daemon.store import books, brake, clock, messages, recoveries, suppressions, work
from daemon.store import persons as people
from daemon.store.database import again
from daemon.store.suppressions import Entry
from tests.flow.faults.model import POLICY

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
    existing_customer_notice: {since: 2020-01-01, version: "1"}
    sender: {name: Laden, address: laden@shop.example, imprint: [Laden GmbH, "Weg 1, 10115 Berlin"]}
    connection: {secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}
"""
NO_END = timedelta(days=3650)
CONTENTS = """
WITH n AS (SELECT * FROM unnest($2::bigint[]) AS n (id))
SELECT m.id, m.fence, m.recovery_id, m.step, m.basis, m.basis_evidence, c.ref, p.email
FROM n JOIN message m ON m.shop_id = $1 AND m.id = n.id JOIN recovery r ON r.shop_id = $1 AND r.id = m.recovery_id
JOIN cart c ON c.shop_id = $1 AND c.id = r.cart_id JOIN person p ON p.shop_id = $1 AND p.id = m.person_id ORDER BY m.id
"""
TABLES = """
SELECT table_name FROM information_schema.columns WHERE column_name = 'shop_id' AND table_schema = 'public'
    AND table_name IN (SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE')
"""
FIRST = ("attempt", "link", "event", "decision", "message", "recovery", "cart", "shop_order", "identity", "consent")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that a worker has in its hands."""

    message: int
    fence: int
    recovery: int
    step: str
    cart: str
    address: str
    grounded: bool


@dataclass
class News:
    """What is said at one moment: by the shop, by readers of mails, by the admin."""

    carts: list[CartSnapshot] = field(default_factory=list)
    orders: list[OrderSnapshot] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    """A consent, another address."""
    opted_out: list[int] = field(default_factory=list)
    """By which messages."""
    suppressed: list[str] = field(default_factory=list)


def settings(folder: Path, database: str, policy: str = POLICY, shops: str = SHOPS) -> Settings:
    rules = folder / "rules"
    rules.mkdir(exist_ok=True)
    (rules / "shops.yaml").write_text(shops)
    (rules / "main.yaml").write_text(policy)
    words = {"database_url": database, "data_dir": str(folder / "data"), "rules_dir": str(rules), "clock": "stepped"}
    words |= {"smtp_host": "127.0.0.1", "smtp_tls": "none", "secret": "s" * 40, "pepper": "p" * 40}
    return Settings(**words, public_base_url="https://t.shop.example")  # type: ignore[arg-type]


@asynccontextmanager
async def quiet_house(chosen: Settings, database: str) -> AsyncIterator[Context]:
    """Thousands of moments write no log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        async with house(chosen, database) as context:
            yield context
    finally:
        structlog.reset_defaults()


class World:
    """Each example has a shop of its own in the same database; the one before is cleared away."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.shop_id = 0
        self.now = datetime.min.replace(tzinfo=UTC)
        self.versions = 0

    async def begins(self, now: datetime) -> None:
        if not self.shop_id:
            found = [row["table_name"] for row in await self.context.pool.fetch(TABLES)]
            self.tables = [*FIRST, *sorted(set(found) - set(FIRST) - {"shop", "policy", "person"}), "policy", "person"]
        else:
            await self.context.pool.execute(
                ";".join(f"DELETE FROM {table} WHERE shop_id = {self.shop_id}" for table in (*self.tables, "shop"))
            )
        self.shop_id = await self.context.pool.fetchval(
            "INSERT INTO shop (name, mode, live_since, added_at) VALUES (gen_random_uuid()::text, 'live', $1, $1) "
            "RETURNING shop_id",
            now,
        )
        self.context.shop_ids = {"main": self.shop_id}
        self.context.deliveries.clear()
        await self.turns_to(now)

    async def turns_to(self, now: datetime) -> None:
        self.now = now
        await clock.set_clock(self.context.pool, now, Decimal(0))

    def look(self) -> Look:
        self.versions += 1
        return Look(self.now, ingest.micros(self.now) + self.versions, pushed=True)

    async def write(self, body: Callable[[Any], Awaitable[Any]]) -> Any:
        return await again(self.context.pool, body)

    async def cart(self, ref: str, customer: Customer, pieces: int, *, online: bool = False) -> None:
        """As the shop pushes it; no pieces: it was emptied."""
        await self.hears(News(carts=[shown(ref, customer, pieces, self.now if online else None)]))

    async def hears(self, news: News) -> None:
        """Each kind in a transaction of its own, as the shop pushes them; each opt-out and the admin's word, too."""
        if news.carts:
            await self._kept(lambda db: keep.keep_carts(self.context, db, self.shop_id, news.carts, self.look()))
        if news.orders:
            await self._kept(lambda db: keep.keep_orders(self.context, db, self.shop_id, news.orders, self.look()))
        if said := news.customers:
            version = self.look().version
            await self._kept(lambda db: persons.keep(self.context, db, self.shop_id, said, self.now, version))
        for message in news.opted_out:
            hit = Hit(uuid.UUID(int=message), "unsubscribed", self.shop_id, message, at=self.now)
            await optout.settle(self.context.pool, hit)
        if news.suppressed:
            await self._suppresses(news.suppressed)

    async def _kept(self, keeping: Callable[[Any], Awaitable[Any]]) -> None:
        async def body(db: Any) -> None:
            await work.serialise(db, self.shop_id)
            await keeping(db)

        await self.write(body)

    async def _suppresses(self, addresses: Sequence[str]) -> None:
        """As `tillbell suppress add` does."""
        hmacs = [address_hmac(self.context.pepper, "email", address) for address in addresses]

        async def body(db: Any) -> None:
            owners = await suppressions.owners(db, self.shop_id, hmacs)
            await people.lock(db, self.shop_id, owners)
            entries = [Entry(hmac, "by hand", self.now) for hmac in hmacs]
            await suppressions.add(db, self.shop_id, "email", entries, "by hand")
            if owners:
                await recoveries.end_of_persons(db, self.shop_id, owners, "not_allowed", self.now)

        await self.write(body)

    async def brakes(self, *, on: bool) -> None:
        if on:
            await brake.pause(self.context.pool, [self.shop_id], brake.Scope(), "wrong price", self.now, None)
        else:
            await brake.resume(self.context.pool, [self.shop_id], brake.Scope(), self.now)

    async def plans(self) -> None:
        """Steps 3 to 5 until nothing is due."""
        for step in (enrol.resting_carts, decide.due_recoveries, prepare.planned_messages):
            while await step(self.context, self.shop_id, self.now):
                pass

    async def claims(self, most: int) -> tuple[int, list[Claimed]]:
        found, claims = await deliver.claim(self.context, self.shop_id, "email", self.now, most)
        if not claims:
            return found, []
        rows = await self.context.pool.fetch(CONTENTS, self.shop_id, [claim.id for claim, _ in claims])
        return found, [
            Claimed(
                row["id"], row["fence"], row["recovery_id"], row["step"], row["ref"], row["email"] or "",
                bool(row["basis_evidence"]) and row["basis"] != "none_required",
            )
            for row in rows
        ]  # fmt: skip

    async def due(self) -> list[str]:
        """The works that the bell would ring for at this moment."""
        return [name for name, _ in await work.due(self.context.pool, [self.shop_id], self.now)]

    async def still_wanted(self, held: Sequence[Claimed]) -> set[int]:
        """Which of these messages may leave, by the last look."""
        asked = [(one.message, one.fence) for one in held]
        return await messages.still_wanted(self.context.pool, self.shop_id, asked)

    async def records(self, told: Sequence[tuple[Claimed, Outcome]]) -> None:
        group = [(Message(self.shop_id, one.message, one.fence, one.address, None), out) for one, out in told]  # type: ignore[arg-type]
        await outcomes.write(self.context, self.shop_id, "email", group)

    async def reaps(self, dead: Sequence[Claimed]) -> list[int]:
        """The leases of those are over, and the sweep comes by."""
        await self.context.pool.execute(
            "UPDATE message SET lease_until_real = clock_timestamp() - interval '1 s' "
            "WHERE shop_id = $1 AND state = 'sending' AND id = ANY($2::bigint[])",
            self.shop_id, [one.message for one in dead],
        )  # fmt: skip
        return await messages.reap(self.context.pool, self.shop_id, self.now, 500)

    async def sweeps(self) -> None:
        await messages.expire(self.context.pool, self.shop_id, self.now, 500)
        await brake.free(self.context.pool, self.shop_id, self.now)

    async def contradictions(self, overdue: timedelta = NO_END) -> list[str]:
        found = await books.violations(self.context.pool, self.now, overdue)
        return [one.kind for one in found if one.shop_id == self.shop_id]

    async def states(self) -> dict[tuple[int, str], str]:
        """What became of each message, by recovery and step."""
        rows = await self.context.pool.fetch(
            "SELECT recovery_id, step, state FROM message WHERE shop_id = $1", self.shop_id
        )
        return {(row["recovery_id"], row["step"]): row["state"] for row in rows}


def confirmed() -> tuple[ConsentHint, ...]:
    return (ConsentHint("email_mkt", "confirmed", None, "newsletter", "double opt-in"),)


def shown(ref: str, customer: Customer, pieces: int, online_at: datetime | None = None) -> CartSnapshot:
    """A cart as the shop shows it; no pieces: it was emptied."""
    line = Line("red", "red", "Schuh", Decimal(pieces), Decimal(10), product_url="https://shop.example/p/red")
    return CartSnapshot(ref, customer, (line,) if pieces else (), "EUR", Decimal(10) * pieces, online_at=online_at)


def bought(ref: str, customer: Customer, placed_at: datetime, cart_ref: str) -> OrderSnapshot:
    return OrderSnapshot(
        ref, placed_at, "paid", "purchase", Decimal(10), "EUR", customer.ref, customer.email, cart_ref=cart_ref
    )
