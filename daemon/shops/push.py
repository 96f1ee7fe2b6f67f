"""A shop that posts signed events to us (Standard Webhooks, version 1)."""

from __future__ import annotations

import base64
import binascii
import difflib
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Protocol, get_args, runtime_checkable

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError
from standardwebhooks import Webhook

from daemon.shops.base import Capability, Shop, ShopConfig, ShopEvent
from daemon.shops.wire import Cart, ConsentChange, KnownCustomer, Order, Wire, first_problem, json_value
from daemon.shops.wire_values import Time

Kind = Literal[
    "cart.updated", "checkout.started", "order.placed", "order.cancelled", "customer.updated", "consent.changed"
]
KINDS: tuple[str, ...] = get_args(Kind)
PREFIX = "whsec_"


class _Event(Wire):
    timestamp: Time = Field(description="When it happened, with fractions of a second: the newer one counts.")


class CartEvent(_Event):
    """The cart as it is after the change."""

    type: Literal["cart.updated", "checkout.started"]
    data: Cart


class OrderEvent(_Event):
    """The order as it is after the change."""

    type: Literal["order.placed", "order.cancelled"]
    data: Order


class CustomerEvent(_Event):
    """The customer as known after the change."""

    type: Literal["customer.updated"]
    data: KnownCustomer


class ConsentEvent(_Event):
    """Permissions that were given or taken back."""

    type: Literal["consent.changed"]
    data: ConsentChange


AnyEvent = CartEvent | OrderEvent | CustomerEvent | ConsentEvent
EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])


def parse(raw: bytes) -> ShopEvent:
    """One event. Raises ValueError whose text begins with the path of what is wrong, such as
    `data.lines[0].quantity: must not be negative`. The same bytes always give the same event."""
    try:
        told = EVENT.validate_python(json_value(raw))
    except ValidationError as error:
        raise ValueError(_problem(error)) from None
    at = told.timestamp
    if isinstance(told, CartEvent):
        cart = told.data.snapshot(at)
        if told.type == "checkout.started" and cart.stage == "cart":
            cart = replace(cart, stage="checkout")
        return ShopEvent(told.type, at, cart=cart)
    if isinstance(told, OrderEvent):
        order = told.data.snapshot()
        return ShopEvent(told.type, at, order=replace(order, standing=_standing(told)))
    return ShopEvent(told.type, at, customer=told.data.snapshot(at))


def _standing(told: OrderEvent) -> Literal["purchase", "pending", "on_hold", "failed", "cancelled"]:
    return "cancelled" if told.type == "order.cancelled" else told.data.standing


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] not in ("union_tag_not_found", "union_tag_invalid"):
        return first_problem(error, without=KINDS)
    tag = str(first.get("ctx", {}).get("tag", ""))
    near = difflib.get_close_matches(tag, KINDS, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KINDS)}"
    return f"type: {'unknown event' if tag else 'missing'}; {hint}"


def _several(value: object) -> object:
    return (value,) if isinstance(value, str | SecretStr) else value


def checked_secret(secret: SecretStr) -> SecretStr:
    """Standard Webhooks: `whsec_` and the base64 of 24 to 64 random bytes. Raises ValueError with the way to one."""
    text = secret.get_secret_value()
    encoded = text.removeprefix(PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(
            "must be whsec_ and the base64 of 24 to 64 random bytes; make one with: "
            """python3 -c 'import base64, os; print("whsec_" + base64.b64encode(os.urandom(32)).decode())'"""
        )
    return secret


Secret = Annotated[SecretStr, AfterValidator(checked_secret)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_several)]

ALL = frozenset(Capability) - {Capability.CARTS_SNAPSHOT, Capability.CARTS_DELTA, Capability.FIND_ORDERS}
CARRIED = ALL - {Capability.PRODUCTS, Capability.COST, Capability.STOCK}
"""What an event can carry; whether the shop fills it in is for `without` to say."""


class PushConfig(ShopConfig):
    """A shop whose events all come to us."""

    secrets: Secrets = Field(
        min_length=1, description="Keys that events are signed with (whsec_...); two while one is being changed."
    )
    without: frozenset[Capability] = Field(
        frozenset(), description="What the shop leaves out of its events, such as phone or recovery_url."
    )


@runtime_checkable
class Listens(Protocol):
    """A shop that may post events to /hooks/shop/NAME. `webhooks` is empty while it has no key."""

    @property
    def webhooks(self) -> tuple[Webhook, ...]:
        """One for each key."""
        ...

    def parse(self, raw: bytes) -> ShopEvent:
        """Raises ValueError with the path of what is wrong."""
        ...


def webhooks(secrets: tuple[SecretStr, ...]) -> tuple[Webhook, ...]:
    """What checks a signature, one for each key."""
    return tuple(Webhook(secret.get_secret_value()) for secret in secrets)


class Push(Shop):
    """Nothing is fetched: carts, orders and customers arrive by themselves."""

    name = "push"
    config_model = PushConfig
    polls: ClassVar[bool] = False

    config: PushConfig

    def __init__(self, config: PushConfig) -> None:
        super().__init__(config)
        self.webhooks = webhooks(config.secrets)

    def capabilities(self) -> frozenset[Capability]:
        """All that an event can carry, but what the shop leaves out."""
        return CARRIED - self.config.without

    def parse(self, raw: bytes) -> ShopEvent:
        """See `parse`."""
        return parse(raw)


SHOP = Push
