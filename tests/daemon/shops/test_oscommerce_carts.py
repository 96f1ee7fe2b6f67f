"""Traps of lines and prices, each on every dialect that can have it."""

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from daemon.shops.dialects import DIALECTS

NOW = datetime(2026, 10, 17, 10, 0, tzinfo=UTC)


async def only_cart(shop: Any, **settings: Any) -> Any:
    batch = await shop.connector(**settings).carts("", 10, NOW)
    assert batch.refused == ()
    (cart,) = batch.carts
    return cart


async def database_clock(shop: Any) -> datetime:
    ((at,),) = await shop.run("SELECT UTC_TIMESTAMP()")
    return at.replace(tzinfo=UTC)


@pytest.mark.trap("options as 2{1}1", zencart2="digest")
async def test_options_as_2_1_1(shop: Any) -> None:
    kettle = await shop.product("Kettle", "20.00")
    await shop.put(
        "products_attributes",
        products_id=kettle,
        options_id=3,
        options_values_id=7,
        options_values_price="2.50",
        price_prefix="+",
    )
    await shop.put(
        "products_options_values", products_options_values_id=7, language_id=1, products_options_values_name="Red"
    )
    ada, key = await shop.customer(), f"{kettle}{{3}}7"
    await shop.basket(ada, key, 2)
    await shop.option(ada, key, 3, 7)
    (line,) = (await only_cart(shop)).lines
    assert (line.key, line.product_ref, line.variant_ref) == (key, str(kettle), key)
    assert (line.options, line.unit_price) == ("Red", Decimal("22.50"))
    fresh = await shop.connector().products([key, str(kettle)], "en")
    assert (fresh[key].price, fresh[str(kettle)].price) == (Decimal("22.50"), Decimal("20.00"))


@pytest.mark.trap("options as 1:<md5>", **{name: "braces" for name in DIALECTS if name != "zencart2"})
async def test_options_as_1_md5(shop: Any) -> None:
    kettle = await shop.product("Kettle", "20.00")
    await shop.put(
        "products_attributes",
        products_id=kettle,
        options_id=3,
        options_values_id=7,
        options_values_price="2.50",
        price_prefix="+",
    )
    await shop.put(
        "products_options_values", products_options_values_id=7, language_id=1, products_options_values_name="Red"
    )
    ada, key = await shop.customer(), f"{kettle}:{hashlib.md5(b'7').hexdigest()}"
    await shop.basket(ada, key, 2)
    await shop.option(ada, key, "3", 7)
    (line,) = (await only_cart(shop)).lines
    assert (line.key, line.product_ref, line.variant_ref) == (key, str(kettle), key)
    assert (line.options, line.unit_price) == ("Red", Decimal("22.50"))
    assert (await shop.connector().products([key], "en"))[key].price is None, "the digest does not tell the option"


@pytest.mark.trap("combination as 5x36", **{name: "no combinations" for name in DIALECTS if name != "gambio4"})
async def test_combination_as_5x36(shop: Any) -> None:
    shirt = await shop.product("Shirt", "20.00", stock=0, use_properties_combis_quantity=2)
    combi = await shop.put(
        "products_properties_combis",
        products_id=shirt,
        combi_model="S-L",
        combi_quantity="3.0000",
        combi_price_type="calc",
        combi_price="1.5000",
    )
    fixed = await shop.put(
        "products_properties_combis",
        products_id=shirt,
        combi_quantity="0",
        combi_price_type="fix",
        combi_price="9.9900",
    )
    for number, word in enumerate(("L", "blue")):
        await shop.put(
            "products_properties_index",
            products_id=shirt,
            language_id=1,
            properties_id=number,
            products_properties_combis_id=combi,
            properties_values_id=number,
            properties_sort_order=number,
            values_name=word,
        )
    ada = await shop.customer()
    await shop.basket(ada, f"{shirt}x{combi}")
    (line,) = (await only_cart(shop)).lines
    assert (line.product_ref, line.variant_ref, line.sku) == (str(shirt), f"{shirt}x{combi}", "S-L")
    assert (line.options, line.unit_price, line.in_stock) == ("L, blue", Decimal("21.50"), True)
    fresh = await shop.connector().products([f"{shirt}x{fixed}", f"{shirt}x999"], "en")
    assert fresh.keys() == {f"{shirt}x{fixed}"}
    assert (fresh[f"{shirt}x{fixed}"].price, fresh[f"{shirt}x{fixed}"].in_stock) == (Decimal("9.99"), False)


@pytest.mark.trap("free text as an option", **dict.fromkeys(("oscommerce2", "modified", "gambio4"), "no text"))
async def test_free_text_as_an_option(shop: Any) -> None:
    ada, kettle = await shop.customer(), await shop.product()
    digest = shop.dialect.options == "md5"
    key, option = (f"{kettle}:{'0' * 32}", "txt_5") if digest else (f"{kettle}{{5}}0", 5)
    await shop.basket(ada, key)
    await shop.option(ada, key, option, 0, products_options_value_text="Für Grete")
    (line,) = (await only_cart(shop)).lines
    assert line.options == "Für Grete"


@pytest.mark.trap(
    "decimal quantity", **dict.fromkeys(("oscommerce2", "creloaded6", "xtcommerce3", "modified"), "whole")
)
async def test_decimal_quantity(shop: Any) -> None:
    ada = await shop.customer()
    await shop.basket(ada, await shop.product(price="3.00"), "2.5")
    cart = await only_cart(shop)
    assert (cart.lines[0].quantity, cart.total) == (Decimal("2.5"), Decimal("7.50"))
    assert isinstance(cart.lines[0].quantity, Decimal)


@pytest.mark.trap("deleted product")
async def test_deleted_product(shop: Any) -> None:
    """Its line stays, or the cart would look changed; it is out of stock, costs nothing and is not found any more."""
    ada, kettle, pot = await shop.customer(), await shop.product("Kettle"), await shop.product("Pot", "5.00")
    for product in (kettle, pot):
        await shop.basket(ada, product)
    await shop.delete("products", "products_id", kettle)
    cart = await only_cart(shop)
    assert [(line.product_ref, line.name, line.in_stock) for line in cart.lines] == [
        (str(kettle), "", False),
        (str(pot), "Pot", True),
    ]
    assert (cart.lines[0].unit_price, cart.total) == (None, Decimal("5.00"))
    assert (await shop.connector().products([str(kettle), str(pot)], "en")).keys() == {str(pot)}


@pytest.mark.trap("product taken off the shelf or sold out")
async def test_product_taken_off_the_shelf_or_sold_out(shop: Any) -> None:
    off, out = await shop.product(products_status=0), await shop.product(stock=0)
    fresh = await shop.connector().products([str(off), str(out)], "en")
    assert [(fresh[str(ref)].active, fresh[str(ref)].in_stock) for ref in (off, out)] == [(False, False), (True, False)]
    unmanaged = await shop.connector(stock="ignored").products([str(out)], "en")
    assert unmanaged[str(out)].in_stock


@pytest.mark.trap("price from a special")
async def test_price_from_a_special(shop: Any) -> None:
    """A running one counts, one that is over or switched off does not; tax comes on top; an estimate it stays."""
    now = await database_clock(shop)
    told = {"running": (1, None), "over": (1, now - timedelta(days=3)), "off": (0, None)}
    prices = {}
    for name, (status, expires) in told.items():
        product = await shop.product(name, "20.00", products_tax_class_id=1)
        until = {"expires_date": f"{expires:%Y-%m-%d}"} if expires else {}
        await shop.put("specials", products_id=product, specials_new_products_price="15.00", status=status, **until)
        prices[name] = (await shop.connector(tax_percent={1: "19"}).products([str(product)], "en"))[str(product)].price
        if name == "running":
            await shop.basket(await shop.customer(), product)
    assert prices == {"running": Decimal("17.85"), "over": Decimal("23.80"), "off": Decimal("23.80")}
    cart = await only_cart(shop, tax_percent={1: "19"})
    assert (cart.lines[0].unit_price, cart.lines[0].price_basis) == (Decimal("17.85"), "catalogue_estimate")
    assert cart.total_is_estimate


@pytest.mark.trap("price from attributes")
async def test_price_from_attributes(shop: Any) -> None:
    """Both signs, and only the options that were chosen."""
    kettle = await shop.product("Kettle", "20.00")
    for value, price, sign in ((7, "2.50", "+"), (8, "1.00", "-"), (9, "99.00", "+")):
        await shop.put(
            "products_attributes",
            products_id=kettle,
            options_id=value,
            options_values_id=value,
            options_values_price=price,
            price_prefix=sign,
        )
    ada = await shop.customer()
    key = f"{kettle}:{'1' * 32}" if shop.dialect.options == "md5" else f"{kettle}{{7}}7{{8}}8"
    await shop.basket(ada, key, 2)
    for value in (7, 8):
        await shop.option(ada, key, value, value)
    cart = await only_cart(shop)
    assert (cart.lines[0].unit_price, cart.total) == (Decimal("21.50"), Decimal("43.00"))
    assert cart.lines[0].price_basis == "catalogue_estimate"
