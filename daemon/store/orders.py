"""Orders as the shop tells them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.shops.base import OrderSnapshot
from daemon.store.database import Connection
from daemon.store.sql import load

sql = load("orders")
SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class KeptOrder:
    id: int
    person_id: int | None
    standing: str


async def keep(
    db: Connection,
    shop_id: int,
    orders: Sequence[tuple[OrderSnapshot, int | None, int]],
    now: datetime,
    *,
    pushed: bool = False,
) -> list[KeptOrder]:
    """Of (snapshot, person, version): those that were news. The caller holds the persons' locks."""
    rows = sorted(orders, key=lambda row: row[0].ref)
    kept = await sql.keep(
        db,
        shop_id=shop_id,
        refs=[order.ref for order, _, _ in rows],
        cart_refs=[order.cart_ref for order, _, _ in rows],
        persons=[person for _, person, _ in rows],
        placed=[order.placed_at for order, _, _ in rows],
        statuses=[order.status for order, _, _ in rows],
        standings=[order.standing for order, _, _ in rows],
        totals=[order.total for order, _, _ in rows],
        currencies=[order.currency for order, _, _ in rows],
        coupons=[SEPARATOR.join(order.coupon_codes) for order, _, _ in rows],
        versions=[version for _, _, version in rows],
        now=now,
        pushed=pushed,
    )
    return [KeptOrder(row["id"], row["person_id"], row["standing"]) for row in kept if row["news"]]
