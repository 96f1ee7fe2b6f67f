"""What a page may say and ask: from which origin, how much of it, and who is believed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon.clock import machine_now
from daemon.web import badges
from daemon.web.badges import A_NOTICE, Landing
from daemon.web.landings import milliseconds
from daemon.web.serve import serve
from tests.letters import BROWSER, SECRETS, make_context, write_letter

KEY, SHOP = "k" * 40, "https://shop.example"
WORDS = f"    onsite: {{key: {KEY}, hosts: [www.shop.example]}}\n"
CART = {"currency": "EUR", "lines": [{"product_ref": "red", "name": "Red", "quantity": 1, "unit_price": 49.9}]}


class Page:
    """A page of the shop's in somebody's browser."""

    def __init__(self, http: aiohttp.ClientSession, context: Any, origin: str = SHOP) -> None:
        self.http, self.context, self.origin = http, context, origin
        self.visitor, self.count = "", 0

    async def ask(self, path: str, *, raw: bytes | None = None, shop: str = "main", **told: Any) -> tuple[int, Any]:
        body = raw if raw is not None else json.dumps({"visitor": self.visitor, **told}).encode()
        headers = {"Content-Type": "text/plain;charset=UTF-8", **({"Origin": self.origin} if self.origin else {})}
        async with self.http.post(f"/site/{shop}/{path}", data=body, headers=headers) as answer:
            text = await answer.text()
            self.headers = answer.headers
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    async def allows(self, *what: str) -> None:
        status, told = await self.ask("visitors", allow=list(what or ("report", "notices", "push")), device="mobile")
        assert status == 200
        self.visitor = told["visitor"]

    async def tells(self, kind: str, data: Any = None, **more: Any) -> int:
        self.count += 1
        event = {"id": f"event-{self.count:04}", "type": kind, "data": data or {}}
        return (await self.ask("events", events=[event], **more))[0]

    async def kept(self) -> list[dict[str, Any]]:
        rows = await self.context.pool.fetch("SELECT body FROM inbox WHERE source = 'site' ORDER BY id")
        return [json.loads(row["body"]) for row in rows]


@pytest.fixture
async def page(database: str, tmp_path: Path) -> AsyncIterator[Page]:
    context = await make_context(database, tmp_path)
    shops = tmp_path / "rules" / "shops.yaml"
    shops.write_text(shops.read_text() + WORDS + "  quiet: {connector: push, url: https://quiet.example}\n")
    assert context.keeper.reload()
    context.shop_ids["quiet"] = context.shop_ids["main"] + 1
    served = await serve(context)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{served.public_port}", headers={"User-Agent": BROWSER}) as http:
        yield Page(http, context)
    await served.close()
    await context.pool.close()


def badge(shop: str = "main", key: str = KEY, **claims: Any) -> str:
    import base64
    import hashlib
    import hmac

    told = {"shop": shop, "exp": int(machine_now().timestamp()) + 600, **claims}
    body = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    tag = hmac.new(key.encode(), body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


async def test_the_script_is_served_to_every_page(page):
    async with page.http.get("/sdk.js") as answer:
        script = await answer.read()
        assert (answer.status, answer.content_type) == (200, "text/javascript")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert len(script) <= 15 * 1024
        assert (answer.headers["Content-Encoding"], int(answer.headers["Content-Length"]) <= 5632) == ("gzip", True)
        assert b"cookie" not in script.replace(b"No cookie", b"")
        tag = answer.headers["ETag"]
    async with page.http.get("/sdk.js", headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304
    for plainly in ("identity", "gzip;q=0"):
        async with page.http.get("/sdk.js", headers={"If-None-Match": tag, "Accept-Encoding": plainly}) as answer:
            assert (answer.status, await answer.read()) == (200, script)
            assert "Content-Encoding" not in answer.headers


async def test_what_a_named_customer_reports_is_kept_with_their_name(page):
    await page.allows()
    assert await page.tells("cart", CART, badge=badge(customer="7", cart="c1"), device="desktop") == 200
    [kept] = await page.kept()
    assert (kept["kind"], kept["customer"], kept["cart"], kept["device"]) == ("cart", "7", "c1", "desktop")
    assert kept["data"]["lines"][0]["product_ref"] == "red"
    assert page.headers["Access-Control-Allow-Origin"] == SHOP
    assert page.headers["Vary"] == "Origin"
    assert "Set-Cookie" not in page.headers


async def test_what_is_told_twice_is_kept_once(page):
    await page.allows()
    event = {"id": "the-same-id", "type": "cart", "data": CART}
    for _ in range(3):
        assert (await page.ask("events", events=[event]))[0] == 200
    assert len(await page.kept()) == 1


ORIGINS = [
    (SHOP, 200),
    ("https://www.shop.example", 200),
    ("https://evil.example", 403),
    ("http://shop.example", 403),
    ("https://shop.example:8443", 403),
    ("https://shop.example.evil.example", 403),
    ("https://sub.shop.example", 403),
    ("https://SHOP.example", 403),
    ("null", 403),
    ("", 403),
]


async def test_only_pages_of_the_shop_may_ask(page):
    for page.origin, status in ORIGINS:
        answer, _ = await page.ask("visitors", allow=["report"])
        assert answer == status, page.origin
        allowed = page.origin if status == 200 else ""
        assert page.headers.get("Access-Control-Allow-Origin", "") == allowed
        asked = {"Origin": page.origin, "Access-Control-Request-Method": "POST"} if page.origin else {}
        async with page.http.options("/site/main/events", headers=asked) as before:
            assert before.status == (204 if status == 200 else 403)
            assert before.headers.get("Access-Control-Allow-Origin", "") == allowed


async def test_a_shop_without_the_script_has_no_paths(page):
    for shop in ("quiet", "nobody"):
        assert (await page.ask("visitors", shop=shop, allow=["report"]))[0] == 404


async def test_a_wrong_badge_is_refused_whole(page):
    await page.allows()
    over = badge(customer="7", exp=int(machine_now().timestamp()) - 1)
    for wrong in (badge(customer="7", key="x" * 40), over, badge(customer="7", shop="other"), "rubbish"):
        for what in ({"events": [{"id": "event-0001", "type": "cart", "data": CART}]}, {}):
            status, told = await page.ask("events" if what else "notices", badge=wrong, **what)
            assert (status, "badge" in told["error"]) == (401, True)
    assert await page.kept() == []


async def test_a_visitor_whom_we_did_not_name_is_nobody(page):
    await page.allows()
    mine = page.visitor
    for name in ("", "A" * 46, mine[:-2] + "AA", badges.visitor_token(SECRETS, 99, "0" * 32)):
        page.visitor = name
        assert await page.tells("cart", CART) == 401
        assert (await page.ask("notices"))[0] == 401
    assert await page.kept() == []


async def test_nobody_reports_what_was_not_allowed(page):
    await page.allows("notices")
    assert await page.tells("cart", CART) == 403
    await page.allows("report")
    assert await page.tells("cart", CART) == 200


async def test_who_takes_it_back_is_forgotten(page):
    await page.allows()
    before = page.visitor
    assert await page.ask("visitors", allow=[]) == (200, {"visitor": ""})
    assert await page.context.pool.fetchval("SELECT count(*) FROM visitor") == 0
    page.visitor = before
    assert await page.tells("cart", CART) == 403


async def test_the_proof_of_what_was_allowed_is_kept(page):
    await page.ask("visitors", allow=["report", "notices"], wording="v3", device="mobile")
    row = await page.context.pool.fetchrow("SELECT * FROM visitor")
    assert (row["allowed"], row["origin"], row["wording"], row["device"]) == (
        ["notices", "report"], SHOP, "v3", "mobile"
    )  # fmt: skip


async def test_who_is_not_named_leaves_no_trace_but_a_cart(page):
    await page.allows()
    for kind in ("visit", "checkout"):
        assert await page.tells(kind) == 200
    assert await page.kept() == []


UNREADABLE = [
    (b"x" * 1_000_000, 413),
    (b'{"visitor": "' + b"x" * 40_000 + b'"}', 413),
    (b"{", 400),
    (b"[]", 400),
    (b'{"a": NaN}', 400),
    (b"\xff\xfe", 400),
    (b"[" * 30_000, 400),
    (b'{"visitor": 7}', 422),
    (b'{"visitor": "' + b"x" * 400 + b'"}', 422),
]


async def test_what_cannot_be_read_is_refused(page):
    for raw, status in UNREADABLE:
        assert (await page.ask("events", raw=raw))[0] == status, raw[:20]


NO_EVENTS = [
    [],
    "cart",
    [{"id": "event-0001", "type": "order"}],
    [{"type": "visit"}],
    [{"id": "x y z 1 2", "type": "visit"}],
    [{"id": "event-0001", "type": "cart", "data": {"lines": [{}]}}],
    [{"id": "event-0001", "type": "cart", "data": {"lines": [CART["lines"][0]] * 101, "total": 1}}],
    [{"id": f"event-{n:04}", "type": "visit"} for n in range(21)],
    [7],
]


async def test_events_that_are_none_are_refused(page):
    await page.allows()
    for events in NO_EVENTS:
        assert (await page.ask("events", events=events, badge=badge(customer="7")))[0] == 422, events
    assert await page.kept() == []


async def test_a_flood_from_one_network_is_answered_from_memory(page):
    await page.allows()
    event = {"id": "event-0001", "type": "visit", "data": {}}
    asked = [
        page.ask("events", events=[event | {"id": f"event-{n:04}"}], badge=badge(customer="7")) for n in range(400)
    ]
    answers = [status for status, _ in await asyncio.gather(*asked)]
    assert 429 in answers
    assert set(answers) <= {200, 429, 503}  # 503: a database that is too busy is not waited for
    assert answers.count(200) <= 60
    assert len(await page.kept()) <= 60
    async with page.http.get("/sdk.js") as still:
        assert still.status == 200


async def test_a_notice_that_we_did_not_make_reacts_to_nothing(page):
    await page.allows()
    letter = await write_letter(page.context.pool, page.context.shop_ids["main"], "ada@example.org")
    ours = badges.landing_token(SECRETS, Landing(letter.shop_id, letter.id, 0, 0))
    other = badges.landing_token(SECRETS, Landing(99, letter.id, 0, 0), kind=A_NOTICE)
    for token in (ours, other, "", "x"):
        assert (await page.ask("reactions", notice=token, what="clicked"))[0] == 422
    assert await page.context.pool.fetchval("SELECT count(*) FROM event") == 0


async def test_a_click_leads_to_a_page_with_a_mark_and_a_look_at_it_is_told(page):
    letter = await write_letter(page.context.pool, page.context.shop_ids["main"], "ada@example.org")
    async with page.http.get(letter.link(0), allow_redirects=False) as answer:
        target, _, mark = answer.headers["Location"].partition("&tb=")
    assert target == "https://shop.example/cart?utm_source=mail"
    landing = badges.read_landing(SECRETS, mark)
    assert landing is not None
    assert (landing.message_id, landing.link_no) == (letter.id, 0)
    assert timedelta(0) <= machine_now() - datetime.fromtimestamp(landing.at_ms / 1000, UTC) < timedelta(minutes=1)
    kinds = "SELECT array_agg(kind ORDER BY recorded_at) FROM event"
    looks = {
        "sooner than anybody looks at a page, however long this takes": (timedelta(minutes=-5), False),
        "half an hour later": (timedelta(minutes=31), False),
        "after two seconds": (timedelta(seconds=2), True),
    }
    for ago, known in looks.values():
        before = milliseconds(machine_now() - ago)
        mark = badges.landing_token(SECRETS, Landing(letter.shop_id, letter.id, 0, before))
        assert (await page.ask("landings", landing=mark))[0] == 204
        assert await page.context.pool.fetchval(kinds) == ["clicked", *(["landed"] if known else [])]


async def test_the_hidden_link_and_a_look_ahead_carry_no_mark(page):
    letter = await write_letter(page.context.pool, page.context.shop_ids["main"], "ada@example.org")
    for method, link in (("GET", letter.link(3)), ("HEAD", letter.link(0))):
        async with page.http.request(method, link, allow_redirects=False) as answer:
            assert "tb=" not in answer.headers["Location"]
