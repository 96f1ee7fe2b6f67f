"""Traps of times, orders and access, each on every dialect that can have it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from daemon.shops.base import ShopUnavailable

NOW = datetime(2026, 10, 17, 10, 0, tzinfo=UTC)
Make = Callable[..., Awaitable[Any]]


async def only_cart(shop: Any, **settings: Any) -> Any:
    batch = await shop.connector(**settings).carts("", 100, NOW)
    assert batch.refused == ()
    (cart,) = batch.carts
    return cart


async def database_clock(shop: Any) -> datetime:
    ((at,),) = await shop.run("SELECT UTC_TIMESTAMP()")
    return at.replace(tzinfo=UTC)


@pytest.mark.trap("basket dated by the day", modified="seconds", gambio4="seconds")
async def test_basket_dated_by_the_day(shop: Any) -> None:
    """Half past midnight in Berlin is still yesterday in UTC: the day is the shop's."""
    ada = await shop.customer()
    await shop.basket(ada, await shop.product(), at=datetime(2026, 10, 16, 22, 30, tzinfo=UTC))
    cart = await only_cart(shop)
    assert cart.time_precision == "day"
    assert cart.source_updated_at == datetime(2026, 10, 16, 22, 0, tzinfo=UTC)


@pytest.mark.trap(
    "basket dated to the second", **dict.fromkeys(("oscommerce2", "creloaded6", "zencart2", "xtcommerce3"), "days")
)
async def test_basket_dated_to_the_second(shop: Any) -> None:
    """The youngest line counts, and Gambio's TIMESTAMP does not care for anybody's zone."""
    ada = await shop.customer()
    for minutes in (50, 20):
        await shop.basket(ada, await shop.product(), at=NOW - timedelta(minutes=minutes))
    cart = await only_cart(shop)
    assert (cart.time_precision, cart.source_updated_at) == ("second", NOW - timedelta(minutes=20))
    if shop.dialect.baskets == "utc":
        assert (await only_cart(shop, timezone="Asia/Tokyo")).source_updated_at == cart.source_updated_at


@pytest.mark.trap("zone off by an hour")
async def test_zone_off_by_an_hour(shop: Any) -> None:
    """With the zone told wrong a fresh cart or order lies ahead: it is not believed, and health says what to mend."""
    now = await database_clock(shop)
    wrong = "Pacific/Pago_Pago" if shop.dialect.baskets == "day" else "Europe/London"
    ada = await shop.customer()
    await shop.basket(ada, await shop.product(), at=now)
    if shop.dialect.baskets == "utc":
        # Its baskets cannot slip; its orders do where the server's zone is not the one that wrote them.
        await shop.order(ada, at=now + timedelta(hours=1))
        (finding,) = (await shop.connector().health(now)).findings
        assert "an order is dated 60 min ahead of now; the shop does not write in the server's time_zone" in finding
        return
    # A day is off only near midnight: eleven hours west of UTC it is yesterday until the evening.
    now = now.replace(hour=6) if shop.dialect.baskets == "day" else now
    cart = (await shop.connector(timezone=wrong).carts("", 10, now)).carts[0]
    assert (cart.source_updated_at, cart.time_precision) == (None, "unknown")
    findings = " ".join((await shop.connector(timezone=wrong).health(now)).findings)
    assert "a cart is dated" in findings
    assert f"`timezone: {wrong}` is not the zone of the shop's PHP" in findings


@pytest.mark.trap("orders dated by another clock than carts")
async def test_orders_dated_by_another_clock_than_carts(shop: Any) -> None:
    """PHP is in Berlin, the server in New York: whichever of them dates orders, the moment is the same, in summer
    and in winter, and the hour that comes twice is the later one."""
    moments = [datetime(2026, 7, 1, 12, 0, tzinfo=UTC), datetime(2026, 1, 10, 12, 0, tzinfo=UTC)]
    refs = [str(await shop.order(at=at)) for at in moments]
    found = {
        order.ref: order.placed_at for order in await shop.connector().find_orders([], ["ada@example.org"], moments[1])
    }
    assert found == dict(zip(refs, moments, strict=True))
    assert await shop.connector().find_orders([], ["ada@example.org"], NOW) == []


@pytest.mark.trap("zero date")
async def test_zero_date(shop: Any) -> None:
    """As each shop leaves it: no date in a basket is no date, and an order without one is named."""
    empty = "00000000" if shop.dialect.baskets == "day" else "0000-00-00 00:00:00"
    ada = await shop.customer()
    await shop.basket(ada, await shop.product(), at=None, customers_basket_date_added=empty)
    cart = await only_cart(shop)
    assert (cart.source_updated_at, cart.time_precision) == (None, "unknown")
    for written in ("0000-00-00 00:00:00", "0001-01-01 00:00:00", "1000-01-01 00:00:00"):
        number = await shop.order(ada, date_purchased=written)
        batch = await shop.connector().orders("", 100, NOW)
        assert (batch.orders, batch.refused[-1]) == ((), f"order {number}: it has no date of purchase")


@pytest.mark.trap("order written before the basket goes")
async def test_order_written_before_the_basket_goes(shop: Any) -> None:
    """Order first, its total a moment later, the basket last: whoever reads in between sees the order, and sees it
    again when it is complete."""
    ada, kettle = await shop.customer(), await shop.product()
    await shop.basket(ada, kettle)
    connector = shop.connector()
    number = await shop.order(ada, total=None)
    first = await connector.orders("", 100, NOW)
    assert [(order.ref, order.customer_ref, order.standing, order.total) for order in first.orders] == [
        (str(number), str(ada), "purchase", Decimal(0))
    ]
    assert len((await connector.carts("", 100, NOW)).carts) == 1, "the basket is still there"
    await shop.total(number, "20.00")
    await shop.delete("customers_basket", "customers_id", ada)
    again = await connector.orders(first.cursor, 100, NOW)
    assert [(order.ref, order.total) for order in again.orders] == [(str(number), Decimal("20.00"))]
    assert (await connector.carts("", 100, NOW)).carts == ()
    assert (await connector.orders(again.cursor, 100, NOW)).orders == ()


@pytest.mark.trap("status changes without a trace")
async def test_status_changes_without_a_trace(shop: Any) -> None:
    """A payment module writes a status and neither date nor history: it is found; an old order by its history."""
    numbers = [await shop.order(orders_status=6) for _ in range(3)]
    old = numbers[0]
    connector = shop.connector()
    cursor = (await connector.orders("", 100, NOW)).cursor
    await shop.run("UPDATE orders SET orders_status = 1 WHERE orders_id = %s", numbers[1])
    batch = await connector.orders(cursor, 100, NOW)
    assert {order.ref: order.standing for order in batch.orders}[str(numbers[1])] == "purchase"
    await shop.put(
        "orders",
        orders_id=old + 5000,
        customers_id=0,
        customers_email_address="b@example.org",
        date_purchased=shop.stamp(NOW),
        orders_status=1,
        currency="EUR",
        currency_value=1,
    )
    while batch.more or str(old + 5000) not in {order.ref for order in batch.orders}:
        batch = await connector.orders(batch.cursor, 100, NOW)
    await shop.run("UPDATE orders SET orders_status = 4 WHERE orders_id = %s", old)
    await shop.history(old, 4)
    found = await connector.orders(batch.cursor, 100, NOW)
    assert [(order.ref, order.standing) for order in found.orders] == [(str(old), "cancelled")]


@pytest.mark.trap("order status map")
async def test_order_status_map(shop: Any) -> None:
    """By name in any language, by the numbers that shops ship, and as the owner says."""
    shipped = {"creloaded6": {88888: "failed", 99999: "pending"}, "gambio4": {0: "pending", 99: "cancelled"}}
    expected = {
        1: "purchase",
        2: "purchase",
        3: "purchase",
        4: "cancelled",
        5: "on_hold",
        6: "pending",
        **shipped.get(shop.dialect.name, {}),
    }
    refs = {str(await shop.order(orders_status=status)): standing for status, standing in expected.items()}
    orders = (await shop.connector().orders("", 100, NOW)).orders
    assert {order.ref: order.standing for order in orders} == refs
    assert orders[0].status == "Pending"
    told = (await shop.connector(order_status={"offen": "on_hold", 2: "failed"}).orders("", 100, NOW)).orders
    assert [order.standing for order in told[:2]] == ["on_hold", "failed"]


@pytest.mark.trap("order in another currency")
async def test_order_in_another_currency(shop: Any) -> None:
    """Half of them keep the total in the shop's own currency, half in the order's."""
    await shop.order(total="100.00", currency="USD", currency_value="1.250000")
    (order,) = (await shop.connector().orders("", 100, NOW)).orders
    expected = Decimal("125.00") if shop.dialect.order_values == "base" else Decimal("100.00")
    assert (order.total, order.currency) == (expected, "USD")


@pytest.mark.trap("table prefix")
async def test_table_prefix(shop: Any, pretend: Make) -> None:
    other = await pretend(shop.dialect.name, "my_shop_")
    ada = await other.customer()
    await other.basket(ada, await other.product())
    await other.order(ada)
    assert (await only_cart(other)).customer.email == "ada@example.org"
    assert len((await other.connector().orders("", 100, NOW)).orders) == 1
    for prefix in ("x`; DROP TABLE y; --", "a b", "ä_"):
        with pytest.raises(ValueError, match="a table prefix has letters"):
            other.connector(table_prefix=prefix)
    findings = (await other.connector(table_prefix="").health(NOW)).findings
    assert any(
        "table customers is missing" in finding or "no right to read customers" in finding for finding in findings
    )


@pytest.mark.trap("minimal grants")
async def test_minimal_grants(shop: Any) -> None:
    """The account has what the manual says and no more; what it lacks is named with the statement that mends it."""
    now = await database_clock(shop)
    ada, kettle = await shop.customer(), await shop.product()
    await shop.basket(ada, kettle, at=now)
    connector = shop.connector()
    assert (await connector.health(now)).findings == ()
    for statement in ("SELECT customers_password FROM customers", "DELETE FROM customers_basket"):
        assert await connector.db.probe(statement) in (1142, 1143)
    shop.is_spoiled = True
    await shop.run(f"REVOKE SELECT (products_price) ON {shop.database}.products FROM {shop.account}@localhost")
    await shop.run(
        f"REVOKE SELECT (customer_id, time_last_click) ON {shop.database}.whos_online FROM {shop.account}@localhost"
    )
    price, online = (await connector.health(now)).findings
    assert (
        f"no right to read products (products_price); GRANT SELECT (products_price) ON `{shop.database}`.`products`"
        in price
    )
    assert "no right to read whos_online (customer_id, time_last_click)" in online
    with pytest.raises(ShopUnavailable, match="may not read"):
        await connector.carts("", 100, NOW)
