"""Events of a shop come twice, late and in any order; the end is the same."""

from __future__ import annotations

import base64
import itertools
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daemon.context import Context
from daemon.flow import ingest
from daemon.settings import Settings
from daemon.shops.push import Push, PushConfig
from daemon.store import clock, inbox
from daemon.store.database import connect_pool
from daemon.tokens import Secrets

NOW = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
KEY = "whsec_" + base64.b64encode(b"n" * 32).decode()
LINE = {"product_ref": "A", "name": "Boots", "quantity": 1, "unit_price": 20}
CART = {"ref": "7", "currency": "EUR", "customer": {"ref": "3", "email": "ada@example.org"}}
ORDER = {"ref": "9", "placed_at": "2026-03-01T12:00:03Z", "total": 20, "currency": "EUR", "customer_ref": "3"}
PERMUTATIONS = 63  # times eight stories: 504


def event(kind: str, second: int, data: dict[str, Any]) -> bytes:
    unknown = {"a_field_of_tomorrow": second}
    return json.dumps(
        {"type": kind, "timestamp": f"2026-03-01T12:00:{second:02}Z", "data": {**data, **unknown}}
    ).encode()


def cart(second: int, *products: str) -> bytes:
    return event("cart.updated", second, {**CART, "lines": [{**LINE, "product_ref": name} for name in products]})


def consent(second: int, **hint: str) -> bytes:
    return event("consent.changed", second, {"ref": "3", "consents": [{"purpose": "email_mkt", **hint}]})


STORIES = {
    "a cart that goes back to what it was": [cart(1, "A"), cart(2, "A", "B"), cart(3, "A")],
    "a cart that is emptied": [cart(1, "A"), cart(2)],
    "an order that is cancelled": [event("order.placed", 1, ORDER), event("order.cancelled", 2, ORDER)],
    "an order that is placed again": [
        event("order.placed", 1, ORDER),
        event("order.cancelled", 2, ORDER),
        event("order.placed", 3, {**ORDER, "total": 30}),
    ],
    "a cart that becomes an order": [cart(1, "A"), event("order.placed", 3, {**ORDER, "cart_ref": "7"}), cart(4)],
    "two words within one second": [cart(1, "A"), cart(1, "A", "B")],
    "an address that changes": [
        event("customer.updated", 1, {"ref": "3", "email": "old@example.org", "first_name": "A"}),
        event("customer.updated", 2, {"ref": "3", "email": "new@example.org", "first_name": "B"}),
    ],
    "a consent that is withdrawn": [
        consent(1, state="confirmed", evidence="double opt-in"),
        consent(2, state="withdrawn"),
    ],
}
END = (
    "SELECT ref, state, total, lines::text FROM cart WHERE shop_id = $1",
    "SELECT ref, standing, total, placed_at FROM shop_order WHERE shop_id = $1",
    "SELECT customer_ref, email, first_name FROM person WHERE shop_id = $1 AND merged_into IS NULL",
    "SELECT kind, value FROM identity WHERE shop_id = $1 ORDER BY 1, 2",
    "SELECT DISTINCT ON (purpose) purpose, state FROM consent WHERE shop_id = $1 ORDER BY purpose, id DESC",
)


@pytest.mark.parametrize("events", STORIES.values(), ids=STORIES)
async def test_the_end_is_the_same(database, events):
    pool = await connect_pool(database, 4)
    await clock.set_clock(pool, NOW, Decimal(0))
    context = Context(
        settings=Settings(),
        pool=pool,
        secrets=Secrets(1, {1: b"x" * 32}),
        pepper=b"p" * 32,
        data_dir=Path("/nowhere"),
        keeper=cast("Any", SimpleNamespace(book=SimpleNamespace(shops={}))),
        process="t",
    )
    dice = random.Random(1)
    ends: dict[str, list[int]] = {}
    for number in range(PERMUTATIONS):
        shop_id = await pool.fetchval(
            "INSERT INTO shop (name, added_at) VALUES ($1, now()) RETURNING shop_id", f"s{number}"
        )
        context.shop_ids[f"s{number}"], context.shops[f"s{number}"] = shop_id, Push(PushConfig(secrets=(KEY,)))
        order = list(range(len(events))) * 3
        dice.shuffle(order)
        for delivery, which in itertools.groupby(order):
            row = inbox.Delivery(shop_id, "push", f"{delivery}-{len(list(which))}-{number}", events[delivery])
            await inbox.keep(pool, [row])
            await ingest.work_off_inbox(context, shop_id, NOW)
        ends.setdefault(repr([[tuple(row) for row in await pool.fetch(query, shop_id)] for query in END]), order)
    refused = await pool.fetch("SELECT effect FROM inbox WHERE state <> 'done'")
    await pool.close()
    assert refused == []
    assert len(ends) == 1, "\n".join(f"{order}: {end}" for end, order in ends.items())
