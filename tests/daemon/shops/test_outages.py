"""A shop that fails is left alone after three failures; nothing is concluded from it, and no cart is lost by it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from channels.base import Outcome
from daemon.flow import ingest
from daemon.shops.base import Fuse, ShopUnavailable
from daemon.store import work
from tests.daemon.shops.stages.feed import TOKEN, Pretend
from tests.flow.faults.small_world import SHOPS, World, quiet_house, settings

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Mood = Callable[[web.Request], Awaitable[web.StreamResponse]]
FEED = SHOPS.replace("connector: push", "connector: feed").replace(
    "{secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}",
    f"{{url: URL, token: {TOKEN}, find_orders: true, products: true, patience: 60}}",
)
POLICY = "extends: default\nlegal: de\nsteps: [{name: remind, after: 1h}]\n"


class Hand:
    """Machine time, moved by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_fuse_lets_three_failures_through_and_then_one_at_a_time() -> None:
    hand = Hand()
    fuse, asked = Fuse(hand), 0

    def ask(*, well: bool) -> None:
        nonlocal asked
        with fuse():
            asked += 1
            if not well:
                raise ShopUnavailable("answered 500")

    for _ in range(10):
        with pytest.raises(ShopUnavailable):
            ask(well=False)
    assert asked == 3
    hand.seconds += 31
    with (
        fuse(),
        pytest.raises(ShopUnavailable, match="left alone for 30 s after 3 failures in a row; the last: answer"),
    ):
        ask(well=True)
    for _ in range(10):
        ask(well=True)
    assert asked == 13


class Moody(Pretend):
    """A feed that answers as its mood is; its clock is the test's."""

    def __init__(self) -> None:
        super().__init__()
        self.mood: Mood | None = None
        self.asked: Counter[str] = Counter()
        self.now = START
        self.skew = timedelta()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.match_info["noun"]] += 1
        return await (self.mood or super().answer)(request)

    def page(self, *told: Any) -> dict[str, Any]:
        return {**super().page(*told), "now": (self.now + self.skew).isoformat()}

    def leaves(self, name: str, at: datetime, product: str = "red") -> None:
        consent = {"purpose": "email_mkt", "state": "confirmed", "evidence": "double opt-in"}
        who = {"ref": name, "email": f"{name}@example.org", "consents": [consent]}
        line = {"product_ref": product, "name": "Schuh", "quantity": 1, "unit_price": "20.00"}
        ref = str(next(self.numbers))
        self.carts[ref] = {
            "ref": ref,
            "currency": "EUR",
            "updated_at": at.isoformat(),
            "customer": who,
            "lines": [line],
        }


def says(body: bytes, status: int = 200, kind: str = "application/json") -> Mood:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, content_type=kind)

    return answer


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def breaks_off(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "5000"})
    await answer.prepare(request)
    await answer.write(b'{"orders": [], "carts": [')
    return await hangs_up(request)


async def takes_its_time(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


def page(noun: str, **more: Any) -> Mood:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.match_info["noun"] != noun:
            return web.json_response({"orders": [], "carts": [], "now": START.isoformat()})
        return web.json_response({noun: [], "now": START.isoformat(), **more})

    return answer


def odd_carts(**odd: Any) -> Mood:
    line = {"product_ref": "red", "name": "Schuh", "quantity": 1, "unit_price": odd.pop("price", "20.00")}
    carts = [{"ref": str(n), "currency": "EUR", "lines": [line], "customer": {"ref": "x"}, **odd} for n in range(1, 7)]
    return page("carts", carts=carts)


SAME_CARTS, SAME_ORDERS = page("carts", more=True, cursor="1"), page("orders", more=True, cursor="1")
FREE, WORDY = odd_carts(price="free"), odd_carts(currency="Euro")
MOODS = {
    "it hangs up": hangs_up,
    "it answers 500": says(b"oops", 500),
    "it shows a page for people": says(b"<html>Wartung</html>", kind="text/html"),
    "it breaks off in the middle": breaks_off,
    "it sends half a document as if it were whole": says(b'{"orders": [], "carts": [{"re'),
    "it sends ten megabytes and more": says(b'{"orders": [], "carts": [' + b" " * 10 * 1024 * 1024 + b"]}"),
    "it takes longer than our patience": takes_its_time,
    "it shows the same page for ever": SAME_CARTS,
    "it goes on with orders that it showed before": SAME_ORDERS,
    "its prices are words": FREE,
    "its currency is a word": WORDY,
}
READINGS = {hangs_up: 2, SAME_CARTS: 4, SAME_ORDERS: 4, FREE: 2, WORDY: 2}
"""How many requests one look takes; a connection that is dropped is tried once more by aiohttp."""
CARTS = "SELECT ref, state, total, lines::text, changed_at FROM cart WHERE shop_id = $1 ORDER BY ref"


@asynccontextmanager
async def watched(database: str, folder: Any, shop: Moody) -> AsyncIterator[tuple[World, Hand]]:
    """A daemon that looks at this shop, moved by hand."""
    app = web.Application()
    app.router.add_route("*", "/{noun:carts|orders|products|orders/find}", shop.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    chosen = settings(folder, database, POLICY, FEED.replace("URL", url))
    try:
        async with quiet_house(chosen, database) as context:
            world, hand = World(context), Hand()
            await world.begins(START)
            await work.add(context.pool, world.shop_id, ["poll"], START)
            for fuse in context.shops["main"].fuses.values():
                fuse.clock = hand
            shop.products["red"] = {
                "ref": "red",
                "name": "Schuh",
                "price": "20.00",
                "currency": "EUR",
                "in_stock": True,
            }
            yield world, hand
    finally:
        await runner.cleanup()


async def looks(world: World, shop: Moody, after: timedelta) -> None:
    shop.now = world.now + after
    await world.turns_to(shop.now)
    await world.context.pool.execute("UPDATE work SET due_at = $1", shop.now)
    await ingest.poll(world.context, world.shop_id, shop.now)


async def poll_row(world: World) -> work.Status:
    [row] = await work.status(world.context.pool, world.shop_id)
    return row


async def mailed(world: World) -> list[str]:
    """Who is written to now."""
    await world.plans()
    _, claims = await world.claims(64)
    await world.records([(one, Outcome("accepted", "2.0.0")) for one in claims])
    return sorted(one.address.partition("@")[0] for one in claims)


@pytest.mark.parametrize("mood", MOODS.values(), ids=MOODS)
async def test_an_outage_of_ten_minutes(database: str, open_folder: Any, mood: Mood) -> None:
    shop = Moody()
    async with watched(database, open_folder, shop) as (world, hand):
        for number in range(6):
            shop.leaves(f"early{number}", START)
        await looks(world, shop, MINUTE)
        before = await world.context.pool.fetch(CARTS, world.shop_id)
        assert len(before) == 6

        shop.mood = mood
        fetch = world.context.shops["main"].fetch
        patience, fetch.patience = fetch.patience, 0.3 if mood is takes_its_time else fetch.patience
        shop.asked.clear()
        for second in (1, 2, 4, 8, 12):
            hand.seconds = second
            await looks(world, shop, MINUTE)
        asked = READINGS.get(mood, 1) * 3
        assert shop.asked.total() <= asked
        assert "left alone for" in str((await poll_row(world)).problem)
        for minute in range(1, 6):
            hand.seconds = 60 * minute
            shop.asked.clear()
            await looks(world, shop, MINUTE)
            assert shop.asked.total() <= asked // 3, "one try a minute"
        await world.plans()
        assert await world.context.pool.fetch(CARTS, world.shop_id) == before
        assert await world.states() == {}

        shop.mood, fetch.patience = None, patience
        shop.leaves("meanwhile", world.now - 3 * MINUTE)
        hand.seconds += 31
        await looks(world, shop, MINUTE)
        assert (await poll_row(world)).problem is None
        await looks(world, shop, timedelta(minutes=70))
        assert await mailed(world) == [f"early{number}" for number in range(6)] + ["meanwhile"]
        assert await world.contradictions(MINUTE) == []


async def test_a_shop_whose_clock_is_wrong_is_believed_by_our_own_look(database: str, open_folder: Any) -> None:
    shop = Moody()
    async with watched(database, open_folder, shop) as (world, _):
        await looks(world, shop, MINUTE)
        shop.skew = timedelta(hours=-3)
        shop.leaves("c", world.now + shop.skew)
        await looks(world, shop, MINUTE)
        assert await mailed(world) == []
        await looks(world, shop, timedelta(minutes=58))
        assert await mailed(world) == []
        await looks(world, shop, 3 * MINUTE)
        assert await mailed(world) == ["c"]


async def test_nobody_is_written_to_about_a_product_that_was_deleted(database: str, open_folder: Any) -> None:
    shop = Moody()
    async with watched(database, open_folder, shop) as (world, _):
        shop.leaves("gone", START, product="deleted")
        shop.leaves("here", START)
        await looks(world, shop, MINUTE)
        await looks(world, shop, timedelta(minutes=70))
        assert await mailed(world) == ["here"]
        assert await world.contradictions(MINUTE) == []


async def test_the_look_before_a_message_is_not_asked_again_and_again(database: str, open_folder: Any) -> None:
    shop = Moody()
    async with watched(database, open_folder, shop) as (world, _):
        shop.leaves("c", START)
        await looks(world, shop, MINUTE)
        await looks(world, shop, timedelta(minutes=70))
        await world.plans()
        shop.mood = says(b"oops", 500)
        shop.asked.clear()
        await world.turns_to(world.now + 11 * MINUTE)
        for _ in range(6):
            with pytest.raises(ShopUnavailable, match="no word on new orders"):
                await world.claims(8)
        assert shop.asked["orders/find"] == 3
