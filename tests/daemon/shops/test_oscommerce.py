"""What an osCommerce-family shop tells, read from a real database."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from daemon.shops.base import Capability
from daemon.shops.dialects import DIALECTS
from daemon.shops.oscommerce import SHOP
from daemon.shops.oscommerce_health import grants

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


SETTINGS = {
    "dialect": "modified",
    "database": "shop",
    "user": "tillbell",
    "password": "x",
    "timezone": "Europe/Berlin",
    "currency": "EUR",
    "url": "https://shop.example/de",
}


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        pytest.param(
            {"dialect": "modifed"}, 'unknown dialect "modifed"; did you mean "modified"', id="misspelt dialect"
        ),
        pytest.param({"dialect": "magento"}, "there are creloaded6, gambio4", id="another family"),
        pytest.param({"timezone": "Berlin"}, "take a name like Europe/Berlin", id="no zone of that name"),
        pytest.param({"timezone": None}, "timezone", id="the zone is not guessed"),
        pytest.param({"currency": "Euro"}, "currency", id="a currency is three letters"),
        pytest.param({"table_prefix": "x`"}, "letters, digits and _", id="a prefix is a name"),
        pytest.param({"order_status": {1: "bought"}}, "order_status", id="a standing that is none"),
        pytest.param({"url": "shop.example"}, "url", id="an address without https"),
        pytest.param({"patience": 0}, "patience", id="no patience at all"),
    ],
)
def test_a_mistake_in_the_settings_is_told(changes: dict[str, Any], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        SHOP.config_model.model_validate(SETTINGS | changes)


def test_addresses_are_below_the_shops_folder() -> None:
    shop = SHOP(SHOP.config_model.model_validate(SETTINGS))
    assert shop.cart_page == "https://shop.example/de/shopping_cart.php"


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_what_a_dialect_can_do_is_told(dialect: str) -> None:
    known = DIALECTS[dialect]
    found = SHOP(SHOP.config_model.model_validate(SETTINGS | {"dialect": dialect})).capabilities()
    always = {Capability.CARTS_SNAPSHOT, Capability.FIND_ORDERS, Capability.ONLINE_NOW, Capability.PHONE}
    assert always <= found
    assert not found & {Capability.CARTS_DELTA, Capability.ORDER_CART_LINK, Capability.RECOVERY_URL, Capability.COST}
    assert (Capability.SECOND_PRECISION in found) == (known.baskets != "day")
    assert (Capability.CONSENT_EVIDENCE in found) == (known.recipients in ("signed", "confirmed"))
    assert (Capability.GUEST_CARTS in found) == known.guests


async def test_a_cursor_of_another_release_starts_from_the_beginning(pretend: Make) -> None:
    shop = await pretend("modified")
    ref = await shop.order()
    for cursor in ("", "4711", "[]", "{}", "[1]", '["a", 1, {}, []]'):
        batch = await shop.connector().orders(cursor, 100, NOW)
        assert [order.ref for order in batch.orders] == [str(ref)], cursor


async def test_a_burst_of_changes_comes_in_pages(pretend: Make) -> None:
    """A hundred orders change at once: they come in pages, each once, and new ones after them."""
    shop = await pretend("modified")
    numbers = [await shop.order() for _ in range(60)]
    connector = shop.connector()
    cursor = ""
    for _ in range(7):
        cursor = (batch := await connector.orders(cursor, 10, NOW)).cursor
    assert not batch.more
    await shop.run("UPDATE orders SET orders_status = 4")
    late = await shop.order()
    seen: list[str] = []
    batch = await connector.orders(cursor, 10, NOW)
    while True:
        assert len(batch.orders) <= 10
        seen += [order.ref for order in batch.orders]
        if not batch.more:
            break
        batch = await connector.orders(batch.cursor, 10, NOW)
    assert seen == [str(number) for number in (*numbers, late)]
    assert len(batch.cursor) < 4000


async def test_a_cart_that_cannot_be_read_is_named_with_its_reason(pretend: Make) -> None:
    shop = await pretend("oscommerce2")
    product, ada = await shop.product(), await shop.customer()
    await shop.basket(ada, product, -1)
    await shop.basket(4711, product)
    words = await shop.customer("bob@example.org")
    await shop.basket(words, "kettle")
    batch = await shop.connector().carts("", 10, NOW)
    assert batch.carts == ()
    reasons = {refusal.split(": ")[0]: refusal.split(": ")[1] for refusal in batch.refused}
    assert reasons["cart 4711"] == "the customer has no row in customers"
    assert reasons[f"cart {ada}"].endswith("has no quantity")
    assert reasons[f"cart {words}"].endswith("names no product")


async def test_health_sees_missing_tables_columns_taxes_and_stock(pretend: Make) -> None:
    shop = await pretend("zencart2")
    ((at,),) = await shop.run("SELECT UTC_TIMESTAMP()")
    now, ada = at.replace(tzinfo=UTC), await shop.customer()
    for number in range(10):
        product = await shop.product(f"P{number}", stock=0, products_tax_class_id=1)
        await shop.basket(ada, product, at=now)
    stock, tax = (await shop.connector().health(now)).findings
    assert "10 of 10 products in carts have no stock" in stock
    assert "`tax_percent: {1: 19}`" in tax
    assert (await shop.connector(stock="ignored", tax_percent={1: 0}).health(now)).findings == ()
    skewed = await shop.connector(stock="ignored", tax_percent={1: 0}).health(now + timedelta(hours=2))
    assert skewed.findings == ("the database's clock is 120 min behind ours; set both by NTP",)
    root = {"user": "root", "password": ""}
    shop.is_spoiled = True
    await shop.run("ALTER TABLE orders DROP COLUMN coupon_code")
    await shop.run("DROP TABLE whos_online")
    column, table = (await shop.connector(**root).health(now)).findings
    assert column == "orders has no coupon_code; is the shop really Zen Cart 2?"
    assert table == "table whos_online is missing; check `dialect` (zencart2) and `table_prefix`"


MANUAL = Path(__file__).parents[3] / "docs" / "shops" / "oscommerce.md"


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_the_manual_asks_for_what_is_needed_and_no_more(dialect: str) -> None:
    expected = "\n".join(grants(DIALECTS[dialect], "", "shop", "tillbell@localhost"))
    section = MANUAL.read_text().partition(f"`dialect: {dialect}`")[2]
    assert section.partition("```sql\n")[2].partition("\n```")[0] == expected


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_the_manuals_example_is_accepted(dialect: str) -> None:
    section = MANUAL.read_text().partition(f"`dialect: {dialect}`")[2]
    told = YAML(typ="safe").load(section.partition("```yaml\n")[2].partition("\n```")[0])
    ((_, entry),) = told["shops"].items()
    assert SHOP.config_model.model_validate({**entry["connection"], "password": "x"}).dialect == dialect
