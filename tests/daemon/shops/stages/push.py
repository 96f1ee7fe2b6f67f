"""A pretend shop that posts: nothing of it can be asked."""

import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from daemon.shops.push import Push, PushConfig

NOW = datetime(2026, 10, 17, 10, 0, tzinfo=UTC)
KEY = "whsec_" + base64.b64encode(b"hunter2-of-the-shop-that-posts").decode()


class Stage:
    """What the contract asks of a stage; `posted` are the bodies of the shop's events, oldest first."""

    now = NOW
    secrets = (KEY, KEY.removeprefix("whsec_"))

    def __init__(self) -> None:
        self.posted: list[bytes] = []
        self.numbers = itertools.count(1)
        self.orders: dict[str, dict[str, Any]] = {}

    def connector(self) -> Push:
        return Push(PushConfig.model_validate({"secrets": KEY}))

    def deaf_connector(self) -> Push:
        return self.connector()

    def post(self, kind: str, data: dict[str, Any], at: datetime = NOW) -> None:
        self.posted.append(json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}).encode())

    async def put_product(self, name: str = "Kettle", price: Decimal = Decimal("20.00")) -> str:
        return f"{name}:{price}"

    async def delete_product(self, ref: str) -> None:
        """Nobody asks for it."""

    async def put_cart(self, email: str, product: str, quantity: int = 1, first_name: str = "Ada") -> str:
        ref, (name, price) = str(next(self.numbers)), product.split(":")
        line = {"product_ref": product, "name": name, "quantity": quantity, "unit_price": price}
        customer = {"ref": f"C-{email}", "email": email, "first_name": first_name}
        cart = {"ref": ref, "currency": "EUR", "customer": customer, "lines": [line]}
        self.post("cart.updated", cart, NOW - timedelta(hours=1))
        return ref

    async def put_broken_cart(self) -> str:
        ref = str(next(self.numbers))
        self.post("cart.updated", {"ref": ref, "currency": "EUR", "lines": [{"product_ref": "no product"}]})
        return ref

    async def place_order(self, customer_ref: str, email: str, total: Decimal, at: datetime) -> str:
        ref = f"O-{next(self.numbers)}"
        order = {"ref": ref, "customer_ref": customer_ref, "email": email, "total": str(total), "currency": "EUR"}
        self.orders[ref] = {**order, "placed_at": at.isoformat()}
        self.post("order.placed", self.orders[ref], at)
        return ref

    async def cancel_order(self, ref: str) -> None:
        self.post("order.cancelled", self.orders[ref])


@asynccontextmanager
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:  # noqa: ARG001
    yield Stage()
