"""A shop posts events: honest ones are in the database before the answer, all others get a clear refusal."""

import asyncio
import base64
import gzip
import json
import os
import shutil
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
from aiohttp import ClientSession, web
from standardwebhooks import Webhook

from daemon.batcher import Batcher
from daemon.clock import machine_now, monotonic
from daemon.context import Context
from daemon.settings import Settings
from daemon.shops.push import Push, PushConfig, parse
from daemon.store import database as stored
from daemon.store import inbox
from daemon.store.database import connect_pool
from daemon.tokens import Secrets
from daemon.web import hooks

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
OLD, NEW = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))
CART = {
    "type": "cart.updated",
    "timestamp": "2026-03-01T12:00:00.5Z",
    "data": {"ref": "7", "currency": "EUR", "total": "5", "lines": [], "customer": {"email": "ada@example.org"}},
}
BODY = json.dumps(CART).encode()


def machine_seconds() -> int:
    return int(machine_now().timestamp())


def signed(body: bytes = BODY, id: str = "evt-1", late: int = 0, secret: str = NEW) -> dict[str, str]:
    at = machine_seconds() - late
    signature = Webhook(secret).sign(id, datetime.fromtimestamp(at, UTC), body.decode("utf-8", "replace"))
    return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": signature}


class Door:
    """The real handler on a real socket, before a real database."""

    def __init__(self, context: Context, session: ClientSession, port: int, keeper: Batcher) -> None:
        self.context, self.session, self.port, self.keeper = context, session, port, keeper

    async def post(self, headers: dict[str, str] | None = None, body: bytes = BODY, shop: str = "main"):
        url = f"http://127.0.0.1:{self.port}/hooks/shop/{shop}"
        headers = signed(body) if headers is None else headers
        async with self.session.post(url, data=body, headers=headers) as answer:
            return SimpleNamespace(status=answer.status, headers=answer.headers, **await answer.json())

    async def rows(self) -> list[inbox.Waiting]:
        return await inbox.waiting(self.context.pool, self.context.shop_ids["main"], 10_000)


@asynccontextmanager
async def open_door(context: Context):
    app = web.Application()
    keeper = hooks.keeper(context)
    app.add_routes(hooks.routes(context, keeper))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with ClientSession() as session:
        yield Door(context, session, port, keeper)
    await runner.cleanup()


async def made_context(pool) -> Context:
    shop_id = await pool.fetchval("INSERT INTO shop (name, added_at) VALUES ('main', now()) RETURNING shop_id")
    shop = Push(PushConfig(secrets=(NEW, OLD)))
    return Context(
        settings=Settings(),
        pool=pool,
        secrets=Secrets(1, {1: b"x" * 32}),
        pepper=b"p" * 32,
        data_dir=Path("/nowhere"),
        keeper=cast(Any, None),
        process="test",
        shop_ids={"main": shop_id, "silent": 99},
        shops={"main": shop, "silent": cast(Push, object())},
    )


@pytest.fixture
async def door(database):
    pool = await connect_pool(database, 4)
    async with open_door(await made_context(pool)) as opened:
        yield opened
    await pool.close()


async def test_an_honest_event_is_kept_before_the_answer(door):
    answer = await door.post()
    assert (answer.status, answer.kept) == (202, True)
    (row,) = await door.rows()
    assert (row.body, row.delivery_id, row.source) == (BODY, "evt-1", "push")
    assert door.context.rung


async def test_an_event_that_comes_thrice_is_one_row(door):
    answers = await asyncio.gather(*(door.post() for _ in range(3)))
    assert [answer.status for answer in answers] == [202] * 3
    assert (await door.post(signed(late=-5))).status == 202
    assert len(await door.rows()) == 1


async def test_both_keys_are_good_while_one_is_being_changed(door):
    assert (await door.post(signed(id="a", secret=OLD))).status == 202
    assert (await door.post(signed(id="b", secret=NEW))).status == 202
    both = signed(id="c", secret="whsec_" + base64.b64encode(b"z" * 32).decode())
    both["webhook-signature"] += " " + signed(id="c")["webhook-signature"]
    assert (await door.post(both)).status == 202
    assert len(await door.rows()) == 3


def changed(**headers: str) -> dict[str, str]:
    return {**signed(), **{name.replace("_", "-"): value for name, value in headers.items()}}


def body_of(**changes: object) -> bytes:
    return json.dumps({**CART, **changes}).encode()


STRANGER = "whsec_" + base64.b64encode(b"s" * 32).decode()
REFUSED = [
    pytest.param(lambda: (signed(secret=STRANGER), BODY), 401, "signature", id="signed with another key"),
    pytest.param(lambda: (signed(), BODY + b" "), 401, "signature", id="changed by one space"),
    pytest.param(lambda: (changed(webhook_id="evt-2"), BODY), 401, "signature", id="replayed under another id"),
    pytest.param(lambda: (changed(webhook_signature="v1,"), BODY), 401, "signature", id="an empty signature"),
    pytest.param(lambda: (changed(webhook_signature="v1,%%"), BODY), 401, "signature", id="no base64"),
    pytest.param(lambda: (changed(webhook_signature="v1a,AAAA"), BODY), 401, "signature", id="another scheme"),
    pytest.param(lambda: (changed(webhook_signature="x" * 999), BODY), 401, "signature", id="no signature at all"),
    pytest.param(lambda: (signed(late=301), BODY), 401, "seconds behind our clock", id="five minutes old"),
    pytest.param(lambda: (signed(late=-400), BODY), 401, "seconds ahead of our clock", id="from the future"),
    pytest.param(lambda: (changed(webhook_timestamp="nan"), BODY), 400, "is no time", id="a time that is none"),
    pytest.param(lambda: (changed(webhook_timestamp=""), BODY), 400, "missing header webhook-timestamp", id="no time"),
    pytest.param(
        lambda: (changed(webhook_id="a.b"), BODY), 400, "webhook-id is not usable", id="a full stop in the id"
    ),
    pytest.param(lambda: (changed(webhook_id="x" * 201), BODY), 400, "webhook-id is not usable", id="an endless id"),
    pytest.param(lambda: ({}, BODY), 400, "missing header webhook-id", id="not signed"),
    pytest.param(
        lambda: ({**signed(), "Content-Encoding": "gzip"}, gzip.compress(BODY)), 415, "compressed", id="compressed"
    ),
    pytest.param(lambda: (None, b"{" + b" " * 256 * 1024 + b"}"), 413, "too large", id="too large"),
    pytest.param(lambda: (None, b"<html>"), 400, "body: is not JSON (line 1, column 1", id="a page"),
    pytest.param(lambda: (None, b"\xff\xfe"), 400, "body: is not UTF-8", id="not UTF-8"),
    pytest.param(lambda: (None, b"[" * 100_000), 400, "body: is no JSON", id="nested without end"),
    pytest.param(lambda: (None, b"[]"), 400, "body: input should be", id="a list"),
    pytest.param(lambda: (None, body_of(type="cart.update")), 422, "did you mean cart.updated?", id="a slip"),
    pytest.param(lambda: (None, body_of(type="stock.low")), 422, "known are cart.updated, ", id="an unknown event"),
    pytest.param(lambda: (None, body_of(type=[])), 422, "type: ", id="a list as type"),
    pytest.param(lambda: (None, body_of(timestamp="today")), 422, "timestamp: must be a time", id="no event time"),
    pytest.param(
        lambda: (None, body_of(data={**CART["data"], "lines": [{}]})),
        422,
        "data.lines[0].product_ref: field required",
        id="a line with nothing in it",
    ),
]


@pytest.mark.parametrize(("made", "status", "sentence"), REFUSED)
async def test_what_is_refused_says_why(door, made, status, sentence):
    headers, body = made()
    answer = await door.post(headers, body)
    assert answer.status == status
    assert answer.hint
    assert sentence in answer.error
    assert answer.headers["Connection"] == "close"
    assert await door.rows() == []


@pytest.mark.parametrize("shop", ["nobody", "silent", "%00", "a%2Fb"])
async def test_an_unknown_shop_takes_nothing(door, shop):
    answer = await door.post(shop=shop)
    assert answer.status == 404
    assert answer.headers["Connection"] == "close"
    assert await door.rows() == []


async def test_a_channel_that_is_not_there_ends_the_connection(site):
    """Who needs a new one for each guess is counted at the door."""
    status, response, text = await site.ask("POST", "/hooks/channel/pigeon", data=BODY)
    assert (status, response.headers["Connection"]) == (404, "close")
    assert json.loads(text)["hint"]


async def talk(door: Door, *parts: bytes) -> bytes:
    """What a client reads that sends these parts and then says nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


def head(length: int | None, **headers: str) -> bytes:
    lines = [f"{name}: {value}" for name, value in {**signed(), **headers}.items()]
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    return "\r\n".join(["POST /hooks/shop/main HTTP/1.1", "Host: t", *lines, "", ""]).encode()


async def test_an_announced_size_is_refused_before_a_byte_of_it(door):
    assert b" 413 " in await talk(door, head(300_000))


async def test_a_size_that_nobody_announced_is_cut_off(door):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert b" 413 " in await talk(door, head(None), *[chunk] * 5)


async def test_a_stale_head_is_refused_before_the_body(door):
    assert b" 401 " in await talk(door, head(500, **{"webhook-timestamp": str(machine_seconds() - 900)}))


async def test_a_body_that_never_ends_is_not_waited_for(door, monkeypatch):
    monkeypatch.setattr(hooks, "BODY_PATIENCE", 0.2)
    async with open_door(door.context) as impatient:
        assert b" 408 " in await talk(impatient, head(500), b'{"type"')


async def test_honest_shops_are_heard_while_hundreds_dawdle(door):
    """Slow senders hold connections, not others' answers."""
    dawdlers = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(300)]
    for number, (_, writer) in enumerate(dawdlers):
        writer.write(head(200_000, **{"webhook-id": f"slow-{number}"}) + b"x" * 60_000)
    answers = [await door.post(signed(id=f"evt-{number}")) for number in range(30)]
    assert {answer.status for answer in answers} == {202}
    for _, writer in dawdlers:
        writer.close()
    assert len(await door.rows()) == 30


WRITER_WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'inbox'::regclass"


async def test_a_thousand_in_ten_crowds_are_a_few_writes(door):
    """What arrives while one is being written is one group."""
    pool, answers = door.context.pool, []
    for crowd in range(10):
        async with pool.acquire() as locker, locker.transaction(), asyncio.timeout(60):
            await locker.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
            posting = [asyncio.create_task(door.post(signed(id=f"evt-{crowd}")))]
            while not await pool.fetchval(WRITER_WAITS):
                await asyncio.sleep(0.005)
            posting += [asyncio.create_task(door.post(signed(id=f"evt-{crowd}-{n}"))) for n in range(99)]
            while len(door.keeper.queue) < 99:
                await asyncio.sleep(0.005)
        answers += await asyncio.gather(*posting)
    assert {answer.status for answer in answers} == {202}
    assert len(await door.rows()) == 1000
    assert await pool.fetchval("SELECT count(DISTINCT xmin::text) FROM inbox") == 20


async def test_while_the_database_is_busy_the_shop_is_told_to_come_again(door, monkeypatch):
    monkeypatch.setattr(hooks, "KEEP_PATIENCE", 2.0)
    async with door.context.pool.acquire() as locker, locker.transaction():
        await locker.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(60):  # it may be a busy machine; without an end it would be for ever
            answer = await door.post()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    monkeypatch.setattr(hooks, "KEEP_PATIENCE", 60.0)
    assert (await door.post()).status == 202
    assert len(await door.rows()) == 1


async def test_while_all_connections_are_taken_the_shop_is_told_so_in_time(database, monkeypatch):
    """Two connections, fifty that want one for longer than anybody may wait, and twenty events: if these waited for
    their turn, it would be a minute and a half."""
    for module, name in ((stored, "PATIENCE"), (hooks, "KEEP_PATIENCE")):
        monkeypatch.setattr(module, name, 2.0)
    pool = await connect_pool(database, 2)
    async with open_door(await made_context(pool)) as door:
        slow = [asyncio.create_task(pool.fetchval("SELECT 1 FROM pg_sleep(4)")) for _ in range(50)]
        await asyncio.sleep(0)  # they ask first
        began = monotonic()
        answers = await asyncio.gather(*(door.post(signed(id=f"evt-{n}")) for n in range(20)))
        assert monotonic() - began <= 40
        assert {(answer.status, answer.headers["Retry-After"]) for answer in answers} == {(503, "2")}
        ends = await asyncio.gather(*slow, return_exceptions=True)
        assert all(isinstance(end, TimeoutError) for end in ends if end != 1)
        for module, name in ((stored, "PATIENCE"), (hooks, "KEEP_PATIENCE")):
            monkeypatch.setattr(module, name, 60.0)
        assert (await door.post()).status == 202
    await pool.close()


async def test_while_the_database_is_away_the_shop_is_told_to_come_again(door):
    away = await asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0)
    door.context.pool, kept = away, door.context.pool
    answer = await door.post()
    assert (answer.status, answer.error) == (503, "the database is away")
    door.context.pool = kept
    assert (await door.post()).status == 202
    await away.close()


RUN = {"py": sys.executable, "js": "node", "php": "php"}


def interpreter(language: str) -> str:
    """Examples are run where their interpreter is; only Python's is certain."""
    return shutil.which(RUN[language]) or pytest.skip(f"{RUN[language]} is not installed")


@pytest.mark.parametrize("language", RUN)
async def test_the_example_posts_events(door, language):
    program = [interpreter(language), EXAMPLES / f"push.{language}"]
    hook = f"http://127.0.0.1:{door.port}/hooks/shop/main"
    environment = {**os.environ, "HOOK_URL": hook, "HOOK_KEY": NEW}
    process = await asyncio.create_subprocess_exec(*program, env=environment, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert printed.decode().split() == ["202", "202"]
    cart, order = [parse(row.body) for row in await door.rows()]
    assert (cart.kind, cart.cart.total, cart.cart.customer.email) == (
        "cart.updated",
        Decimal("79.90"),
        "ada@example.org",
    )
    assert (order.kind, order.order.cart_ref, order.order.total) == ("order.placed", "7", Decimal("79.90"))
    assert all("." in json.loads(row.body)["timestamp"] for row in await door.rows())  # fractions of a second matter
