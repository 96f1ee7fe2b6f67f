"""The pretend shop tells its story in the format that every shop may use."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import ClientSession, web
from standardwebhooks import Webhook

from daemon.demo import catalogue
from daemon.demo.shop import Cart, Consent, Hook, Patron, PretendShop
from daemon.shops.base import ShopUnavailable
from daemon.shops.feed import Feed, FeedConfig
from daemon.shops.push import parse

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def passes(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def shop(clock: Clock) -> AsyncIterator[PretendShop]:
    async with PretendShop(lambda: clock.at) as opened:
        yield opened


@pytest.fixture
async def feed(shop: PretendShop) -> AsyncIterator[Feed]:
    connector = Feed(
        FeedConfig.model_validate(
            {"url": f"{shop.url}/tillbell", "token": shop.token, "products": True, "find_orders": True}
        )
    )
    yield connector
    await connector.close()


def ada(shop: PretendShop) -> Patron:
    consents = (Consent("email_mkt", NOON - timedelta(days=30)),)
    return shop.customer(Patron("ada@post.example", "k1", "Ada", locale="de-DE", consents=consents))


def left(shop: PretendShop) -> Cart:
    return shop.leaves_cart(ada(shop), {"becher": 2, "decke": 1})


async def test_a_cart_left_is_read(shop: PretendShop, feed: Feed) -> None:
    left(shop)
    batch = await feed.carts("", 100, NOON)
    (cart,) = batch.carts
    assert batch.is_full_snapshot
    assert not batch.refused
    assert (cart.total, cart.time_precision, cart.source_updated_at) == (Decimal("126.00"), "second", NOON)
    assert [line.name for line in cart.lines] == ["Becher „Erste Stunde“", "Wolldecke aus Lammwolle"]
    assert (cart.customer.email, cart.customer.consents[0].state) == ("ada@post.example", "confirmed")


async def test_nothing_new_is_said_in_short(shop: PretendShop, feed: Feed) -> None:
    left(shop)
    first = await feed.carts("", 100, NOON)
    assert (await feed.carts(first.cursor, 100, NOON)).unchanged
    shop.empties(shop.carts["c00001"])
    assert (await feed.carts(first.cursor, 100, NOON)).carts == ()


async def test_many_carts_come_in_pages(shop: PretendShop, feed: Feed) -> None:
    patron = ada(shop)
    for _ in range(25):
        shop.leaves_cart(patron, {"heft": 1})
    refs, cursor, more = [], "", True
    while more:
        batch = await feed.carts(cursor, 10, NOON)
        refs += [cart.ref for cart in batch.carts]
        cursor, more = batch.cursor, batch.more
    assert refs == [f"c{number:05}" for number in range(1, 26)]


async def test_a_changed_cart_carries_its_new_time(shop: PretendShop, feed: Feed, clock: Clock) -> None:
    cart = left(shop)
    clock.passes(minutes=7)
    shop.changes(cart, {"becher": 1})
    (read,) = (await feed.carts("", 100, clock.at)).carts
    assert (read.total, read.source_updated_at) == (Decimal("18.50"), NOON + timedelta(minutes=7))


async def test_what_was_bought_leaves_the_carts_and_is_an_order(shop: PretendShop, feed: Feed) -> None:
    before = shop.bought_before(ada(shop), {"heft": 1}, NOON - timedelta(days=90))
    first = await feed.orders("", 100, NOON)
    await shop.buys(left(shop))
    second = await feed.orders(first.cursor, 100, NOON)
    assert [order.ref for order in first.orders] == [before.ref]
    assert [(order.cart_ref, order.total, order.standing) for order in second.orders] == [
        ("c00001", Decimal("126.00"), "purchase")
    ]
    assert (await feed.carts("", 100, NOON)).carts == ()
    found = await feed.find_orders(["k1"], [], NOON - timedelta(hours=1))
    assert [order.ref for order in found] == [second.orders[0].ref]


async def test_products_are_told_as_they_are_now(shop: PretendShop, feed: Feed) -> None:
    shop.sold_out.add("vase")
    products = await feed.products(["vase", "becher", "gone"], "en")
    assert {ref: (one.name, one.in_stock) for ref, one in products.items()} == {
        "vase": ("Mouth-blown vase", False),
        "becher": ("Mug “First Hour”", True),
    }


async def test_strangers_read_no_carts(shop: PretendShop) -> None:
    stranger = Feed(FeedConfig.model_validate({"url": f"{shop.url}/tillbell", "token": "guess"}))
    with pytest.raises(ShopUnavailable, match="not let in"):
        await stranger.carts("", 100, NOON)
    await stranger.close()


async def test_what_happens_is_posted_signed(shop: PretendShop) -> None:
    posted: list[tuple[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        raw = await request.read()
        Webhook(KEY).verify(raw.decode(), dict(request.headers))
        posted.append((parse(raw).kind, parse(raw)))
        return web.json_response({"kept": True}, status=202)

    hooks = web.Application()
    hooks.add_routes([web.post("/hooks/shop/main", take)])
    runner = web.AppRunner(hooks)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    shop.hook = Hook(f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/shop/main", KEY)
    cart = left(shop)
    await shop.checks_out(cart)
    await shop.buys(cart)
    await runner.cleanup()
    assert [kind for kind, _ in posted] == ["checkout.started", "order.placed"]
    assert posted[0][1].cart.stage == "checkout"
    assert posted[1][1].order.cart_ref == cart.ref


async def test_a_persons_way_through_the_shop(shop: PretendShop) -> None:
    cart = left(shop)
    async with ClientSession() as person:
        for path in ("/", "/product/vase", "/picture/vase.svg", "/logo.svg", "/cart"):
            async with person.get(shop.url + path) as answer:
                assert answer.status == 200, path
        async with person.get(f"{shop.url}/cart/{cart.ref}") as answer:
            page = await answer.text()
            assert "Ihr Warenkorb" in page
            assert "ada@post.example" not in page
        async with person.post(f"{shop.url}/cart/{cart.ref}/buy") as answer:
            assert "Danke!" in await answer.text()
        async with person.get(f"{shop.url}/cart/none") as answer:
            assert answer.status == 404
    assert [order.cart_ref for order in shop.orders] == [cart.ref]


@pytest.mark.parametrize("ref", catalogue.WARES)
def test_every_product_is_drawn(ref: str) -> None:
    drawn = ElementTree.fromstring(catalogue.picture(catalogue.WARES[ref]))
    assert len(list(drawn.iter())) > 6
