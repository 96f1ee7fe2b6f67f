"""A feed is read page by page; a shop that lies makes us ask again and conclude nothing."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from daemon.clock import machine_now
from daemon.shops.base import Capability, ShopUnavailable
from daemon.shops.feed import Feed, FeedConfig

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()


def cart(ref, **changes):
    line = {"product_ref": "A-1", "name": "Boots", "quantity": 1, "unit_price": "20.00"}
    return {"ref": ref, "currency": "EUR", "lines": [line], "customer": {"email": f"{ref}@example.org"}, **changes}


def order(ref, **changes):
    placed = {"placed_at": "2026-03-01T11:00:00Z", "total": 20, "currency": "EUR"}
    return {"ref": ref, "email": "ada@example.org", **placed, **changes}


class Pretended:
    """A shop on a real socket that answers whatever a test wants."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answer = self.pages
        self.carts: list[list[dict]] = [[]]
        self.headers: dict[str, str] = {}
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        return await self.answer(request)

    async def pages(self, request: web.Request) -> web.StreamResponse:
        number = int(request.query.get("cursor") or 0)
        more = number + 1 < len(self.carts)
        page = {"carts": self.carts[number], "orders": [], "cursor": number + 1 if more else "", "more": more}
        return web.json_response(page, headers=self.headers)

    def says(self, **page: object) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.json_response(page, headers=self.headers)

        self.answer = answer

    def feed(self, **options: object) -> Feed:
        return Feed(FeedConfig.model_validate({"url": self.url, "token": "t0ken", "patience": 60, **options}))


@pytest.fixture
async def pretended():
    pretended = Pretended()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", pretended.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pretended.url = f"http://127.0.0.1:{runner.addresses[0][1]}/t"
    yield pretended
    await runner.cleanup()


@asynccontextmanager
async def opened(feed: Feed):
    yield feed
    await feed.close()


async def whole(feed: Feed, cursor: str = "", most: int = 50, limit: int = 100):
    """All pages of one look, and the cursor that the next one starts with."""
    batches = []
    while len(batches) < most:
        batches.append(await feed.carts(cursor, limit, NOW))
        cursor = batches[-1].cursor
        if not batches[-1].more:
            return batches, cursor
    raise AssertionError("it never ends")


async def test_a_reading_of_three_pages(pretended):
    pretended.carts = [[cart("a"), cart("b")], [], [cart("c")]]
    async with opened(pretended.feed()) as feed:
        batches, cursor = await whole(feed)
    assert [one.ref for batch in batches for one in batch.carts] == ["a", "b", "c"]
    assert [batch.is_full_snapshot for batch in batches] == [True] * 3
    assert cursor == ""
    assert [request.query["cursor"] for request in pretended.asked] == ["", "1", "2"]
    assert {request.query["limit"] for request in pretended.asked} == {"100"}
    assert {request.headers["Authorization"] for request in pretended.asked} == {"Bearer t0ken"}


async def test_only_changes_are_read_where_the_shop_says_so(pretended):
    pretended.says(carts=[cart("a")], cursor="since-5")
    async with opened(pretended.feed(carts="changes")) as feed:
        first, cursor = await whole(feed)
        second, _ = await whole(feed, cursor)
    assert not any(batch.is_full_snapshot for batch in first + second)
    assert [request.query["cursor"] for request in pretended.asked] == ["", "since-5"]


@pytest.mark.parametrize("style", ["all", "changes"])
async def test_a_list_that_has_not_changed_is_not_sent_again(pretended, style):
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304)
        return web.json_response({"carts": [cart("a")]}, headers={"ETag": '"v1"'})

    pretended.answer = answer
    async with opened(pretended.feed(carts=style)) as feed:
        first = await feed.carts("", 100, NOW)
        second = await feed.carts(first.cursor, 100, NOW)
        third = await feed.carts(second.cursor, 100, NOW)
    assert not first.unchanged
    assert (second.unchanged, second.carts, second.is_full_snapshot) == (True, (), False)
    assert third.unchanged


async def test_the_etag_of_one_page_says_nothing_of_the_others(pretended):
    pretended.headers = {"ETag": '"page"'}
    pretended.carts = [[cart("a")], [cart("b")]]
    async with opened(pretended.feed()) as feed:
        _, cursor = await whole(feed)
        await feed.carts(cursor, 100, NOW)
    assert not any("If-None-Match" in request.headers for request in pretended.asked)


async def test_an_unasked_304_is_no_answer(pretended):
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=304)

    pretended.answer = answer
    async with opened(pretended.feed()) as feed:
        with pytest.raises(ShopUnavailable, match=r"redirected \(304\)"):
            await feed.carts("", 100, NOW)


async def test_questions_are_signed_where_a_key_is_set(pretended):
    pretended.says(orders=[], carts=[])
    async with opened(pretended.feed(token="", signing_secret=KEY, find_orders=True)) as feed:
        await feed.carts("", 100, NOW)
        await feed.find_orders(["7"], ["ä@example.org"], NOW)
    assert [request.method for request in pretended.asked] == ["GET", "POST"]
    for request, body in zip(pretended.asked, pretended.bodies, strict=True):
        assert "Authorization" not in request.headers
        signed = f"{request.method} {request.raw_path}\n{body.decode()}"
        Webhook(KEY).verify(signed, dict(request.headers), json_parse=False)


def raw(body: bytes, status: int = 200, **headers: str):
    async def answer(request: web.Request) -> web.StreamResponse:
        sent = {"Content-Type": "application/json", **{n.replace("_", "-"): v for n, v in headers.items()}}
        return web.Response(body=body, status=status, headers=sent)

    return answer


async def truncated(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "5000"})
    await answer.prepare(request)
    await answer.write(b'{"carts": [')
    request.transport.close()
    return answer


async def slow(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    await answer.write(b'{"carts": [')
    await asyncio.Event().wait()
    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    for _ in range(200):
        await answer.write(b" " * 65536)
    return answer


LIES = [
    pytest.param(raw(b"oops", 500), "answered 500", id="an error"),
    pytest.param(raw(b"{}", 503, Retry_After="9"), "answered 503", id="closed for maintenance"),
    pytest.param(raw(b"{}", 204), "answered 204", id="nothing to say"),
    pytest.param(raw(b"{}", 401), "not let in", id="a wrong token"),
    pytest.param(raw(b"", 302, Location="https://elsewhere.example/"), "redirected", id="a redirection"),
    pytest.param(raw(b"<html>", Content_Type="text/html"), "text/html instead of", id="a page for people"),
    pytest.param(raw(b"<html>"), "body: is not JSON", id="a page that claims to be JSON"),
    pytest.param(raw(b'{"carts": [{"re'), "body: is not JSON", id="half of it, as if it were all"),
    pytest.param(raw(b"\xff\xfe{}"), "body: is not UTF-8", id="latin1"),
    pytest.param(truncated, "ClientPayloadError", id="half of it"),
    pytest.param(slow, "no whole answer within", id="a beginning, and then silence"),
    pytest.param(endless, "more than 10485760 bytes", id="an answer without end"),
    pytest.param(raw(b"[" * 100_000), "body: is no JSON", id="nested without end"),
    pytest.param(raw(b"[]"), "body: input should be", id="a list instead of a page"),
    pytest.param(raw(b"{}"), "carts: must be a list", id="a page without carts"),
    pytest.param(raw(b'{"carts": {}}'), "carts: must be a list", id="carts that are no list"),
    pytest.param(raw(b'{"carts": null}'), "carts: must be a list", id="no carts at all"),
    pytest.param(raw(b'{"carts": [], "more": true}'), "without a cursor", id="more, but not where"),
    pytest.param(raw(b'{"carts": [], "more": "perhaps"}'), "more: input should be", id="perhaps more"),
    pytest.param(raw(b'{"carts": [], "cursor": []}'), "cursor: must be a text", id="a list as cursor"),
    pytest.param(raw(b'{"carts": [1, 2, 3, 4, 5]}'), "5 of 5 cannot be read", id="mostly garbage"),
]


@pytest.mark.parametrize(("answer", "sentence"), LIES)
async def test_a_lie_is_no_answer(pretended, answer, sentence):
    pretended.answer = answer
    async with opened(pretended.feed(patience=2 if answer is slow else 60)) as feed:
        with pytest.raises(ShopUnavailable) as caught:
            await feed.carts("", 100, NOW)
        assert sentence in str(caught.value)
        pretended.says(carts=[cart("back")])
        assert [one.ref for one in (await feed.carts("", 100, NOW)).carts] == ["back"]


async def test_nobody_listens():
    async with opened(Feed(FeedConfig(url="http://127.0.0.1:9", token="t"))) as feed:
        with pytest.raises(ShopUnavailable, match="ClientConnectorError"):
            await feed.orders("", 100, NOW)
        assert not (await feed.health(NOW)).reachable


@pytest.mark.parametrize(
    ("cursors", "sentence"),
    [
        pytest.param(["1", "1"], "leads back", id="the same page again"),
        pytest.param(["1", "2", "1", "2"] * 9, "leads back", id="two pages in turn"),
        pytest.param(["1", "2", "3", "4", "5", "6", "7", "3", "4", "5", "6", "7"] * 9, "leads back", id="a loop"),
    ],
)
async def test_paging_in_circles_is_noticed(pretended, cursors, sentence):
    cursors = iter(cursors)

    async def answer(request: web.Request) -> web.StreamResponse:
        refs = [cart(f"c{len(pretended.asked)}")]
        return web.json_response({"carts": refs, "more": True, "cursor": next(cursors)})

    pretended.answer = answer
    async with opened(pretended.feed()) as feed:
        with pytest.raises(ShopUnavailable, match=sentence):
            await whole(feed)


async def test_a_shop_that_ignores_the_cursor_is_noticed(pretended):
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"carts": [cart("a")], "more": True, "cursor": len(pretended.asked)})

    pretended.answer = answer
    async with opened(pretended.feed()) as feed:
        with pytest.raises(ShopUnavailable, match="repeats an earlier one"):
            await whole(feed)


async def test_one_bad_cart_is_refused_alone(pretended):
    told = [cart("a"), cart("b", total="1.234,50 EUR"), cart("c", currency=5), "x", cart("d")]
    pretended.says(carts=told)
    async with opened(pretended.feed()) as feed:
        batch = await feed.carts("", 100, NOW)
    assert [one.ref for one in batch.carts] == ["a", "d"]
    assert [one.split(": ")[0] for one in batch.refused] == ["carts[1] b", "carts[2] c", "carts[3] ?"]
    assert "must be written like" in batch.refused[0]
    assert batch.refused_refs == ("b", "c")
    assert batch.is_full_snapshot


async def test_a_ref_that_may_be_a_person_is_not_repeated(pretended):
    refs = ["ada@example.org", "Ada Lovelace", "+4915112345678"]
    pretended.says(carts=[cart(ref, total="x") for ref in refs])
    async with opened(pretended.feed()) as feed:
        batch = await feed.carts("", 100, NOW)
        assert [one.split(": ")[0] for one in batch.refused] == ["carts[0] ?", "carts[1] ?", "carts[2] ?"]
        assert batch.refused_refs == tuple(refs)
        pretended.says(carts=[cart(ref, total="x") for ref in refs * 2])
        with pytest.raises(ShopUnavailable, match=r"first carts\[0\] \?: total: "):
            await feed.carts("", 100, NOW)


async def test_prices_and_currencies_as_text_are_read(pretended):
    line = {"product_ref": 1, "name": "Boots", "quantity": "2", "unit_price": "19.989999999999998"}
    pretended.says(carts=[cart("a", total="39.98", currency="eur", lines=[line])])
    async with opened(pretended.feed()) as feed:
        (one,) = (await feed.carts("", 100, NOW)).carts
    assert (one.total, one.currency, one.lines[0].unit_price) == (Decimal("39.98"), "EUR", Decimal("19.99"))


async def test_a_cart_told_twice_on_a_page_means_the_latter(pretended):
    pretended.says(carts=[cart("a", stage="cart"), cart("a", stage="payment")])
    async with opened(pretended.feed()) as feed:
        (one,) = (await feed.carts("", 100, NOW)).carts
    assert one.stage == "payment"


@pytest.mark.parametrize(
    ("ahead", "told_by_page", "believed"),
    [
        pytest.param(0, True, True, id="clocks in step"),
        pytest.param(-2, True, False, id="two hours behind"),
        pytest.param(+2, True, False, id="two hours ahead"),
        pytest.param(+2, False, False, id="ahead, and it does not know"),
    ],
)
async def test_a_wrong_clock_is_not_believed(pretended, ahead, told_by_page, believed):
    now = machine_now()
    clock = now + timedelta(hours=ahead)
    changed = (clock - timedelta(minutes=1)).isoformat()
    pretended.says(
        carts=[cart("a", updated_at=changed)], orders=[], **({"now": clock.isoformat()} if told_by_page else {})
    )
    async with opened(pretended.feed()) as feed:
        (one,) = (await feed.carts("", 100, now)).carts
        health = await feed.health(now)
    assert (one.source_updated_at is not None) == believed
    assert one.time_precision == ("second" if believed else "unknown")
    assert any("clock" in finding for finding in health.findings) == (told_by_page and not believed)


async def test_orders_go_on_where_they_ended(pretended):
    pretended.says(orders=[order("9", standing="pending"), order("10", total="x")], cursor=17)
    async with opened(pretended.feed()) as feed:
        first = await feed.orders("", 100, NOW)
        await feed.orders(first.cursor, 100, NOW)
    assert [(one.ref, one.standing) for one in first.orders] == [("9", "pending")]
    assert first.refused[0].startswith("orders[1] 10: total: must be written like")
    assert [request.query["cursor"] for request in pretended.asked] == ["", "17"]


async def test_orders_of_people_are_asked_without_their_addresses_in_the_path(pretended):
    pretended.says(orders=[order("9")])
    async with opened(pretended.feed(find_orders=True)) as feed:
        (found,) = await feed.find_orders(["7"], ["ada@example.org"], NOW)
        pretended.says(orders=[order("9", total="x")])
        with pytest.raises(ShopUnavailable, match=r"orders\[0\].total"):
            await feed.find_orders([], ["ada@example.org"], NOW)
    assert found.ref == "9"
    assert "ada" not in str(pretended.asked[0].url)
    question = json.loads(pretended.bodies[0])
    assert question == {"customer_refs": ["7"], "emails": ["ada@example.org"], "since": NOW.isoformat()}


async def test_only_products_that_exist(pretended):
    async def answer(request: web.Request) -> web.StreamResponse:
        refs = json.loads(request.query["refs"])
        assert len(refs) <= 100
        found = [{"ref": ref, "name": f"no {ref}", "price": "5"} for ref in refs if ref != "gone"]
        return web.json_response({"products": [*found, {"ref": "unasked", "name": "?"}]})

    pretended.answer = answer
    async with opened(pretended.feed(products=True)) as feed:
        found = await feed.products(["a,b", "gone", *map(str, range(150))], "de")
        pretended.says(products=[{"ref": "1"}])
        with pytest.raises(ShopUnavailable, match="name: field required"):
            await feed.products(["1"], "de")
    assert len(found) == 151
    assert found["a,b"].name == "no a,b"


async def test_what_the_shop_does_not_offer_is_not_asked(pretended):
    async with opened(pretended.feed(without=["phone"])) as feed:
        assert await feed.find_orders(["7"], [], NOW) == ()
        assert await feed.products(["7"], "de") == {}
        can = feed.capabilities()
    assert pretended.asked == []
    missing = {Capability.FIND_ORDERS, Capability.PRODUCTS, Capability.PHONE, Capability.CART_EVENTS}
    assert not can & missing
    assert Capability.CARTS_SNAPSHOT in can
