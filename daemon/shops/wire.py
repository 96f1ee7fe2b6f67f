"""The JSON in which a shop tells of carts, orders, customers and products: one format for push and feed."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from daemon.shops import base
from daemon.shops.wire_values import (
    Country,
    Currency,
    Email,
    Locale,
    Name,
    OptionalRef,
    Price,
    Proof,
    Quantity,
    Ref,
    Region,
    Sum,
    Time,
    Url,
    Word,
    Zone,
    tidy,
)

MOST_LINES = 500


def _cursor(value: object) -> str:
    """The shop's own words, handed back as they came."""
    if not isinstance(value, str | int) or isinstance(value, bool) or len(str(value)) > 1000:
        raise ValueError("must be a text of at most 1000 characters, or a whole number")
    return str(value)


class Wire(BaseModel):
    """What is not known is ignored; null is the same as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict) and None in value.values():
            return {name: item for name, item in value.items() if item is not None}
        return value


class Consent(Wire):
    """What the shop knows of one permission. `confirmed` is proof and needs its evidence; all else is a hint."""

    purpose: Literal["email_mkt", "sms_mkt", "push_mkt", "track_open", "track_click", "ads_audience"]
    state: Literal["hint", "requested", "confirmed", "withdrawn"]
    at: Time | None = Field(None, description="When it was given or taken back; absent: when the event happened.")
    source: Word = Field("", description="Where, such as checkout or footer.")
    evidence: Proof = Field(
        "", description="Proof of a confirmed one: time and address of the click, id of the record."
    )
    wording: Proof = Field("", description="The sentence that the customer agreed to.")
    source_url: Url = Field("", description="The page on which it was given.")
    ip: Word = Field("", description="The customer's network address; only its network (/24, /48) is kept.")
    user_agent: Name = Field("", description="What the customer's browser calls itself.")
    requested_at: Time | None = Field(None, description="Of a confirmed one: when it was asked for.")
    ask: bool = Field(
        False, description="With `requested`: have tillbell write to the customer, who then confirms (double opt-in)."
    )

    @model_validator(mode="after")
    def _proved(self) -> Consent:
        if self.state == "confirmed" and not self.evidence:
            raise ValueError('confirmed needs "evidence"; without proof the state is "hint"')
        if self.ask and not (self.state == "requested" and self.wording):
            raise ValueError('ask goes with the state "requested", and needs the "wording" that is to be confirmed')
        return self

    def hint(self, at: datetime | None) -> base.ConsentHint:
        """As the core takes it; `at` where the shop gives no time."""
        return base.ConsentHint(
            purpose=self.purpose,
            state=self.state,
            at=self.at or at,
            source=self.source or "shop",
            evidence=self.evidence,
            wording=self.wording,
            source_url=self.source_url,
            ip=self.ip,
            user_agent=self.user_agent,
            requested_at=self.requested_at,
            ask=self.ask,
        )


class Customer(Wire):
    """A person. Those with the same `ref`, else with the same e-mail address, are one."""

    ref: OptionalRef = Field("", description="The shop's number of the customer; absent for a guest without one.")
    email: Email = ""
    phone: Word = Field("", description="Best with its country code: +49 ...")
    first_name: Word = ""
    last_name: Word = ""
    locale: Locale = Field("", description="Language of the customer, such as de or de-AT.")
    zone: Zone = Field("", description="Time zone, such as Europe/Berlin.")
    country: Country = ""
    region: Region = Field("", description="Where goods were last sent to, by ISO 3166-2, such as US-TX.")
    group: Word = ""
    is_guest: bool = False
    may_be_written_to: bool = Field(True, description="false: a blocked or an internal account; never written to.")
    consents: tuple[Consent, ...] = Field((), max_length=50)

    def snapshot(self, at: datetime | None = None) -> base.Customer:
        """As the core takes it; `at` is when consents without a time of their own were told."""
        return base.Customer(
            ref=self.ref,
            email=self.email,
            phone=self.phone,
            first_name=self.first_name,
            last_name=self.last_name,
            locale=self.locale,
            zone=self.zone,
            country=self.country,
            region=self.region,
            group=self.group,
            is_guest=self.is_guest,
            may_be_written_to=self.may_be_written_to,
            consents=tuple(consent.hint(at) for consent in self.consents),
        )


class KnownCustomer(Customer):
    """A customer who can be found again."""

    @model_validator(mode="after")
    def _found(self) -> KnownCustomer:
        if not (self.ref or self.email):
            raise ValueError('needs "ref" or "email"')
        return self


class ConsentChange(KnownCustomer):
    """A customer with the permissions that were given or taken back."""

    consents: tuple[Consent, ...] = Field(min_length=1, max_length=50)


class Line(Wire):
    """One line of a cart. A quantity of 0 is the same as no line."""

    product_ref: Ref
    name: Name
    quantity: Quantity
    unit_price: Price | None = None
    key: OptionalRef = Field("", description="The shop's own number of the line; absent: product, variant and options.")
    price_basis: Literal["cart", "catalogue_estimate", "snapshot"] = "cart"
    variant_ref: OptionalRef = ""
    sku: Word = ""
    options: Name = Field("", description="As it is shown, such as: Size M, blue.")
    image_url: Url = ""
    product_url: Url = ""
    category: Name = ""
    in_stock: bool | None = None

    def snapshot(self, key: str) -> base.Line:
        """As the core takes it, under a key that is its own in the cart."""
        return base.Line(
            key=key,
            product_ref=self.product_ref,
            name=self.name or self.product_ref,
            quantity=self.quantity,
            unit_price=self.unit_price,
            price_basis=self.price_basis,
            variant_ref=self.variant_ref,
            sku=self.sku,
            options=self.options,
            image_url=self.image_url,
            product_url=self.product_url,
            category=self.category,
            in_stock=self.in_stock,
        )


class Cart(Wire):
    """A whole cart, never a difference. One without lines has been emptied."""

    ref: Ref
    lines: tuple[Line, ...] = Field(max_length=MOST_LINES)
    currency: Currency = Field(min_length=3)
    total: Sum | None = Field(None, description="Absent: the sum of the lines, which then all need their unit_price.")
    total_is_estimate: bool = False
    customer: Customer = Customer()
    stage: Literal["cart", "checkout", "payment", "frozen"] = "cart"
    device: Word = ""
    updated_at: Time | None = Field(None, description="When the customer last changed it.")
    time_precision: Literal["second", "day", "unknown"] = Field("second", description="Of updated_at.")
    recovery_url: Url = Field("", description="Puts the cart back for whoever opens it; must not log anybody in.")
    coupon_codes: tuple[Word, ...] = Field((), max_length=20)
    online_at: Time | None = Field(None, description="When the customer was last seen on the site.")

    @model_validator(mode="after")
    def _priced(self) -> Cart:
        if self.total is None and any(line.unit_price is None for line in self.lines):
            raise ValueError('needs "total", or "unit_price" in every line')
        return self

    def snapshot(self, at: datetime | None = None) -> base.CartSnapshot:
        """As the core takes it; `at` is the time of the event that carried it."""
        updated_at = self.updated_at or at
        return base.CartSnapshot(
            ref=self.ref,
            customer=self.customer.snapshot(at),
            lines=_keyed(line for line in self.lines if line.quantity > 0),
            currency=self.currency,
            total=self._sum() if self.total is None else self.total,
            total_is_estimate=self.total_is_estimate,
            stage=self.stage,
            device=self.device,
            source_updated_at=updated_at,
            time_precision=self.time_precision if updated_at else "unknown",
            recovery_url=self.recovery_url,
            coupon_codes=tuple(code for code in self.coupon_codes if code),
            online_at=self.online_at,
        )

    def _sum(self) -> Decimal:
        return tidy(max(sum((line.quantity * (line.unit_price or 0) for line in self.lines), Decimal(0)), Decimal(0)))


class Order(Wire):
    """A whole order. `standing` says what it means; `status` is the shop's own word for it."""

    ref: Ref
    placed_at: Time
    total: Sum
    currency: Currency = Field(min_length=3)
    status: Word = Field("", description="The shop's own word; absent: the standing.")
    standing: Literal["purchase", "pending", "on_hold", "failed", "cancelled"] = "purchase"
    customer_ref: OptionalRef = ""
    email: Email = ""
    phone: Word = ""
    cart_ref: OptionalRef = Field("", description="The cart that became this order.")
    coupon_codes: tuple[Word, ...] = Field((), max_length=20)

    @model_validator(mode="before")
    @classmethod
    def _a_bad_address_loses_no_purchase(cls, value: Any) -> Any:
        """Where the buyer is named otherwise, an address that is none is left out: the stop matters more."""
        if isinstance(value, dict) and (value.get("customer_ref") or value.get("cart_ref")):
            try:
                Customer.model_validate({"email": value.get("email")})
            except ValidationError:
                return {**value, "email": ""}
        return value

    @model_validator(mode="after")
    def _bought_by_somebody(self) -> Order:
        if not (self.customer_ref or self.email or self.cart_ref):
            raise ValueError('needs "customer_ref", "email" or "cart_ref"')
        return self

    def snapshot(self) -> base.OrderSnapshot:
        """As the core takes it."""
        return base.OrderSnapshot(
            ref=self.ref,
            placed_at=self.placed_at,
            status=self.status or self.standing,
            standing=self.standing,
            total=self.total,
            currency=self.currency,
            customer_ref=self.customer_ref,
            email=self.email,
            phone=self.phone,
            cart_ref=self.cart_ref,
            coupon_codes=tuple(code for code in self.coupon_codes if code),
        )


class Product(Wire):
    """A product as it is now."""

    ref: Ref = Field(description="The product_ref that was asked for.")
    name: Name
    active: bool = True
    in_stock: bool | None = None
    price: Price | None = None
    currency: Currency = ""
    url: Url = ""
    image_url: Url = ""
    cost: Price | None = Field(None, description="What the shop paid for it; kept to the rules, never shown.")

    def snapshot(self) -> base.Product:
        """As the core takes it."""
        return base.Product(
            ref=self.ref,
            name=self.name,
            active=self.active,
            in_stock=self.in_stock,
            price=self.price,
            currency=self.currency,
            url=self.url,
            image_url=self.image_url,
            cost=self.cost,
        )


class Page(Wire):
    """What surrounds the items of a page."""

    cursor: Annotated[str, BeforeValidator(_cursor)] = Field(
        "", description="With `more`: of the next page. Without: where the next look begins."
    )
    more: bool = Field(False, description="There is another page now.")
    now: Time | None = Field(None, description="The shop's clock.")


class CartPage(Page):
    """The answer to /carts. Each cart is read by itself: a bad one is refused alone."""

    carts: tuple[Cart, ...]


class OrderPage(Page):
    """The answer to /orders, and to /orders/find."""

    orders: tuple[Order, ...]


class ProductPage(Wire):
    """The answer to /products. One that is absent does not exist any more."""

    products: tuple[Product, ...]


def json_value(raw: bytes) -> Any:
    """JSON of RFC 8259, its fractions as Decimal. Raises ValueError for anything else, NaN included."""
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise ValueError("body: is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"body: is not JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"body: is no JSON that can be read ({type(error).__name__})") from None


def first_problem(error: ValidationError, without: Container[str | int] = ()) -> str:
    """Path and sentence of the first mistake, without the value: it may be personal. `without`: parts of the path
    that only the model knows."""
    first = error.errors(include_url=False, include_input=False)[0]
    sentence = first["msg"].removeprefix("Value error, ")
    return f"{_path(part for part in first['loc'] if part not in without)}: {sentence[:1].lower()}{sentence[1:]}"


def _path(location: Iterable[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "body"


def _keyed(lines: Iterable[Line]) -> tuple[base.Line, ...]:
    """Every line under a key of its own, the same each time the same cart is told."""
    kept: dict[str, base.Line] = {}
    for line in lines:
        key = line.key or "/".join(part for part in (line.product_ref, line.variant_ref, line.options) if part)
        twin = 1
        while key in kept:
            twin += 1
            key = f"{key.rsplit('#', 1)[0] if twin > 2 else key}#{twin}"
        kept[key] = line.snapshot(key)
    return tuple(kept.values())


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
