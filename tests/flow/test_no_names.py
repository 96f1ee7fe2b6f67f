"""Whatever fails around somebody, no log, figure, page, key or note of a problem says who it was."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import redis.asyncio
import structlog
from pydantic import SecretStr

from daemon import tokens
from daemon.demo.twilio import ACCOUNT, TOKEN
from daemon.flow import optin
from daemon.shops.base import CartBatch, ConsentHint, Customer, ShopUnavailable
from daemon.tokens import Short, Token
from tests.flow.conftest import SHOPS, Scripted, basket

CANARIES = ("canary+7f3a", "canary%2b7f3a", "leak.test", "1511234567", "kanaria", "leckmann")
CANARY = Customer(
    ref="77",
    email="canary+7f3a@leak.test",
    phone="+4915112345678",
    first_name="Kanaria",
    last_name="Leckmann",
    country="DE",
    consents=tuple(
        ConsentHint(purpose, "confirmed", None, "newsletter", "double opt-in")
        for purpose in ("email_mkt", "track_open", "track_click")
    ),
)
SAYS = "Kanaria Leckmann <canary+7f3a@leak.test>, +4915112345678"


def hits(text: str) -> list[str]:
    return [needle for needle in CANARIES if needle in text.lower()]


async def everything_told(town: Any, redis_url: str, log: io.StringIO) -> str:
    """The log, the figures, how the process says it is, all Redis keys with their values, and every noted problem."""
    texts = [log.getvalue()]
    private = town.private
    for path in ("metrics", "readyz", "healthz"):
        async with town.http.get(f"http://127.0.0.1:{private}/{path}") as answer:
            texts.append(await answer.text())
    client = redis.asyncio.Redis.from_url(redis_url)
    async for key in client.scan_iter():
        texts.append((key + (await client.dump(key) or b"")).decode("latin-1"))
    await client.aclose()
    for table, column in (
        ("work", "problem"),
        ("channel_rest", "reason"),
        ("heartbeat", "process"),
    ):
        texts += [str(row[column]) for row in await town.fetch(f"SELECT {column} FROM {table}")]
    return "\n".join(texts)


@pytest.fixture
async def watched(make_town: Any, unused_tcp_port: int, log: io.StringIO) -> Any:
    twilio = {"twilio_account_sid": ACCOUNT, "twilio_auth_token": SecretStr(TOKEN), "twilio_from": "+4915735980000"}
    shops = SHOPS.replace("    url: ", f"    onsite: {{{{key: {'k' * 40}, carts: true}}}}\n    url: ", 1)
    listen = f"127.0.0.1:{unused_tcp_port}"
    town = await make_town(shops, poll_every=timedelta(minutes=10), private_listen=listen, **twilio)
    town.private = unused_tcp_port
    return town


class Telling(Scripted):
    """A shop whose errors tell too much."""

    says: Exception | None = None

    async def carts(self, cursor: str, limit: int, now: Any) -> CartBatch:
        if self.says is not None:
            raise self.says
        return await super().carts(cursor, limit, now)


async def test_nothing_that_fails_says_who_it_was_about(watched, redis_url, log):
    town = watched
    shop = await town.polls()
    town.context.shops["main"] = shop = Telling(town.context.keeper.book.configs["main"])
    await town.passes(minutes=20)
    shop.shows["c1"] = basket("c1", CANARY, "red", recovery_url="https://shop.example/?mail=canary+7f3a@leak.test")
    town.letters.refuse[CANARY.email] = f"451 4.2.0 {SAYS} is over quota"
    await town.passes(hours=3)  # the relay's words
    assert await town.value("SELECT count(*) FROM attempt WHERE error IS NOT NULL") > 0
    said = ShopUnavailable(f"answered 500 for {CANARY.email}, {CANARY.phone}")  # words of ours may repeat the shop's
    for fault in (ValueError(SAYS), KeyError(SAYS), said, RuntimeError({"name": SAYS})):
        shop.says = fault
        await fails(town, "poll")
        assert hits(await town.value("SELECT problem FROM work WHERE name = 'poll'")) == []
    shop.says = None
    await town.context.pool.execute("ALTER TABLE person ADD CONSTRAINT odd CHECK (locale <> 'xx') NOT VALID")
    shop.shows["c1"] = basket("c1", replace(CANARY, locale="xx"), "red", "blue")
    await fails(town, "poll")  # PostgreSQL's DETAIL: the whole row
    await broken_requests(town)
    await broken_link(town)
    text = await everything_told(town, redis_url, log)
    assert "CheckViolationError" in text
    assert "ValueError" in text
    assert log.getvalue().count("\n") > 10
    assert hits(text) == []
    # What a relay says of them is kept for `why`, and goes with them: only names may be in it, which nobody can know.
    errors = [str(row["error"]) for row in await town.fetch("SELECT error FROM attempt")]
    assert set(hits("\n".join(errors))) <= {"kanaria", "leckmann"}


async def fails(town: Any, work: str) -> None:
    """Until this work has failed once more."""
    before = await town.value("SELECT failures FROM work WHERE name = $1", work)
    at = await town.now()
    await town.context.pool.execute("UPDATE work SET due_at = $2, rest_until_real = NULL WHERE name = $1", work, at)
    town.context.bell.set()
    async with asyncio.timeout(60):
        while await town.value("SELECT failures FROM work WHERE name = $1", work) <= before:
            await asyncio.sleep(0.01)


WORDS = {"email": CANARY.email, "phone": CANARY.phone, "name": SAYS}
BODIES = (
    f'{{"type": "cart.updated", "data": {{"email": "{CANARY.email}", "name": "{SAYS}"',
    json.dumps(
        {
            **dict.fromkeys(("visitor", "badge", "wording", "device", "landing", "endpoint", "notice"), SAYS),
            **WORDS,
            "events": [{"id": CANARY.email, "type": SAYS, "data": WORDS}],
            "allow": [SAYS],
            "keys": WORDS,
        }
    ),
    urlencode({"do": SAYS, "often": CANARY.email, "From": CANARY.phone, "Body": SAYS, "MessageSid": CANARY.email}),
)
ON_PAGES = ("visitors", "events", "notices", "reactions", "landings", "subscriptions", "unsubscriptions")
PLACES = [
    *(f"/{kind}/{CANARY.email}" for kind in ("o", "c", "s", "u", "p", "y", "hooks/shop", "hooks/channel", "x", "site")),
    *("/hooks/shop/main", "/hooks/channel/sms", "/hooks/channel/email", "/o/x.gif", f"/site/main/{CANARY.email}"),
    *(f"/site/{shop}/{what}" for what in ON_PAGES for shop in ("main", CANARY.email)),
]


async def broken_requests(town: Any) -> None:
    """Every public path with the canary in each place where a stranger can put one."""
    for path in PLACES:
        for method in ("GET", "POST", "PUT", "HEAD", "OPTIONS"):
            for body in BODIES if method == "POST" else BODIES[:1]:
                await strange_request(town, method, path, body)


async def strange_request(town: Any, method: str, path: str, body: str) -> None:
    form = "application/x-www-form-urlencoded" if "=" in body[:3] else "text/plain"
    told = {"Cookie": SAYS, "webhook-id": CANARY.email, "X-Twilio-Signature": CANARY.email, "Content-Type": form}
    headers = {**told, "Referer": f"https://x/{CANARY.email}", "Origin": "https://shop.example"}
    async with town.http.request(
        method, town.public + path, params={"q": SAYS}, data=body.encode(), headers=headers, allow_redirects=False
    ) as answer:
        page = (await answer.read()).decode("latin-1")
    assert answer.status < 500
    assert hits(page + str(answer.headers)) == []


async def broken_link(town: Any) -> None:
    """Handlers that fail: the database has lost a table."""
    message, ours = await town.value("SELECT max(id) FROM message"), town.context.secrets
    text = tokens.make_short(ours, Short("click", town.shop_id, message))

    def mail(purpose: Any) -> str:
        return tokens.make(ours, Token(purpose, town.shop_id, message, 0))

    for table, path in (
        ("link", f"c/{mail('click')}"),
        ("link", f"s/{text}"),
        ("person", f"u/{mail('unsubscribe')}"),
        ("person", f"p/{mail('prefer')}"),
        ("opt_in", f"y/{optin.make_token(town.shop_id)}"),
    ):
        await town.context.pool.execute(f"ALTER TABLE {table} RENAME TO gone")
        for method in ("GET", "POST"):
            form = {"do": "choose", "often": "normal", "pause": "keep", "List-Unsubscribe": "One-Click", "to": SAYS}
            url, told = f"{town.public}/{path}", form if method == "POST" else None
            async with town.http.request(method, url, data=told, allow_redirects=False) as answer:
                assert hits(await answer.text()) == []
        await town.context.pool.execute(f"ALTER TABLE gone RENAME TO {table}")


def test_an_error_is_told_by_its_kind_and_place(log):
    try:
        try:
            raise ValueError(SAYS)
        except ValueError as error:
            raise KeyError(SAYS) from error
    except KeyError as error:
        structlog.get_logger().error("kept", problem=error, exc_info=True)
    line = log.getvalue()
    assert hits(line) == []
    assert "ValueError (" in line
    assert "KeyError (" in line
    assert "test_no_names.py" in line


def test_a_library_that_logs_an_error_tells_no_more(log):
    try:
        raise RuntimeError(SAYS)
    except RuntimeError:
        logging.getLogger("some.library").exception("it failed")
    assert "RuntimeError" in log.getvalue()
    assert hits(log.getvalue()) == []
