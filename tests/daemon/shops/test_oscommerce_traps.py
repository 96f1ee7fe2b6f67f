"""Every trap of the osCommerce family against every dialect, with real rows. An empty cell fails."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from daemon.shops.base import ConsentHint, ShopUnavailable
from daemon.shops.dialects import DIALECTS

NOW = datetime(2026, 10, 17, 10, 0, tzinfo=UTC)
Make = Callable[..., Awaitable[Any]]

SECONDS = "its baskets keep the second"
DAYS = "its baskets keep the day alone"
WHOLE = "its quantity is an int"
DIGEST = "its line keys are digests"
FROM_BRACES = "its line keys spell options out"
NO_COMBIS = "it has no combinations"
NO_TEXT = "its baskets keep no free text"
NO_MARK = "it has neither administrators among customers nor blocked accounts"
NO_LANGUAGE = "it keeps a language with no customer and no order"
NO_EVIDENCE = "it keeps no double opt-in"


@dataclass(frozen=True)
class Trap:
    story: Callable[[Any, Make], Awaitable[None]]
    not_for: dict[str, str] = field(default_factory=dict)
    """Dialects that cannot have it, each with the reason."""


TRAPS: dict[str, Trap] = {}


def trap(name: str, **not_for: str) -> Callable[[Callable[[Any, Make], Awaitable[None]]], None]:
    return lambda story: TRAPS.__setitem__(name, Trap(story, not_for))


async def only_cart(shop: Any, **settings: Any) -> Any:
    batch = await shop.connector(**settings).carts("", 10, NOW)
    assert batch.refused == ()
    (cart,) = batch.carts
    return cart


async def database_clock(shop: Any) -> datetime:
    ((at,),) = await shop.run("SELECT UTC_TIMESTAMP()")
    return at.replace(tzinfo=UTC)


@trap("basket dated by the day", modified=SECONDS, gambio4=SECONDS)
async def _(shop: Any, make: Make) -> None:
    """Half past midnight in Berlin is still yesterday in UTC: the day is the shop's."""
    ada = await shop.customer()
    await shop.basket(ada, await shop.product(), at=datetime(2026, 10, 16, 22, 30, tzinfo=UTC))
    cart = await only_cart(shop)
    assert cart.time_precision == "day"
    assert cart.source_updated_at == datetime(2026, 10, 16, 22, 0, tzinfo=UTC)


@trap("basket dated to the second", **dict.fromkeys(("oscommerce2", "creloaded6", "zencart2", "xtcommerce3"), DAYS))
async def _(shop: Any, make: Make) -> None:
    """The youngest line counts, and Gambio's TIMESTAMP does not care for anybody's zone."""
    ada = await shop.customer()
    for minutes in (50, 20):
        await shop.basket(ada, await shop.product(), at=NOW - timedelta(minutes=minutes))
    cart = await only_cart(shop)
    assert (cart.time_precision, cart.source_updated_at) == ("second", NOW - timedelta(minutes=20))
    if shop.dialect.baskets == "utc":
        assert (await only_cart(shop, timezone="Asia/Tokyo")).source_updated_at == cart.source_updated_at


@trap("zone off by an hour")
async def _(shop: Any, make: Make) -> None:
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


@trap("orders dated by another clock than carts")
async def _(shop: Any, make: Make) -> None:
    """PHP is in Berlin, the server in New York: whichever of them dates orders, the moment is the same, in summer
    and in winter, and the hour that comes twice is the later one."""
    moments = [datetime(2026, 7, 1, 12, 0, tzinfo=UTC), datetime(2026, 1, 10, 12, 0, tzinfo=UTC)]
    refs = [str(await shop.order(at=at)) for at in moments]
    found = {
        order.ref: order.placed_at for order in await shop.connector().find_orders([], ["ada@example.org"], moments[1])
    }
    assert found == dict(zip(refs, moments, strict=True))
    assert await shop.connector().find_orders([], ["ada@example.org"], NOW) == []


@trap("options as 2{1}1", zencart2=DIGEST)
async def _(shop: Any, make: Make) -> None:
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


@trap("options as 1:<md5>", **{name: FROM_BRACES for name in DIALECTS if name != "zencart2"})
async def _(shop: Any, make: Make) -> None:
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


@trap("combination as 5x36", **{name: NO_COMBIS for name in DIALECTS if name != "gambio4"})
async def _(shop: Any, make: Make) -> None:
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


@trap("free text as an option", **dict.fromkeys(("oscommerce2", "modified", "gambio4"), NO_TEXT))
async def _(shop: Any, make: Make) -> None:
    ada, kettle = await shop.customer(), await shop.product()
    digest = shop.dialect.options == "md5"
    key, option = (f"{kettle}:{'0' * 32}", "txt_5") if digest else (f"{kettle}{{5}}0", 5)
    await shop.basket(ada, key)
    await shop.option(ada, key, option, 0, products_options_value_text="Für Grete")
    (line,) = (await only_cart(shop)).lines
    assert line.options == "Für Grete"


@trap("zero date")
async def _(shop: Any, make: Make) -> None:
    """As each shop leaves it: no date in a basket is no date, and an order without one is named."""
    empty = "00000000" if shop.dialect.baskets == "day" else "0000-00-00 00:00:00"
    ada = await shop.customer()
    await shop.basket(ada, await shop.product(), at=None, customers_basket_date_added=empty)
    cart = await only_cart(shop)
    assert (cart.source_updated_at, cart.time_precision) == (None, "unknown")
    for written in ("0000-00-00 00:00:00", "0001-01-01 00:00:00", "1000-01-01 00:00:00"):
        number = await shop.order(ada, date_purchased=written)
        batch = await shop.connector().orders("", 10, NOW)
        assert (batch.orders, batch.refused[-1]) == ((), f"order {number}: it has no date of purchase")


@trap("latin1 umlauts")
async def _(shop: Any, make: Make) -> None:
    """Kept as latin1, each a byte, whatever the tables around are; read as themselves."""
    shop.is_spoiled = True
    for table in ("customers", "products_description", "orders"):
        await shop.run(f"ALTER TABLE {table} CONVERT TO CHARACTER SET latin1")
    kettle = await shop.product("Größe für Käßmann")
    ada = await shop.customer("jürgen@exämple.org", customers_firstname="Jürgen", customers_lastname="Weiß")
    await shop.basket(ada, kettle)
    ((kept,),) = await shop.run("SELECT HEX(customers_firstname) FROM customers")
    assert kept == "Jürgen".encode("latin-1").hex().upper()
    cart = await only_cart(shop)
    assert (cart.customer.first_name, cart.customer.last_name) == ("Jürgen", "Weiß")
    assert cart.lines[0].name == "Größe für Käßmann"
    ref = str(await shop.order(ada, "Jürgen@exämple.org"))
    found = await shop.connector().find_orders([], ["JÜRGEN@exämple.org", "иван@example.org"], NOW - timedelta(days=1))
    assert [order.ref for order in found] == [ref]
    assert (await shop.connector().products([str(kettle)], "en"))[str(kettle)].name == "Größe für Käßmann"


@trap("decimal quantity", **dict.fromkeys(("oscommerce2", "creloaded6", "xtcommerce3", "modified"), WHOLE))
async def _(shop: Any, make: Make) -> None:
    ada = await shop.customer()
    await shop.basket(ada, await shop.product(price="3.00"), "2.5")
    cart = await only_cart(shop)
    assert (cart.lines[0].quantity, cart.total) == (Decimal("2.5"), Decimal("7.50"))
    assert isinstance(cart.lines[0].quantity, Decimal)


@trap("guest")
async def _(shop: Any, make: Make) -> None:
    """A guest with a row is told from an account; a guest without one leaves only an order, found by its address."""
    if shop.dialect.guests:
        guest = await shop.customer("guest@example.org", account_type=1, purchased_without_account=1)
        await shop.basket(guest, await shop.product())
        assert (await only_cart(shop)).customer.is_guest
    number = await shop.order(0, "Guest@Example.org", account_type=1)
    (order,) = await shop.connector().find_orders([], ["guest@example.org"], NOW - timedelta(days=1))
    assert (order.ref, order.customer_ref, order.email) == (str(number), "", "Guest@Example.org")


@trap("customers never to be written to", oscommerce2=NO_MARK, creloaded6=NO_MARK)
async def _(shop: Any, make: Make) -> None:
    shut = {"customers_authorization": 4} if shop.dialect.name == "zencart2" else {"customers_status": 0}
    for email, row in (("boss@example.org", shut), ("ada@example.org", {})):
        await shop.basket(await shop.customer(email, **row), await shop.product())
    carts = (await shop.connector().carts("", 10, NOW)).carts
    assert {cart.customer.email: cart.customer.may_be_written_to for cart in carts} == {
        "boss@example.org": False,
        "ada@example.org": True,
    }


@trap("deleted product")
async def _(shop: Any, make: Make) -> None:
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


@trap("product taken off the shelf or sold out")
async def _(shop: Any, make: Make) -> None:
    off, out = await shop.product(products_status=0), await shop.product(stock=0)
    fresh = await shop.connector().products([str(off), str(out)], "en")
    assert [(fresh[str(ref)].active, fresh[str(ref)].in_stock) for ref in (off, out)] == [(False, False), (True, False)]
    unmanaged = await shop.connector(stock="ignored").products([str(out)], "en")
    assert unmanaged[str(out)].in_stock


@trap("price from a special")
async def _(shop: Any, make: Make) -> None:
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


@trap("price from attributes")
async def _(shop: Any, make: Make) -> None:
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


@trap("order written before the basket goes")
async def _(shop: Any, make: Make) -> None:
    """Order first, its total a moment later, the basket last: whoever reads in between sees the order, and sees it
    again when it is complete."""
    ada, kettle = await shop.customer(), await shop.product()
    await shop.basket(ada, kettle)
    connector = shop.connector()
    number = await shop.order(ada, total=None)
    first = await connector.orders("", 10, NOW)
    assert [(order.ref, order.customer_ref, order.standing, order.total) for order in first.orders] == [
        (str(number), str(ada), "purchase", Decimal(0))
    ]
    assert len((await connector.carts("", 10, NOW)).carts) == 1, "the basket is still there"
    await shop.total(number, "20.00")
    await shop.delete("customers_basket", "customers_id", ada)
    again = await connector.orders(first.cursor, 10, NOW)
    assert [(order.ref, order.total) for order in again.orders] == [(str(number), Decimal("20.00"))]
    assert (await connector.carts("", 10, NOW)).carts == ()
    assert (await connector.orders(again.cursor, 10, NOW)).orders == ()


@trap("status changes without a trace")
async def _(shop: Any, make: Make) -> None:
    """A payment module writes a status and neither date nor history: it is found; an old order by its history."""
    numbers = [await shop.order(orders_status=6) for _ in range(3)]
    old = numbers[0]
    connector = shop.connector()
    cursor = (await connector.orders("", 10, NOW)).cursor
    await shop.run("UPDATE orders SET orders_status = 1 WHERE orders_id = %s", numbers[1])
    batch = await connector.orders(cursor, 10, NOW)
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
        batch = await connector.orders(batch.cursor, 10, NOW)
    await shop.run("UPDATE orders SET orders_status = 4 WHERE orders_id = %s", old)
    await shop.history(old, 4)
    found = await connector.orders(batch.cursor, 10, NOW)
    assert [(order.ref, order.standing) for order in found.orders] == [(str(old), "cancelled")]


@trap("order status map")
async def _(shop: Any, make: Make) -> None:
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
    orders = (await shop.connector().orders("", 20, NOW)).orders
    assert {order.ref: order.standing for order in orders} == refs
    assert orders[0].status == "Pending"
    told = (await shop.connector(order_status={"offen": "on_hold", 2: "failed"}).orders("", 20, NOW)).orders
    assert [order.standing for order in told[:2]] == ["on_hold", "failed"]


@trap("order in another currency")
async def _(shop: Any, make: Make) -> None:
    """Half of them keep the total in the shop's own currency, half in the order's."""
    await shop.order(total="100.00", currency="USD", currency_value="1.250000")
    (order,) = (await shop.connector().orders("", 10, NOW)).orders
    expected = Decimal("125.00") if shop.dialect.order_values == "base" else Decimal("100.00")
    assert (order.total, order.currency) == (expected, "USD")


@trap("table prefix")
async def _(shop: Any, make: Make) -> None:
    other = await make(shop.dialect.name, "my_shop_")
    ada = await other.customer()
    await other.basket(ada, await other.product())
    await other.order(ada)
    assert (await only_cart(other)).customer.email == "ada@example.org"
    assert len((await other.connector().orders("", 10, NOW)).orders) == 1
    for prefix in ("x`; DROP TABLE y; --", "a b", "ä_"):
        with pytest.raises(ValueError, match="a table prefix has letters"):
            other.connector(table_prefix=prefix)
    findings = (await other.connector(table_prefix="").health(NOW)).findings
    assert any(
        "table customers is missing" in finding or "no right to read customers" in finding for finding in findings
    )


@trap("phone where each keeps it")
async def _(shop: Any, make: Make) -> None:
    ada = await shop.customer(phone="+49 170 1234567")
    await shop.basket(ada, await shop.product())
    table, column = shop.dialect.phone_in.split(".")
    ((kept,),) = await shop.run(f"SELECT {column} FROM {table} WHERE customers_id = %s", ada)
    assert (await only_cart(shop)).customer.phone == kept == "+49 170 1234567"


async def consents(shop: Any, email: str) -> tuple[ConsentHint, ...]:
    carts = (await shop.connector().carts("", 50, NOW)).carts
    return next(cart.customer.consents for cart in carts if cart.customer.email == email)


@trap("consent: a ticked box is only a hint")
async def _(shop: Any, make: Make) -> None:
    product = await shop.product()
    for email, flag in (("yes@example.org", "1"), ("no@example.org", "0")):
        await shop.basket(await shop.customer(email, customers_newsletter=flag), product)
    assert await consents(shop, "yes@example.org") == (ConsentHint("email_mkt", "hint", source="customers_newsletter"),)
    assert await consents(shop, "no@example.org") == ()


@trap("consent: confirmed, asked for, withdrawn", oscommerce2=NO_EVIDENCE, creloaded6=NO_EVIDENCE, zencart2=NO_EVIDENCE)
async def _(shop: Any, make: Make) -> None:
    """Confirmed only with its evidence; address shortened; by an administrator, or in the second of the sign-up with
    the double opt-in switched off, it is a hint."""
    product, asked, said = (
        await shop.product(),
        datetime(2026, 5, 4, 8, 0, tzinfo=UTC),
        datetime(2026, 5, 4, 9, 30, tzinfo=UTC),
    )
    rows = {
        "confirmed": (
            1,
            asked,
            {"date_confirmed": said, "ip_date_confirmed": "198.51.100.77", "ip_address": "198.51.100.77"},
        ),
        "asked": (0, asked, {"ip_address": "198.51.100.77"}),
        "withdrawn": (2, None, {}),
        "single": (1, asked, {"date_confirmed": asked, "ip_address": "198.51.100.77", "created_by_admin": 1}),
    }
    for name, (status, signed, row) in rows.items():
        await shop.basket(await shop.customer(f"{name}@example.org"), product)
        await shop.recipient(f"{name}@example.org", status, signed, **row)
    states = {name: (await consents(shop, f"{name}@example.org"))[0] for name in rows}
    proof = "hint" if shop.dialect.recipients == "status" else "confirmed"
    assert {name: hint.state for name, hint in states.items()} == {
        "confirmed": proof,
        "asked": "requested",
        "withdrawn": "withdrawn",
        "single": "hint",
    }
    if proof == "confirmed":
        at = said if shop.dialect.recipients == "confirmed" else asked
        assert states["confirmed"].at == at
        assert f"{at:%Y-%m-%d %H:%M:%S} UTC from 198.51.100.0/24" in states["confirmed"].evidence


@trap("language where each keeps it", oscommerce2=NO_LANGUAGE, creloaded6=NO_LANGUAGE)
async def _(shop: Any, make: Make) -> None:
    """That of the last order; without one the shop's own."""
    product = await shop.product()
    for email, words in (("de@example.org", ("english", "german")), ("new@example.org", ())):
        customer = await shop.customer(email)
        await shop.basket(customer, product)
        for word in words:
            await shop.order(customer, email, language=word, language_code={"english": "en", "german": "de"}[word])
    carts = (await shop.connector().carts("", 10, NOW)).carts
    assert {cart.customer.email: cart.customer.locale for cart in carts} == {
        "de@example.org": "de",
        "new@example.org": "en",
    }
    assert (await shop.connector().products([str(product)], "de-AT"))[str(product)].name == "Kettle (de)"


@trap("who is online now")
async def _(shop: Any, make: Make) -> None:
    """The latest click of any of their sessions, as seconds since 1970; strangers have none."""
    product = await shop.product()
    ada, bob = await shop.customer(), await shop.customer("bob@example.org")
    for customer in (ada, bob):
        await shop.basket(customer, product)
    for number, seconds in enumerate((600, 30)):
        clicked = str(int(NOW.timestamp()) - seconds)
        await shop.put(
            "whos_online",
            customer_id=ada,
            session_id=f"s{number}",
            time_entry=clicked,
            time_last_click=clicked,
            full_name="",
            ip_address="",
            last_page_url="",
        )
    carts = (await shop.connector().carts("", 10, NOW)).carts
    assert [cart.online_at for cart in carts] == [NOW - timedelta(seconds=30), None]


@trap("minimal grants")
async def _(shop: Any, make: Make) -> None:
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
        await connector.carts("", 10, NOW)


CELLS = [
    (name, dialect, tried.not_for.get(dialect, "")) for name, tried in TRAPS.items() for dialect in sorted(DIALECTS)
]


@pytest.mark.parametrize(("name", "dialect"), [cell[:2] for cell in CELLS if not cell[2]])
async def test_trap(pretend: Make, record_property: Any, name: str, dialect: str) -> None:
    record_property("trap", (name, dialect, ""))
    await TRAPS[name].story(await pretend(dialect), pretend)


@pytest.mark.parametrize(("name", "dialect", "why"), [cell for cell in CELLS if cell[2]])
def test_cannot_have_it(record_property: Any, name: str, dialect: str, why: str) -> None:
    """The dialect says itself why this cell has no story."""
    record_property("trap", (name, dialect, why))
    known = DIALECTS[dialect]
    proof = {
        SECONDS: known.baskets != "day",
        DAYS: known.baskets == "day",
        WHOLE: known.options not in ("md5", "combis"),
        DIGEST: known.options == "md5",
        FROM_BRACES: known.options != "md5",
        NO_COMBIS: known.options != "combis",
        NO_TEXT: "option_text" not in known.parts,
        NO_MARK: "shut" not in known.parts,
        NO_LANGUAGE: "language_key" not in known.parts,
        NO_EVIDENCE: known.recipients == "none",
    }
    assert proof[why]


ASKED = {
    "day-only date": ["basket dated by the day"],
    "zone off by one hour": ["zone off by an hour", "orders dated by another clock than carts"],
    "`2{1}1`": ["options as 2{1}1"],
    "`5x36`": ["combination as 5x36"],
    "`1:<md5>`": ["options as 1:<md5>"],
    "zero date": ["zero date"],
    "latin1 umlauts": ["latin1 umlauts"],
    "decimal quantity": ["decimal quantity"],
    "guest": ["guest"],
    "customers that must not be written to": ["customers never to be written to"],
    "deleted product": ["deleted product"],
    "price from specials and attributes": ["price from a special", "price from attributes"],
    "order written before the basket goes": ["order written before the basket goes"],
    "order-status map": ["order status map"],
    "table prefix": ["table prefix"],
    "consent and phone where each keeps them": ["consent: a ticked box is only a hint", "phone where each keeps it"],
    "who is online now": ["who is online now"],
    "minimal grants": ["minimal grants"],
}


def test_no_cell_is_empty() -> None:
    """Every trap that was asked for is tried on every dialect, or the reason why not is told, and told of some only."""
    for asked, names in ASKED.items():
        assert all(name in TRAPS for name in names), asked
    for name, tried in TRAPS.items():
        assert tried.not_for.keys() < DIALECTS.keys(), f"{name}: {tried.not_for.keys() - DIALECTS.keys()}"
        assert all(reason for reason in tried.not_for.values()), name
