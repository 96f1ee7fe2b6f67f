"""A pretend shop on this machine: offers the feed that tillbell reads, posts signed events, shows pages to people."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

from aiohttp import ClientSession, DummyCookieJar, web
from standardwebhooks import Webhook

from daemon.clock import machine_now
from daemon.demo import counter
from daemon.demo.catalogue import CURRENCY, WARES

Standing = Literal["purchase", "pending", "on_hold", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Consent:
    """What a customer agreed to in the shop, with its proof."""

    purpose: str
    at: datetime
    state: Literal["hint", "requested", "confirmed", "withdrawn"] = "confirmed"

    def wire(self) -> dict[str, str]:
        told = {"purpose": self.purpose, "state": self.state, "at": self.at.isoformat(), "source": "checkout"}
        if self.state == "confirmed":
            told["evidence"] = f"confirmed by a link at {self.at:%Y-%m-%d %H:%M}, record {self.at:%y%j%H%M}"
            told["wording"] = "Please write to me about my cart and about similar goods."
        return told


@dataclass(slots=True)
class Patron:
    """A customer as the shop knows them; a guest has no `ref`."""

    email: str
    ref: str = ""
    first_name: str = ""
    last_name: str = ""
    locale: str = "de-DE"
    zone: str = "Europe/Berlin"
    country: str = "DE"
    phone: str = ""
    consents: tuple[Consent, ...] = ()

    def wire(self) -> dict[str, Any]:
        return {
            "ref": self.ref,
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "locale": self.locale,
            "zone": self.zone,
            "country": self.country,
            "phone": self.phone,
            "is_guest": not self.ref,
            "consents": [consent.wire() for consent in self.consents],
        }


@dataclass(slots=True)
class Cart:
    ref: str
    patron: Patron
    items: dict[str, int]
    changed_at: datetime
    visited_at: datetime
    stage: Literal["cart", "checkout"] = "cart"
    ended: Literal["", "bought", "emptied"] = ""


@dataclass(slots=True)
class Order:
    ref: str
    patron: Patron
    cart_ref: str
    items: Mapping[str, int]
    placed_at: datetime
    standing: Standing
    change: int = 0
    """Counts up over the whole shop: the cursor of its feed."""


@dataclass(slots=True)
class Hook:
    """Where events are posted, and the key that they are signed with."""

    url: str
    key: str = field(repr=False)


class PretendShop:
    """All in memory. What a customer does is a method; `now` is the shop's clock; `token` lets a reader in."""

    def __init__(self, now: Callable[[], datetime] = machine_now) -> None:
        self.now = now
        self.token = secrets.token_urlsafe(24)
        self.hook: Hook | None = None
        self.patrons: list[Patron] = []
        self.carts: dict[str, Cart] = {}
        self.orders: list[Order] = []
        self.sold_out: set[str] = set()
        self.url = ""
        self.version = 0
        """Goes up with each change of a cart."""
        self._runner: web.AppRunner | None = None
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Open the door; `url` is the shop's address afterwards, `url`/tillbell that of its feed."""
        runner = web.AppRunner(counter.app(self), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        self._runner = runner
        self._session = ClientSession(cookie_jar=DummyCookieJar())
        self.url = f"http://{host}:{runner.addresses[0][1]}"

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    # What customers do

    def customer(self, patron: Patron) -> Patron:
        """Somebody the shop knows from now on."""
        self.patrons.append(patron)
        return patron

    def bought_before(self, patron: Patron, items: Mapping[str, int], at: datetime) -> Order:
        """An order of earlier days, without a cart that we ever saw."""
        return self._order(patron, "", items, at, "purchase")

    def leaves_cart(self, patron: Patron, items: Mapping[str, int]) -> Cart:
        """Puts things into a cart and goes away."""
        now = self.now()
        cart = Cart(f"c{len(self.carts) + 1:05}", patron, dict(items), now, now)
        self.carts[cart.ref] = cart
        self.version += 1
        return cart

    def changes(self, cart: Cart, items: Mapping[str, int]) -> None:
        """Puts other things into it."""
        cart.items = dict(items)
        cart.changed_at = self.now()
        self.visits(cart)

    def visits(self, cart: Cart) -> None:
        """Looks at the cart without a change to it."""
        cart.visited_at = self.now()
        self.version += 1

    def empties(self, cart: Cart) -> None:
        """Takes everything out; the shop forgets the cart."""
        cart.ended = "emptied"
        self.version += 1

    async def checks_out(self, cart: Cart) -> None:
        """Goes to the checkout, and not through it."""
        cart.stage = "checkout"
        self.changes(cart, cart.items)
        await self.post("checkout.started", self.cart_wire(cart))

    async def buys(self, cart: Cart, standing: Standing = "purchase") -> Order:
        """Pays; the cart becomes an order, and the shop says so at once where it posts events."""
        cart.ended = "bought"
        self.version += 1
        order = self._order(cart.patron, cart.ref, cart.items, self.now(), standing)
        await self.post("order.placed", self.order_wire(order))
        return order

    def _order(
        self, patron: Patron, cart_ref: str, items: Mapping[str, int], at: datetime, standing: Standing
    ) -> Order:
        number = len(self.orders) + 1
        order = Order(f"o{number:05}", patron, cart_ref, dict(items), at, standing, number)
        self.orders.append(order)
        return order

    # What the shop says of it

    def open_carts(self) -> list[Cart]:
        return [cart for cart in self.carts.values() if not cart.ended and cart.items]

    def cart_wire(self, cart: Cart) -> dict[str, Any]:
        """As in docs/schema/feed.schema.json."""
        return {
            "ref": cart.ref,
            "customer": cart.patron.wire(),
            "currency": CURRENCY,
            "stage": cart.stage,
            "updated_at": cart.changed_at.isoformat(),
            "online_at": cart.visited_at.isoformat(),
            "recovery_url": f"{self.url}/cart/{cart.ref}",
            "lines": [self._line(cart, ref, quantity) for ref, quantity in cart.items.items()],
        }

    def _line(self, cart: Cart, ref: str, quantity: int) -> dict[str, Any]:
        ware, locale = WARES[ref], cart.patron.locale
        return {
            "product_ref": ref,
            "name": ware.name(locale),
            "quantity": quantity,
            "unit_price": str(ware.price),
            "options": ware.option(locale),
            "category": ware.category,
            "product_url": f"{self.url}/product/{ref}",
            "image_url": f"{self.url}/picture/{ref}.svg",
        }

    def order_wire(self, order: Order) -> dict[str, Any]:
        """As in docs/schema/feed.schema.json."""
        return {
            "ref": order.ref,
            "placed_at": order.placed_at.isoformat(),
            "total": str(total(order.items)),
            "currency": CURRENCY,
            "standing": order.standing,
            "customer_ref": order.patron.ref,
            "email": order.patron.email,
            "cart_ref": order.cart_ref,
        }

    def product_wire(self, ref: str, locale: str) -> dict[str, Any]:
        """As in docs/schema/feed.schema.json."""
        ware = WARES[ref]
        return {
            "ref": ref,
            "name": ware.name(locale),
            "in_stock": ref not in self.sold_out,
            "price": str(ware.price),
            "currency": CURRENCY,
            "url": f"{self.url}/product/{ref}",
            "image_url": f"{self.url}/picture/{ref}.svg",
        }

    async def post(self, kind: str, data: Mapping[str, Any]) -> None:
        """One event of Standard Webhooks, if anybody wants them. Raises RuntimeError when it is not taken."""
        if self.hook is None or self._session is None:
            return
        body = json.dumps({"type": kind, "timestamp": self.now().isoformat(), "data": data}, ensure_ascii=False)
        id, at = secrets.token_hex(12), machine_now()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(self.hook.key).sign(id, at, body),
        }
        async with self._session.post(self.hook.url, data=body.encode(), headers=headers) as answer:
            if answer.status != 202:
                raise RuntimeError(f"{kind} was not taken: {answer.status} {await answer.text()}")


def total(items: Mapping[str, int]) -> Decimal:
    """What these come to."""
    return sum((WARES[ref].price * quantity for ref, quantity in items.items()), Decimal())
