"""What an osCommerce-family shop tells, read from a real database."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from daemon.shops.dialects import DIALECTS

NOW = datetime(2026, 10, 17, 10, 0, tzinfo=UTC)
Make = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_a_cart_is_read(pretend: Make, dialect: str) -> None:
    shop = await pretend(dialect)
    product = await shop.product("Kettle", "20.00")
    ada = await shop.customer("Ada@Example.org", "+49 170 1234567")
    await shop.basket(ada, product, 3)
    batch = await shop.connector().carts("", 10, NOW)
    (cart,) = batch.carts
    (line,) = cart.lines
    assert (batch.more, batch.is_full_snapshot, batch.refused) == (False, True, ())
    assert (cart.ref, cart.customer.email, cart.customer.phone) == (str(ada), "Ada@Example.org", "+49 170 1234567")
    assert (cart.customer.first_name, cart.customer.country) == ("Ada", "DE")
    assert (cart.total, cart.currency, cart.total_is_estimate) == (Decimal("60.00"), "EUR", True)
    assert (line.product_ref, line.quantity, line.unit_price) == (str(product), Decimal(3), Decimal("20.00"))
    assert line.price_basis == "catalogue_estimate"
    assert (line.name, line.sku, line.in_stock) == ("Kettle", "K-1", True)
    assert line.image_url.endswith("kettle.jpg")


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_a_sound_shop_has_no_findings(pretend: Make, dialect: str) -> None:
    shop = await pretend(dialect)
    ((at,),) = await shop.run("SELECT UTC_TIMESTAMP()")
    now = at.replace(tzinfo=UTC)
    ada = await shop.customer()
    await shop.basket(ada, await shop.product(), at=now - timedelta(minutes=1))
    await shop.order(ada, at=now - timedelta(minutes=1))
    health = await shop.connector().health(now)
    assert health.reachable
    assert health.findings == ()
    assert abs(health.clock_skew) < timedelta(seconds=30)
