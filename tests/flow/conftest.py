"""A town: one shop, its customers and a post office, on real servers; only time is ours."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from daemon import logs
from daemon.context import Context
from daemon.demo.twilio import ACCOUNT, TOKEN, Twilio
from daemon.house import house
from daemon.run import running
from daemon.settings import Settings
from daemon.shops.base import (
    Capability,
    CartBatch,
    CartSnapshot,
    ConsentHint,
    Customer,
    Line,
    OrderBatch,
    OrderSnapshot,
    Product,
    Shop,
    ShopUnavailable,
)
from daemon.store import books, clock
from daemon.web.clock import is_finished

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SHOPS = """
shops:
  main:
    connector: push
    mode: live
    url: https://shop.example
    cart_page: https://shop.example/cart
    zone: Europe/Berlin
    locale: de-DE
    holdout: {holdout}
    legal: de
    existing_customer_notice: {{since: 2020-01-01, version: "1"}}
    sender:
      name: Laden
      address: laden@shop.example
      imprint: [Laden GmbH, Hauptstraße 1, 10115 Berlin]
    connection:
      secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
"""
POLICY = """
extends: default
starts: {rests_for: 1h}
steps:
  - {name: remind, after: 1h}
  - {name: doubts, after: 24h}
  - {name: last-call, after: 48h}
"""


class Letters:
    """What the post office took, newest last; a real SMTP server."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, EmailMessage]] = []
        self.senders: list[str] = []
        self.refuse: dict[str, str] = {}

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if answer := self.refuse.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.original_content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.taken += [(address, mail) for address in envelope.rcpt_tos]
        self.senders.append(str(envelope.mail_from))
        return "250 taken"

    def of(self, address: str) -> list[EmailMessage]:
        return [mail for to, mail in self.taken if to == address]


class Scripted(Shop):
    """A shop that shows what the test put into it. `silent` for one that does not answer."""

    name = "scripted"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.shows: dict[str, CartSnapshot] = {}
        self.has_sold: list[OrderSnapshot] = []
        self.sells: dict[str, Product] | None = None
        self.silent = False
        self.asked_for_orders = 0

    def capabilities(self) -> frozenset[Capability]:
        able = {Capability.CARTS_SNAPSHOT, Capability.FIND_ORDERS}
        return frozenset(able | ({Capability.PRODUCTS} if self.sells is not None else set()))

    async def carts(self, cursor: str, limit: int, now: datetime) -> CartBatch:
        if self.silent:
            raise ShopUnavailable("no answer")
        return CartBatch(tuple(self.shows.values()), is_full_snapshot=True)

    async def orders(self, cursor: str, limit: int, now: datetime) -> OrderBatch:
        if self.silent:
            raise ShopUnavailable("no answer")
        return OrderBatch(tuple(self.has_sold))

    async def find_orders(self, refs: Any, emails: Any, since: datetime) -> list[OrderSnapshot]:
        self.asked_for_orders += 1
        if self.silent:
            raise ShopUnavailable("no answer")
        return [one for one in self.has_sold if one.customer_ref in refs or one.email.lower() in emails]

    async def products(self, refs: Any, locale: str) -> dict[str, Product]:
        return {ref: (self.sells or {})[ref] for ref in refs if ref in (self.sells or {})}


def basket(ref: str, customer: Customer, *products: str, price: str = "49.90", **more: Any) -> CartSnapshot:
    """A cart as a shop shows it; without `source_updated_at` the shop does not tell when it changed."""
    lines = tuple(
        Line(name, name, f"Schuh {name}", Decimal(1), Decimal(price), product_url=f"https://shop.example/p/{name}")
        for name in products
    )
    if "source_updated_at" in more:
        more["time_precision"] = "second"
    return CartSnapshot(ref, customer, lines, "EUR", Decimal(price) * len(lines), **more)


def buyer(ref: str, **more: Any) -> Customer:
    """A customer with every consent that a mail needs."""
    told = [("email_mkt", "track_open", "track_click")[number] for number in range(3)]
    consents = tuple(ConsentHint(purpose, "confirmed", None, "newsletter", "double opt-in") for purpose in told)  # type: ignore[arg-type]
    return Customer(**{"ref": ref, "email": f"{ref}@example.org", "consents": consents, **more})


@dataclass
class Town:
    """One shop with a daemon that runs for real. Time stands still until `passes` moves it."""

    context: Context
    letters: Letters
    public: str
    http: aiohttp.ClientSession

    @property
    def shop_id(self) -> int:
        return self.context.shop_ids["main"]

    async def now(self) -> datetime:
        return await clock.shop_now(self.context.pool)

    async def settles(self) -> None:
        """Until all that is due at this instant is done."""
        async with asyncio.timeout(60):
            while not await is_finished(self.context):
                await asyncio.sleep(0.005)

    async def passes(self, **span: float) -> None:
        """Time goes by, instant by instant."""
        from daemon.store import work

        end = await self.now() + timedelta(**span)
        await self.settles()
        while (at := await work.next_instant(self.context.pool, [self.shop_id], await self.now())) and at < end:
            await self._jump(at)
        await self._jump(end)

    async def _jump(self, to: datetime) -> None:
        await clock.set_clock(self.context.pool, to, Decimal(0))
        self.context.bell.set()
        await self.settles()

    async def fetch(self, sql: str, *values: Any) -> list[Mapping[str, Any]]:
        return list(await self.context.pool.fetch(sql, *values))

    async def value(self, sql: str, *values: Any) -> Any:
        return await self.context.pool.fetchval(sql, *values)

    async def leaves_cart(self, ref: str, customer: Customer, *products: str, price: str = "49.90") -> None:
        """A cart as the shop pushes it."""
        from daemon.flow import ingest, keep
        from daemon.flow.keep import Look
        from daemon.store import work
        from daemon.store.database import again

        now = await self.now()
        snapshot = basket(ref, customer, *products, price=price, source_updated_at=now)

        async def body(db: Any) -> int:
            await work.serialise(db, self.shop_id)
            look = Look(now, ingest.micros(now), pushed=True)
            return await keep.keep_carts(self.context, db, self.shop_id, [snapshot], look)

        await again(self.context.pool, body)
        self.context.ring("enrol", self.shop_id)
        self.context.ring("decide", self.shop_id)
        await self.settles()

    async def buys(self, ref: str, customer: Customer, *, ago: timedelta = timedelta(), **changes: Any) -> None:
        from daemon.flow import ingest, keep
        from daemon.store import work
        from daemon.store.database import again

        now = await self.now()
        order = OrderSnapshot(ref, now - ago, "paid", "purchase", Decimal("49.90"), "EUR", customer.ref, customer.email)
        order = replace(order, **changes)

        async def body(db: Any) -> int:
            await work.serialise(db, self.shop_id)
            look = keep.Look(now, ingest.micros(now), pushed=True)
            return await keep.keep_orders(self.context, db, self.shop_id, [order], look)

        await again(self.context.pool, body)
        await self.settles()

    async def polls(self) -> Scripted:
        """From now on the shop is one that is looked at, every ten minutes."""
        shop = Scripted(self.context.keeper.book.configs["main"])
        self.context.shops["main"] = shop
        await self.context.pool.execute("UPDATE work SET due_at = $1 WHERE name = 'poll'", await self.now())
        return shop

    async def ends(self) -> dict[str, int]:
        """How many recoveries ended for which reason; those that are open under `open`."""
        rows = await self.fetch("SELECT coalesce(end_reason, 'open') AS word, count(*) AS n FROM recovery GROUP BY 1")
        return {row["word"]: row["n"] for row in rows}

    async def because(self) -> list[str]:
        rows = await self.fetch("SELECT because FROM decision ORDER BY id")
        return [row["because"] for row in rows]

    async def books_are_clean(self) -> None:
        assert await books.violations(self.context.pool, await self.now()) == []


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a connection, or the first byte on it, may take longer than a daemon waits for it."""
    for span in ("daemon.store.database.PATIENCE", "channels.email.FIRST_BYTE", "channels.webpush.FIRST_BYTE"):
        monkeypatch.setattr(span, 30.0)


@pytest.fixture
def links_of() -> Any:
    return read_links


@pytest.fixture
def make_basket() -> Any:
    return basket


@pytest.fixture
def make_buyer() -> Any:
    return buyer


def read_links(mail: EmailMessage) -> dict[str, list[str]]:
    """What a reader of the mail can follow, by kind: o, c, u."""
    part = mail.get_body(("html",))
    assert part is not None
    found: dict[str, list[str]] = {"o": [], "c": [], "u": []}
    for kind, token in re.findall(r"http://127\.0\.0\.1:\d+/([ocu])/([A-Za-z0-9_-]{40})", part.get_content()):
        found[kind].append(token)
    return found


@pytest.fixture
async def make_town(
    database: str, open_folder: Path, redis_url: str, unused_tcp_port_factory: Any
) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def make(
            shops: str = SHOPS, policies: Mapping[str, str] | None = None, *, holdout: str = "0%", **settings: Any
        ) -> Town:
            rules = open_folder / "rules"
            rules.mkdir()
            (rules / "shops.yaml").write_text(shops.format(holdout=holdout))
            for name, text in (policies or {"main": POLICY}).items():
                (rules / f"{name}.yaml").write_text(text)
            letters = Letters()
            post = Controller(letters, hostname="127.0.0.1", port=unused_tcp_port_factory())
            post.start()
            stack.callback(post.stop)
            public = unused_tcp_port_factory()
            chosen = Settings(
                **{
                    "database_url": SecretStr(database),
                    "redis_url": SecretStr(redis_url),
                    "data_dir": open_folder / "data",
                    "rules_dir": rules,
                    "listen": f"127.0.0.1:{public}",
                    "private_listen": "127.0.0.1:0",
                    "smtp_host": "127.0.0.1",
                    "smtp_port": post.port,
                    "smtp_tls": "none",
                    "clock": "stepped",
                    "poll_every": timedelta(minutes=10),
                    "secret": SecretStr("s" * 40),
                    "pepper": SecretStr("p" * 40),
                    **settings,
                }
            )
            context = await stack.enter_async_context(house(chosen, database))
            await clock.set_clock(context.pool, START, Decimal(0))
            await context.pool.execute("UPDATE work SET due_at = $1", START)
            await stack.enter_async_context(running(context, redis_url))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Town(context, letters, f"http://127.0.0.1:{public}", http)

        yield make


@pytest.fixture
async def town(make_town: Any) -> Town:
    return await make_town()


@pytest.fixture
def at_twilio(twilio: Twilio) -> dict[str, Any]:
    """Settings of a town whose texts go there."""
    secret = SecretStr(TOKEN)
    return {"twilio_account_sid": ACCOUNT, "twilio_auth_token": secret, "twilio_base_url": twilio.url}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the daemon would write to its standard error."""
    told = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", told)
    logs.set_up(Settings(log_format="json"))
    structlog.configure(cache_logger_on_first_use=False)
    yield told
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
