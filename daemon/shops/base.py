"""What a shop connector is: fetch, translate to snapshots, nothing else."""

from __future__ import annotations

import enum
from abc import ABC
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from daemon.clock import monotonic


class Capability(enum.StrEnum):
    """What a shop can do. A rule file that needs what is missing fails at `check`."""

    CARTS_SNAPSHOT = enum.auto()
    CARTS_DELTA = enum.auto()
    CART_EVENTS = enum.auto()
    GUEST_CARTS = enum.auto()
    CHECKOUT_STAGE = enum.auto()
    SECOND_PRECISION = enum.auto()
    LINE_PRICES = enum.auto()
    ORDER_CART_LINK = enum.auto()
    ORDER_EVENTS = enum.auto()
    FIND_ORDERS = enum.auto()
    CONSENT_EMAIL = enum.auto()
    CONSENT_EVIDENCE = enum.auto()
    CONSENT_SMS = enum.auto()
    PHONE = enum.auto()
    LOCALE = enum.auto()
    GROUPS = enum.auto()
    STOCK = enum.auto()
    PRODUCTS = enum.auto()
    COST = enum.auto()
    CATEGORIES = enum.auto()
    ONLINE_NOW = enum.auto()
    RECOVERY_URL = enum.auto()


@dataclass(frozen=True, slots=True)
class ConsentHint:
    """What the shop says of one purpose. Only `confirmed` with evidence is proof; all else is a hint."""

    purpose: Literal["email_mkt", "sms_mkt", "push_mkt", "track_open", "track_click", "ads_audience"]
    state: Literal["hint", "requested", "confirmed", "withdrawn"]
    at: datetime | None = None
    source: str = ""
    evidence: str = ""
    wording: str = ""
    source_url: str = ""
    """The page on which it was given."""
    ip: str = ""
    """The client's address as the shop saw it; only its network is kept."""
    user_agent: str = ""
    requested_at: datetime | None = None
    ask: bool = False
    """Of a `requested` one: the shop wants it confirmed by a mail or text of ours (double opt-in)."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A person as the shop knows them. `ref` is empty for a guest without a record."""

    ref: str = ""
    email: str = ""
    phone: str = ""
    first_name: str = ""
    last_name: str = ""
    locale: str = ""
    """BCP 47, empty where the shop does not say."""
    zone: str = ""
    country: str = ""
    region: str = ""
    """Where goods were last sent to, by ISO 3166-2, like `US-TX`; empty where the shop does not say."""
    group: str = ""
    is_guest: bool = False
    may_be_written_to: bool = True
    """False: an administrator's or a blocked account; never written to."""
    consents: tuple[ConsentHint, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    key: str
    """The shop's own key of the line, options included."""
    product_ref: str
    name: str
    quantity: Decimal
    unit_price: Decimal | None = None
    price_basis: Literal["cart", "catalogue_estimate", "snapshot"] = "cart"
    variant_ref: str = ""
    sku: str = ""
    options: str = ""
    image_url: str = ""
    product_url: str = ""
    category: str = ""
    in_stock: bool | None = None


@dataclass(frozen=True, slots=True)
class CartSnapshot:
    """One cart as read. The core keeps its own fingerprint and its own time of change."""

    ref: str
    customer: Customer
    lines: tuple[Line, ...]
    currency: str
    total: Decimal
    total_is_estimate: bool = False
    stage: Literal["cart", "checkout", "payment", "frozen"] = "cart"
    device: str = ""
    source_updated_at: datetime | None = None
    time_precision: Literal["second", "day", "unknown"] = "unknown"
    recovery_url: str = ""
    """Puts the cart back without logging anybody in; empty: the shop's cart page is linked."""
    coupon_codes: tuple[str, ...] = ()
    online_at: datetime | None = None
    """When the customer was last seen on the site, where the shop tells."""


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    ref: str
    placed_at: datetime
    status: str
    """The shop's own word."""
    standing: Literal["purchase", "pending", "on_hold", "failed", "cancelled"]
    total: Decimal
    currency: str
    customer_ref: str = ""
    email: str = ""
    phone: str = ""
    cart_ref: str = ""
    """Where the shop links order and cart."""
    coupon_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    ref: str
    """The `product_ref` (or `key`) that was asked for."""
    name: str
    active: bool
    in_stock: bool | None = None
    price: Decimal | None = None
    currency: str = ""
    url: str = ""
    image_url: str = ""
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CartBatch:
    """One page. `is_full_snapshot` on the pages of a reading that started from nothing: what is absent from all
    pages up to the one without `more` is gone from the shop."""

    carts: tuple[CartSnapshot, ...]
    cursor: str = ""
    more: bool = False
    is_full_snapshot: bool = False
    unchanged: bool = False
    """The shop said that nothing changed since the cursor (304): nothing is absent."""
    observed_at: datetime | None = None
    refused: tuple[str, ...] = ()
    """Carts that could not be read, each with its reason; they count neither as present nor as gone."""
    refused_refs: tuple[str, ...] = ()
    """Of those, the refs that could be made out."""


@dataclass(frozen=True, slots=True)
class OrderBatch:
    orders: tuple[OrderSnapshot, ...]
    cursor: str = ""
    more: bool = False
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShopEvent:
    """One signed event of a shop, parsed."""

    kind: Literal[
        "cart.updated", "checkout.started", "order.placed", "order.cancelled", "customer.updated", "consent.changed"
    ]
    at: datetime
    """The shop's time of the event: decides which of two is newer, whatever their order of arrival."""
    cart: CartSnapshot | None = None
    order: OrderSnapshot | None = None
    customer: Customer | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """`findings` are sentences with a hint each; empty means all is well."""

    reachable: bool
    findings: tuple[str, ...] = ()
    clock_skew: timedelta | None = None
    """The shop's clock minus ours."""


class ShopUnavailable(Exception):
    """The shop did not answer, or not with what it should. Nothing is concluded from it; it is asked again."""


class ShopConfig(BaseModel):
    """The section of a shop in shops.yaml that its connector reads. Subclasses add their own fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fuse:
    """After three failures in a row a question rests for half a minute (machine time), then is put once to try."""

    FAILURES = 3
    REST = 30.0

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.failures = 0
        self.until = 0.0
        self.problem = ""

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Around one question, be it of many pages. Raises ShopUnavailable at once while the shop is left alone."""
        now = self.clock()
        if self.failures >= self.FAILURES:
            if now < self.until:
                raise ShopUnavailable(
                    f"left alone for {self.until - now:.0f} s after {self.failures} failures in a row; "
                    f"the last: {self.problem}"
                )
            self.until = now + self.REST  # who comes while this one tries does not try as well
        try:
            yield
        except (ShopUnavailable, TimeoutError, CancelledError) as error:  # who cancels it has waited long enough
            self.failures += 1
            self.until = self.clock() + self.REST
            self.problem = str(error) if isinstance(error, ShopUnavailable) else type(error).__name__
            raise
        self.failures = 0


class Shop(ABC):
    """A connector. Times it hands out are aware; money is Decimal. It holds no state but its connections."""

    name: ClassVar[str]
    """The word for `connector:` in shops.yaml."""
    config_model: ClassVar[type[ShopConfig]]
    polls: ClassVar[bool] = True
    """False: everything arrives by push."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.fuses = {question: Fuse() for question in ("reading", "find_orders", "products")}
        """By question: one that takes too long says nothing of the others."""

    def capabilities(self) -> frozenset[Capability]:
        """What this shop can do, as configured."""
        return frozenset()

    async def health(self, now: datetime) -> Health:
        """Reachable, readable, clocks in step."""
        return Health(reachable=True)

    async def orders(self, cursor: str, limit: int, now: datetime) -> OrderBatch:
        """Orders new or changed since the cursor, oldest change first; read before carts."""
        raise NotImplementedError

    async def carts(self, cursor: str, limit: int, now: datetime) -> CartBatch:
        """Carts, whole (paged from an empty cursor) or changed since the cursor."""
        raise NotImplementedError

    async def find_orders(self, refs: Sequence[str], emails: Sequence[str], since: datetime) -> Sequence[OrderSnapshot]:
        """Orders of any of these people since then, in one query: asked right before messages leave."""
        return ()

    async def products(self, refs: Sequence[str], locale: str) -> Mapping[str, Product]:
        """By ref: only products that exist."""
        return {}

    async def close(self) -> None:
        """Let go of connections."""
