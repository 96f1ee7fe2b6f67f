"""A pretend shop with a feed, on a real socket."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from daemon.shops.feed import Feed, FeedConfig

NOW = datetime(2026, 10, 17, 10, 0, tzinfo=UTC)
TOKEN = "hunter2-of-the-feed"


class Pretend:
    """What the shop knows, and its answers to the feed's four questions."""

    def __init__(self) -> None:
        self.carts: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.products: dict[str, dict[str, Any]] = {}
        self.numbers = itertools.count(1)

    def changed(self, ref: str) -> None:
        """Orders are given in the order of their last change."""
        self.orders[ref]["change"] = next(self.numbers)

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({}, status=401)
        noun = request.match_info["noun"]
        if noun == "products":
            refs = json.loads(request.query["refs"])
            return web.json_response({"products": [self.products[ref] for ref in refs if ref in self.products]})
        if noun == "orders/find":
            return web.json_response({"orders": self.found(await request.json())})
        key = "ref" if noun == "carts" else "change"
        rows = sorted(getattr(self, noun).values(), key=lambda row: int(row[key]))
        return web.json_response(self.page(noun, key, rows, request.query))

    def page(self, noun: str, key: str, rows: list[dict[str, Any]], query: Any) -> dict[str, Any]:
        limit, cursor = int(query["limit"]), query["cursor"]
        ahead = [row for row in rows if int(row[key]) > int(cursor or 0)]
        page, more = ahead[:limit], len(ahead) > limit
        last = page[-1][key] if page else cursor
        return {noun: page, "more": more, "cursor": last if more or noun == "orders" else "", "now": NOW.isoformat()}

    def found(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        since = datetime.fromisoformat(asked["since"])
        addresses = {address.casefold() for address in asked["emails"]}
        return [
            order
            for order in self.orders.values()
            if (order["customer_ref"] in asked["customer_refs"] or order["email"].casefold() in addresses)
            and datetime.fromisoformat(order["placed_at"]) >= since
        ]


class Stage:
    """What the contract asks of a stage, told by the pretend shop."""

    now = NOW
    secrets = (TOKEN,)

    def __init__(self, shop: Pretend, url: str) -> None:
        self.shop = shop
        self.url = url

    def connector(self) -> Feed:
        return self.made(self.url)

    def deaf_connector(self) -> Feed:
        return self.made("http://127.0.0.1:9")

    def made(self, url: str) -> Feed:
        return Feed(FeedConfig.model_validate({"url": url, "token": TOKEN, "products": True, "find_orders": True}))

    async def put_product(self, name: str = "Kettle", price: Decimal = Decimal("20.00")) -> str:
        ref = f"P-{next(self.shop.numbers)}"
        self.shop.products[ref] = {"ref": ref, "name": name, "price": str(price), "currency": "EUR", "in_stock": True}
        return ref

    async def delete_product(self, ref: str) -> None:
        del self.shop.products[ref]

    async def put_cart(self, email: str, product: str, quantity: int = 1, first_name: str = "Ada") -> str:
        known = self.shop.products[product]
        line = {"product_ref": product, "name": known["name"], "quantity": quantity, "unit_price": known["price"]}
        customer = {"ref": f"C-{email}", "email": email, "first_name": first_name}
        return self.put(customer=customer, lines=[line])

    async def put_broken_cart(self) -> str:
        return self.put(lines=[{"product_ref": "no product"}])

    def put(self, **cart: Any) -> str:
        ref = str(next(self.shop.numbers))
        updated = (NOW - timedelta(hours=1)).isoformat()
        self.shop.carts[ref] = {"ref": ref, "currency": "EUR", "updated_at": updated, **cart}
        return ref

    async def place_order(self, customer_ref: str, email: str, total: Decimal, at: datetime) -> str:
        ref = f"O-{next(self.shop.numbers)}"
        order = {"ref": ref, "customer_ref": customer_ref, "email": email, "total": str(total), "currency": "EUR"}
        self.shop.orders[ref] = {**order, "placed_at": at.isoformat(), "standing": "purchase"}
        self.shop.changed(ref)
        return ref

    async def cancel_order(self, ref: str) -> None:
        self.shop.orders[ref]["standing"] = "cancelled"
        self.shop.changed(ref)


@asynccontextmanager
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    shop = Pretend()
    app = web.Application()
    app.router.add_route("*", "/{noun:carts|orders|products|orders/find}", shop.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Stage(shop, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()
