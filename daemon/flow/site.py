"""Steps 2 and 10 for what a browser on the shop's pages reports. What it may change depends on who signed for it.

A browser that the shop's page named speaks for that person: of their presence, of a cart that this browser alone
reported, or of the shop's cart that the badge names. An order counts if the badge names it. One that nobody named
changes nothing but what is kept of itself; where the policies could reach it, it stands for a person of its own, whom
nothing else leads to, until the shop says who that is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, get_args

from pydantic import ValidationError

from daemon.context import Context
from daemon.flow import keep, merging, persons
from daemon.flow.keep import Look
from daemon.shops.base import CartSnapshot, Customer, OrderSnapshot
from daemon.shops.wire import Cart, first_problem
from daemon.store import carts, clock, dossier, recoveries, site, work
from daemon.store import merging as merges
from daemon.store import persons as people
from daemon.store.database import Connection, again
from daemon.store.merging import Evidence
from rules.shops import ShopWords

SOURCE = "site"
"""Of these deliveries in the inbox."""
MOST_LINES = 100
REACH = ("onsite", "webpush")
"""Channels that reach a browser of which nothing else is known."""

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


def matters(kind: Kind, *, named: bool, followed: bool) -> bool:
    """Whether anything could come of it: of who is not named, only the cart is kept, until it is bought; where such
    carts are followed up, how far they came with it counts, too."""
    return named or kind in ("cart", "purchase") or (kind == "checkout" and followed)


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
    serialised for the shop, and holds the person whom the badge names and whose visitor this is."""
    person = await _who(context, db, shop_id, report, look)
    if report.named and person is None:
        await site.withdraw(db, shop_id, [report.visitor])
        return f"{report.kind}: by somebody who was erased"
    earlier = await site.cart_of(db, shop_id, report.visitor)
    cart = report.data if report.kind == "cart" and not report.named else None
    forget = report.named or report.kind == "purchase"
    await site.seen(db, shop_id, report.visitor, report.device, at, cart, forget=forget)
    if person is None:
        return f"{report.kind}: by a visitor whom the shop does not name"
    here = Here(context, db, shop_id, report, person, min(at, look.now), look)
    if report.kind == "purchase":
        return await here.bought()
    told = report.data if report.kind == "cart" else earlier
    kept = bool(told) and await here.keeps(told or {})
    if report.kind == "checkout":
        await site.stage(db, shop_id, here.cart_ref, person)
    await people.seen_active(db, shop_id, {person: here.at})
    return f"{report.kind}: {'kept' if kept else 'seen'}"


async def _who(context: Context, db: Connection, shop_id: int, report: Report, look: Look) -> int | None:
    """The person whom the badge names, and whose this visitor is from now on; of one whom nobody names, the person that
    the browser alone stands for, if the shop follows those. None: somebody who was erased, or nobody."""
    if not report.named:
        return await nameless(context, db, shop_id, report.visitor, look.now, make=bool(report.data.get("lines")))
    [person] = await persons.keep(context, db, shop_id, [report.who], look.now, look.version, whole=False)
    if person is None:
        return None
    before = await site.owner(db, shop_id, report.visitor)
    if before is not None and before.nameless and before.person_id not in (None, person):
        person = await _become(context, db, shop_id, report, (before.person_id or 0, person), look)
    if await site.attach(db, shop_id, report.visitor, person, look.now):
        await carts.look_again(db, shop_id, [person], look.now)
    return person


async def _become(
    context: Context, db: Connection, shop_id: int, report: Report, both: tuple[int, int], look: Look
) -> int:
    """Who was known by this browser alone turns out to be whom the shop names. The cart of before is emptied, and told
    of anew, where it is not under the same name any more. Who were parted again stay two."""
    nobody, named = both
    evidence = Evidence("onsite", report.visitor)
    older, younger = sorted(both)
    if await merges.undone(db, shop_id, [(older, younger, evidence)]):
        return named
    await people.lock(db, shop_id, [older, younger])
    if older == named:
        await recoveries.end_of_persons(db, shop_id, [nobody], "named", look.now)  # no cool-down counts from it
    await merging.merge(context, db, shop_id, older, younger, evidence, look.now)
    here = Here(context, db, shop_id, report, older, look.now, look)
    if (before := browsers_cart(nobody, report.visitor)) != here.cart_ref:
        await here.empties(before)
    return older


async def nameless(
    context: Context, db: Connection, shop_id: int, visitor: str, now: datetime, *, make: bool
) -> int | None:
    """The person that is known by this browser alone; made, if there is a reason to. None where the shop's policies
    could not reach them, where they allowed nothing that could, and where the shop has named somebody in this browser:
    whoever sits there now speaks for nobody else. Call inside a transaction that has been serialised for the shop."""
    if not follows_nameless(context, shop_id) or (owner := await site.owner(db, shop_id, visitor)) is None:
        return None
    if owner.person_id is not None:
        return owner.person_id if owner.nameless else None
    if not make:
        return None
    [person] = await people.new_ids(db, 1)
    await people.add(db, shop_id, [person], [context.chance(f"{shop_id}:onsite:{visitor}")], now)
    await people.lock(db, shop_id, [person])
    await site.attach(db, shop_id, visitor, person, now)
    return person


def follows_nameless(context: Context, shop_id: int) -> bool:
    """Whether carts of people whom the shop does not name are followed up: where the script tells of carts, and a step
    of a policy reaches a browser."""
    name = context.shop_name(shop_id)
    script = context.keeper.book.shops[name].script
    if script is None or not script.carts:
        return False
    policies = context.keeper.book.policies_by_shop.get(name, ())
    return any(step.send in REACH for policy in policies for step in policy.steps)


async def welcome(context: Context, shop_id: int, visitor: str) -> int | None:
    """As `nameless`, in a transaction of its own."""

    async def once(db: Connection) -> int | None:
        await work.serialise(db, shop_id)
        await people.lock(db, shop_id, await site.owners(db, shop_id, [visitor]))
        return await nameless(context, db, shop_id, visitor, await clock.shop_now(db), make=True)

    return await again(context.pool, once)


async def forget(context: Context, shop_id: int, visitors: Sequence[str]) -> None:
    """They take everything back, or have not come for long: nothing connects these browsers with anybody. Who was known
    by them alone is nobody any more: what they left is erased."""
    if not await site.nameless(context.pool, shop_id, visitors):
        await site.withdraw(context.pool, shop_id, visitors)
        return

    async def once(db: Connection) -> None:
        await work.serialise(db, shop_id)
        now = await clock.shop_now(db)
        gone = await site.nameless(db, shop_id, visitors)
        await people.lock_all(db, shop_id, gone)
        await recoveries.end_of_persons(db, shop_id, gone, "erased", now)
        await dossier.erase(db, shop_id, gone, [], [], now)
        await site.withdraw(db, shop_id, visitors)

    await again(context.pool, once)


def browsers_cart(person: int, visitor: str) -> str:
    """The reference of the cart that a browser reports of this person: no report of another one can mean it."""
    return f"site-{person}-{visitor[:12]}"


@dataclass(frozen=True, slots=True)
class Here:
    """A report of somebody whom the shop named, or whom this browser alone stands for."""

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
        return self.report.cart or browsers_cart(self.person, self.report.visitor)

    async def keeps(self, told: Mapping[str, Any]) -> bool:
        """Whether the cart was news. Nothing where the shop tells of carts itself."""
        if not self.takes_carts:
            return False
        cart = Cart.model_validate({**told, "ref": self.cart_ref}).snapshot()
        cart = replace(cart, customer=self.report.who, device=self.report.device)
        if self.report.kind == "checkout":
            cart = replace(cart, stage="checkout")
        owners = {cart.ref: self.person}
        return bool(await keep.keep_carts(self.context, self.db, self.shop_id, [cart], self.look, owners))

    async def empties(self, ref: str) -> None:
        """A cart that this browser reported holds nothing any more."""
        gone = CartSnapshot(ref, Customer(), (), self.shop.currency, Decimal(0))
        await keep.keep_carts(self.context, self.db, self.shop_id, [gone], self.look, {ref: self.person})

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
            owners = {} if self.report.named else {order.ref: self.person}
            await keep.keep_orders(self.context, self.db, self.shop_id, [order], look, owners)
        if self.takes_carts and not self.report.cart:
            await self.empties(self.cart_ref)
        return f"purchase: {'an order' if self.report.order else 'seen, the shop has not signed for it'}"
