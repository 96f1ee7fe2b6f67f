"""A shop that offers its carts and orders as JSON pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from standardwebhooks import Webhook

from daemon.clock import machine_now
from daemon.shops.base import (
    Capability,
    CartBatch,
    CartSnapshot,
    Health,
    OrderBatch,
    OrderSnapshot,
    Product,
    Shop,
    ShopConfig,
    ShopEvent,
    ShopUnavailable,
)
from daemon.shops.fetch import Answer, Fetch, checked_base
from daemon.shops.paging import Place, content_of, place
from daemon.shops.push import Secret, Secrets, parse, webhooks
from daemon.shops.wire import Cart, Order, OrderPage, Page, ProductPage, first_problem

M = TypeVar("M", Page, OrderPage, ProductPage)
SKEW = timedelta(minutes=5)
"""A shop whose clock is further from ours is not believed when it says how long a cart has been at rest."""
GARBAGE = 5
"""Unreadable items on a page, and more than half of it, from which on the whole page is not believed."""
REFS_AT_ONCE = 100
REF = re.compile(r"[\w.:#/-]{1,80}")
"""What may be said of a cart or order in a log; what is no number and no name of a thing may be one of a person."""


class FeedConfig(ShopConfig):
    """How a feed is reached, and what it offers."""

    url: Annotated[str, AfterValidator(checked_base)] = Field(
        description="Address before /carts and /orders, such as https://shop.example/tillbell."
    )
    token: SecretStr = Field(SecretStr(""), description="Sent as a bearer token; or else set signing_secret.")
    signing_secret: Secret | None = Field(None, description="Key (whsec_...) that every question is signed with.")
    carts: Literal["all", "changes"] = Field(
        "all",
        description="all: every look reads all open carts, and one that is missing is gone. "
        "changes: a look reads what changed since the cursor, emptied carts without lines.",
    )
    products: bool = Field(False, description="The shop answers /products.")
    find_orders: bool = Field(False, description="The shop answers /orders/find.")
    secrets: Secrets = Field((), description="Keys of events that the shop also posts to /hooks/shop/NAME.")
    patience: float = Field(20.0, gt=0, le=60, description="Seconds until an answer must be complete.")
    without: frozenset[Capability] = Field(frozenset(), description="What the shop leaves out of its feed.")

    @model_validator(mode="after")
    def _let_in(self) -> FeedConfig:
        if bool(self.token.get_secret_value()) == bool(self.signing_secret):
            raise ValueError('needs either "token" or "signing_secret": a feed shows people\'s carts')
        return self


@dataclass(frozen=True, slots=True)
class _Read:
    """The items of one page that could be read, and where the reading goes on."""

    items: list[Any]
    refused: tuple[str, ...]
    refused_refs: tuple[str, ...]
    page: Page
    after: Place
    skew: timedelta
    """The shop's clock minus ours; zero where neither the page nor the server tells."""


class Feed(Shop):
    """Reads /carts and /orders page by page. Its cursors hold all that a reading needs to go on."""

    name = "feed"
    config_model = FeedConfig
    config: FeedConfig

    def __init__(self, config: FeedConfig) -> None:
        super().__init__(config)
        key = config.signing_secret
        signer = Webhook(key.get_secret_value()) if key else None
        self.fetch = Fetch(config.url, config.token.get_secret_value(), signer, config.patience)
        self.webhooks = webhooks(config.secrets)

    def capabilities(self) -> frozenset[Capability]:
        """All that the format can carry, but what this shop leaves out."""
        config = self.config
        left_out = {
            Capability.CARTS_DELTA if config.carts == "all" else Capability.CARTS_SNAPSHOT,
            Capability.ONLINE_NOW,
            *([] if config.secrets else [Capability.CART_EVENTS, Capability.ORDER_EVENTS]),
            *([] if config.find_orders else [Capability.FIND_ORDERS]),
            *([] if config.products else [Capability.PRODUCTS, Capability.COST, Capability.STOCK]),
        }
        return frozenset(Capability) - left_out - config.without

    async def carts(self, cursor: str, limit: int, now: datetime) -> CartBatch:
        """One page. The cursor of the last page starts the next look; it carries the ETag of a list of one page."""
        here = place(cursor)
        read = await self._page("carts", here, limit, now, _cart)
        if read is None:
            return CartBatch((), cursor, unchanged=True)
        return CartBatch(
            carts=tuple(_believed(cart, now, read.skew) for cart in _newest(read.items)),
            cursor=read.after.text(),
            more=read.page.more,
            is_full_snapshot=self.config.carts == "all" and here.whole,
            observed_at=read.page.now,
            refused=read.refused,
            refused_refs=read.refused_refs,
        )

    async def orders(self, cursor: str, limit: int, now: datetime) -> OrderBatch:
        """One page of orders that are new or changed since the cursor."""
        read = await self._page("orders", place(cursor), limit, now, _order)
        if read is None:
            return OrderBatch((), cursor)
        return OrderBatch(tuple(read.items), read.after.text(), read.page.more, read.refused)

    async def find_orders(self, refs: Sequence[str], emails: Sequence[str], since: datetime) -> Sequence[OrderSnapshot]:
        """One question for all of them. An answer that cannot be read in full counts as none: ShopUnavailable."""
        if not self.config.find_orders or not (refs or emails):
            return ()
        question = {"customer_refs": list(refs), "emails": list(emails), "since": since.isoformat()}
        answer = await self.fetch.post("/orders/find", question)
        page = _validated("/orders/find", OrderPage, answer.value)
        return [order.snapshot() for order in page.orders]

    async def products(self, refs: Sequence[str], locale: str) -> Mapping[str, Product]:
        """By ref. Raises ShopUnavailable when an answer cannot be read in full."""
        found: dict[str, Product] = {}
        asked = sorted(set(refs)) if self.config.products else []
        for start in range(0, len(asked), REFS_AT_ONCE):
            part = json.dumps(asked[start : start + REFS_AT_ONCE], ensure_ascii=False)
            answer = await self.fetch.get("/products", {"refs": part, "locale": locale})
            page = _validated("/products", ProductPage, answer.value)
            found |= {product.ref: product.snapshot() for product in page.products}
        return {ref: found[ref] for ref in asked if ref in found}

    async def health(self, now: datetime) -> Health:
        """Asks for one cart and one order."""
        findings: list[str] = []
        skew: timedelta | None = None
        for path in ("carts", "orders"):
            try:
                answer = await self.fetch.get(f"/{path}", {"cursor": "", "limit": "1"})
                page = _validated(f"/{path}", Page, answer.value)
            except ShopUnavailable as error:
                findings.append(str(error))
                continue
            skew = _skew(page, answer, now)
        reachable = not findings
        if skew is not None and abs(skew) > SKEW:
            findings.append(f"the shop's clock is {skew.total_seconds():+.0f} s from ours; set it by NTP")
        return Health(reachable, tuple(findings), skew)

    def parse(self, raw: bytes) -> ShopEvent:
        """An event that the shop posted; see daemon.shops.push."""
        return parse(raw)

    async def close(self) -> None:
        """Let go of connections."""
        await self.fetch.close()

    async def _page(
        self, noun: str, here: Place, limit: int, now: datetime, turn: Callable[[Any], Any]
    ) -> _Read | None:
        """None: unchanged. A single bad item is refused; a page that is mostly garbage is not believed."""
        answer = await self.fetch.get(f"/{noun}", {"cursor": here.cursor, "limit": str(limit)}, here.etag)
        if answer.value is None:
            return None
        page = _validated(f"/{noun}", Page, answer.value)
        told = answer.value.get(noun)
        if not isinstance(told, list):
            raise ShopUnavailable(f"/{noun}: {noun}: must be a list")
        items, refused, refs = _turned(noun, told, turn)
        if len(refused) >= GARBAGE and len(refused) > len(items):
            raise ShopUnavailable(f"/{noun}: {len(refused)} of {len(told)} cannot be read, first {refused[0]}")
        after = self._after(noun, here, page, answer)
        return _Read(items, refused, refs, page, after, _skew(page, answer, now))

    def _after(self, noun: str, here: Place, page: Page, answer: Answer) -> Place:
        if page.more:
            if not page.cursor:
                raise ShopUnavailable(f"/{noun}: more pages are promised without a cursor to them")
            return here.turned(page.cursor, content_of(answer.value[noun]))
        cursor = "" if noun == "carts" and self.config.carts == "all" else page.cursor
        again = here.page == 0 and cursor == here.cursor  # only then does the next look ask this very question
        return Place(cursor=cursor, etag=answer.etag if again else "", whole=cursor == "")


def _turned(
    noun: str, told: list[Any], turn: Callable[[Any], Any]
) -> tuple[list[Any], tuple[str, ...], tuple[str, ...]]:
    """(what could be read, reasons why the rest could not, refs of the rest)."""
    items, refused, refs = [], [], []
    for number, one in enumerate(told):
        try:
            items.append(turn(one))
        except ValidationError as error:
            ref = one.get("ref") if isinstance(one, dict) else None
            named = isinstance(ref, str | int) and not isinstance(ref, bool)
            refs += [str(ref).strip()] if named else []
            shown = str(ref).strip() if named and REF.fullmatch(str(ref).strip()) else "?"
            refused.append(f"{noun}[{number}] {shown}: {first_problem(error)}")
    return items, tuple(refused), tuple(refs)


def _cart(told: Any) -> CartSnapshot:
    return Cart.model_validate(told).snapshot()


def _order(told: Any) -> OrderSnapshot:
    return Order.model_validate(told).snapshot()


def _newest(carts: list[CartSnapshot]) -> list[CartSnapshot]:
    """A page that tells one cart twice means the latter."""
    return list({cart.ref: cart for cart in carts}.values())


def _believed(cart: CartSnapshot, now: datetime, skew: timedelta) -> CartSnapshot:
    """Where the shop's clock is wrong, or a change lies ahead of ours, only what we see ourselves counts."""
    if cart.source_updated_at is None or (abs(skew) <= SKEW and cart.source_updated_at <= now + SKEW):
        return cart
    return replace(cart, source_updated_at=None, time_precision="unknown")


def _skew(page: Page, answer: Answer, now: datetime) -> timedelta:
    if page.now is not None:
        return page.now - now
    return timedelta() if answer.date is None else answer.date - machine_now()


def _validated(path: str, model: type[M], value: Any) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ShopUnavailable(f"{path}: {first_problem(error)}") from None


SHOP = Feed
