"""Made-up carts in any number, always the same ones."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from daemon.context import Context
from daemon.flow import keep
from daemon.flow.ingest import micros
from daemon.flow.keep import Look
from daemon.shops.base import CartSnapshot, ConsentHint, Customer, Line
from daemon.store import work
from daemon.store.database import Connection, again

PAGE = 1000
"""Carts a page, as the daemon reads a shop."""
WARES = [(f"SKU-{n:04d}", f"Laufschuh Modell {n}", Decimal(4990 + n) / 100) for n in range(500)]
AGO = timedelta(hours=2, minutes=30)


def cart(number: int, now: datetime, *, quantity: int = 1, consents: bool = False) -> CartSnapshot:
    """Three lines of a customer with a name and an address, at rest for two and a half hours."""
    lines = tuple(line(number * 3 + k, quantity) for k in range(3))
    return CartSnapshot(
        ref=f"cart-{number}",
        customer=customer(number, now, consents=consents),
        lines=lines,
        currency="EUR",
        total=sum((one.unit_price * one.quantity for one in lines if one.unit_price), Decimal()),
        source_updated_at=now - AGO + timedelta(seconds=quantity - 1),
        time_precision="second",
        recovery_url=f"https://shop.example/restore/{number}",
        device="mobile",
    )


def line(number: int, quantity: int) -> Line:
    ref, name, price = WARES[number % len(WARES)]
    return Line(
        ref,
        ref,
        name,
        Decimal(quantity),
        price,
        sku=ref,
        image_url=f"https://cdn.shop.example/{ref}.jpg",
        product_url=f"https://shop.example/p/{ref}",
    )


def customer(number: int, now: datetime, *, consents: bool) -> Customer:
    return Customer(
        ref=f"{number}",
        email=f"customer{number}@mail.example",
        first_name="Ada",
        last_name=f"Kundin {number}",
        locale="de-DE",
        zone="Europe/Berlin",
        country="DE",
        consents=proofs(number, now) if consents else (),
    )


def proofs(number: int, now: datetime) -> tuple[ConsentHint, ...]:
    """Confirmed opt-ins to mail and to tracking, so that nothing of a mail is left out."""
    at = now - timedelta(days=30)
    return tuple(
        ConsentHint(purpose, "confirmed", at, "shop", f"opt-in {number}", "Ja, gern")
        for purpose in ("email_mkt", "track_open", "track_click")
    )


async def keep_page(context: Context, page: list[CartSnapshot], look: Look) -> int:
    """One page through the product's own step 2, in a transaction of its own."""
    shop_id = context.shop_ids["main"]

    async def body(db: Connection) -> int:
        await work.serialise(db, shop_id)
        return await keep.keep_carts(context, db, shop_id, page, look)

    return await again(context.pool, body)


async def keep_all(context: Context, carts: Iterable[CartSnapshot], now: datetime, page: int = PAGE) -> int:
    """All of them page by page, as news of this moment."""
    told, kept = list(carts), 0
    for start in range(0, len(told), page):
        kept += await keep_page(context, told[start : start + page], Look(now, micros(now)))
    return kept
