"""The pretend shop's counter: its feed for tillbell, its pages and pictures for people."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from aiohttp import web

from daemon.demo import catalogue
from daemon.demo.catalogue import WARES

if TYPE_CHECKING:
    from daemon.demo.shop import Cart, PretendShop

PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True, undefined=jinja2.StrictUndefined
)
FOR_PEOPLE = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def app(shop: PretendShop) -> web.Application:
    """All that the shop answers."""
    feed, floor = Feed(shop), Floor(shop)
    made = web.Application()
    made.add_routes(
        [
            web.get("/tillbell/carts", feed.let_in(feed.carts)),
            web.get("/tillbell/orders", feed.let_in(feed.orders)),
            web.post("/tillbell/orders/find", feed.let_in(feed.find_orders)),
            web.get("/tillbell/products", feed.let_in(feed.products)),
            web.get("/", floor.front),
            web.get("/product/{ref}", floor.product),
            web.get("/picture/{ref}.svg", floor.picture),
            web.get("/logo.svg", floor.logo),
            web.get("/cart", floor.any_cart),
            web.get("/cart/{ref}", floor.cart),
            web.post("/cart/{ref}/buy", floor.buy),
            web.post("/cart/{ref}/empty", floor.empty),
        ]
    )
    return made


class Feed:
    """The four questions of docs/shops/feed.md."""

    def __init__(self, shop: PretendShop) -> None:
        self.shop = shop

    def let_in(self, handler: Handler) -> Handler:
        """Only with the bearer token."""

        async def checked(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self.shop.token.encode()):
                return web.json_response({"error": "a bearer token is needed"}, status=401)
            return await handler(request)

        return checked

    async def carts(self, request: web.Request) -> web.Response:
        """All open carts, page by page; 304 where none has changed."""
        shop, limit = self.shop, _limit(request)
        after = request.query.get("cursor", "")
        etag = f'"{shop.version}-{hashlib.sha256(f"{after} {limit}".encode()).hexdigest()[:8]}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        waiting = [cart for cart in shop.open_carts() if cart.ref > after]
        page = waiting[:limit]
        more = len(waiting) > limit
        carts = [shop.cart_wire(cart) for cart in page]
        return self._page({"carts": carts, "more": more, "cursor": page[-1].ref if more else ""}, etag)

    async def orders(self, request: web.Request) -> web.Response:
        """Those placed or changed since the cursor, which is the number of a change."""
        shop, limit = self.shop, _limit(request)
        after = int(request.query.get("cursor") or 0)
        waiting = [order for order in shop.orders if order.change > after]
        page = waiting[:limit]
        orders = [shop.order_wire(order) for order in page]
        cursor = str(page[-1].change if page else after)
        return self._page({"orders": orders, "more": len(waiting) > limit, "cursor": cursor})

    async def find_orders(self, request: web.Request) -> web.Response:
        """Of these people, since then."""
        asked = await request.json()
        refs, emails = set(asked["customer_refs"]), {email.casefold() for email in asked["emails"]}
        since = datetime.fromisoformat(asked["since"])
        found = [
            self.shop.order_wire(order)
            for order in self.shop.orders
            if order.placed_at >= since and (order.patron.ref in refs or order.patron.email.casefold() in emails)
        ]
        return self._page({"orders": found})

    async def products(self, request: web.Request) -> web.Response:
        """Those that the shop sells, of those asked for."""
        refs, locale = json.loads(request.query["refs"]), request.query.get("locale", "")
        return self._page({"products": [self.shop.product_wire(ref, locale) for ref in refs if ref in WARES]})

    def _page(self, told: dict[str, Any], etag: str = "") -> web.Response:
        headers = {"ETag": etag} if etag else {}
        return web.json_response({**told, "now": self.shop.now().isoformat()}, headers=headers)


class Floor:
    """The pages that a mail's links lead to. Whoever knows a cart's address sees what lies in it, never whose it is."""

    def __init__(self, shop: PretendShop) -> None:
        self.shop = shop

    async def front(self, request: web.Request) -> web.Response:
        return self._show(request, "front.html", wares=list(WARES.values()))

    async def product(self, request: web.Request) -> web.Response:
        ware = WARES.get(request.match_info["ref"])
        if ware is None:
            raise web.HTTPNotFound(text="nothing of this name")
        return self._show(request, "product.html", ware=ware, sold_out=ware.ref in self.shop.sold_out)

    async def picture(self, request: web.Request) -> web.Response:
        ware = WARES.get(request.match_info["ref"])
        if ware is None:
            raise web.HTTPNotFound(text="nothing of this name")
        return _drawn(catalogue.picture(ware))

    async def logo(self, _: web.Request) -> web.Response:
        return _drawn(catalogue.logo())

    async def any_cart(self, request: web.Request) -> web.Response:
        return self._show(request, "cart.html", cart=None, wares=[], total=0)

    async def cart(self, request: web.Request) -> web.Response:
        cart = self._cart(request)
        wares = [(WARES[ref], quantity) for ref, quantity in cart.items.items()]
        total = sum(ware.price * quantity for ware, quantity in wares)
        return self._show(request, "cart.html", cart=cart, wares=wares, total=total)

    async def buy(self, request: web.Request) -> web.Response:
        cart = self._cart(request)
        if not cart.ended:
            await self.shop.buys(cart)
        raise web.HTTPSeeOther(f"/cart/{cart.ref}")

    async def empty(self, request: web.Request) -> web.Response:
        cart = self._cart(request)
        if not cart.ended:
            self.shop.empties(cart)
        raise web.HTTPSeeOther(f"/cart/{cart.ref}")

    def _cart(self, request: web.Request) -> Cart:
        cart = self.shop.carts.get(request.match_info["ref"])
        if cart is None:
            raise web.HTTPNotFound(text="no cart of this name")
        return cart

    def _show(self, request: web.Request, page: str, **values: Any) -> web.Response:
        asked = values["cart"].patron.locale if values.get("cart") else request.headers.get("Accept-Language", "")
        locale = "de" if asked.casefold().startswith("de") else "en"
        html = PAGES.get_template(page).render(locale=locale, shop=catalogue.SHOP, accent=catalogue.ACCENT, **values)
        return web.Response(text=html, content_type="text/html", headers=FOR_PEOPLE)


def _drawn(svg: str) -> web.Response:
    return web.Response(text=svg, content_type="image/svg+xml", headers={"Cache-Control": "max-age=3600"})


def _limit(request: web.Request) -> int:
    return max(1, min(1000, int(request.query.get("limit") or 1000)))
