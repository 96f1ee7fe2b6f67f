"""Steps 2 and 10 for what a browser on the shop's pages reports. What it may change depends on who signed for it.

A browser that the shop's page named speaks for that person: of their presence, of a cart that this browser alone
reported, or of the shop's cart that the badge names. An order counts if the badge names it. One that nobody named
changes nothing but what is kept of itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, get_args

from pydantic import ValidationError

from daemon.context import Context
from daemon.flow import keep, persons
from daemon.flow.keep import Look
from daemon.shops.base import CartSnapshot, Customer, OrderSnapshot
from daemon.shops.wire import Cart, first_problem
from daemon.store import persons as people
from daemon.store import site
from daemon.store.database import Connection
from rules.shops import ShopWords

SOURCE = "site"
"""Of these deliveries in the inbox."""
MOST_LINES = 100
DAY = timedelta(days=1)

Kind = Literal["visit", "cart", "checkout", "purchase"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that a browser reports, with what the shop's badge said of it; what is not named is empty."""

    kind: Kind
    visitor: str
    customer: str = ""
    email: str = ""
    cart: str = ""
    order: str = ""
    total: str = "0"
    currency: str = ""
    device: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def named(self) -> bool:
        return bool(self.customer or self.email)

    @property
    def who(self) -> Customer:
        return Customer(ref=self.customer, email=self.email)

    def body(self) -> bytes:
        """As the inbox keeps it."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode()


def read(body: bytes) -> Report:
    """The opposite of `Report.body`."""
    return Report(**json.loads(body))


def matters(kind: Kind, *, named: bool) -> bool:
    """Whether anything could come of it: of who is not named, only the cart is kept, until it is bought."""
    return named or kind in ("cart", "purchase")


def check_cart(data: object, currency: str) -> dict[str, Any]:
    """A cart as a page tells of it. Raises ValueError with the path of what is wrong, without its value."""
    if not isinstance(data, dict):
        raise ValueError("data: must be a cart")
    lines = data.get("lines")
    if not isinstance(lines, list) or len(lines) > MOST_LINES:
        raise ValueError(f"data.lines: must be a list of at most {MOST_LINES} lines")
    told = {name: data[name] for name in ("lines", "total", "currency", "recovery_url") if name in data}
    told.setdefault("currency", currency)
    try:
        Cart.model_validate({**told, "ref": "cart"})
    except ValidationError as error:
        raise ValueError(f"data.{first_problem(error)}") from None
    return told


async def take(context: Context, db: Connection, shop_id: int, report: Report, at: datetime, look: Look) -> str:
    """What came of it, in words. `at` is when it reached us (shop time). Call inside a transaction that has been
    serialised for the shop, and holds the person whom the badge names."""
    if not report.named:
        cart = report.data if report.kind == "cart" else None
        await site.seen(db, shop_id, report.visitor, report.device, at, cart, forget=report.kind == "purchase")
        return f"{report.kind}: by a visitor whom the shop does not name"
    [person] = await persons.keep(context, db, shop_id, [report.who], look.now, look.version, whole=False)
    if person is None:
        await site.withdraw(db, shop_id, [report.visitor])
        return f"{report.kind}: by somebody who was erased"
    earlier = await site.cart_of(db, shop_id, report.visitor)
    await site.attach(db, shop_id, report.visitor, person, look.now)
    await site.seen(db, shop_id, report.visitor, report.device, at, None, forget=True)
    here = Here(context, db, shop_id, report, person, min(at, look.now), look)
    if report.kind == "purchase":
        return await here.bought()
    told = report.data if report.kind == "cart" else earlier
    kept = bool(told) and await here.keeps(told or {})
    if report.kind == "checkout":
        await site.stage(db, shop_id, here.cart_ref, person)
    await people.seen_active(db, shop_id, {person: here.at})
    return f"{report.kind}: {'kept' if kept else 'seen'}"


@dataclass(frozen=True, slots=True)
class Here:
    """A report of somebody whom the shop named."""

    context: Context
    db: Connection
    shop_id: int
    report: Report
    person: int
    at: datetime
    look: Look

    @property
    def shop(self) -> ShopWords:
        return self.context.keeper.book.shops[self.context.shop_name(self.shop_id)]

    @property
    def takes_carts(self) -> bool:
        return self.shop.onsite is not None and self.shop.onsite.carts

    @property
    def cart_ref(self) -> str:
        """The shop's own, if the badge names it; else this browser's of this person, which no other report can mean."""
        return self.report.cart or f"site-{self.person}-{self.report.visitor[:12]}"

    async def keeps(self, told: Mapping[str, Any]) -> bool:
        """Whether the cart was news. Nothing where the shop tells of carts itself."""
        if not self.takes_carts:
            return False
        cart = Cart.model_validate({**told, "ref": self.cart_ref}).snapshot()
        cart = replace(cart, customer=self.report.who, device=self.report.device)
        if self.report.kind == "checkout":
            cart = replace(cart, stage="checkout")
        return bool(await keep.keep_carts(self.context, self.db, self.shop_id, [cart], self.look))

    async def bought(self) -> str:
        """What the shop signed for is an order, until the shop itself tells more of it. Otherwise the cart that this
        browser reported is empty now, and whatever else is due waits until the shop has told of its orders."""
        await people.seen_active(self.db, self.shop_id, {self.person: self.at})
        if self.report.order:
            order = OrderSnapshot(
                ref=self.report.order,
                placed_at=self.at,
                status="purchase",
                standing="purchase",
                total=Decimal(self.report.total),
                currency=self.report.currency or self.shop.currency,
                customer_ref=self.report.customer,
                email=self.report.email,
                cart_ref=self.cart_ref if self.report.cart or self.takes_carts else "",
            )
            look = replace(self.look, version=0)  # whatever the shop tells of it itself is newer
            await keep.keep_orders(self.context, self.db, self.shop_id, [order], look)
        if self.takes_carts and not self.report.cart:
            gone = CartSnapshot(self.cart_ref, self.report.who, (), self.shop.currency, Decimal(0))
            await keep.keep_carts(self.context, self.db, self.shop_id, [gone], self.look)
        return f"purchase: {'an order' if self.report.order else 'seen, the shop has not signed for it'}"
