"""Traps of people, each on every dialect that can have it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.shops.base import ConsentHint

NOW = datetime(2026, 10, 17, 10, 0, tzinfo=UTC)


async def only_cart(shop: Any, **settings: Any) -> Any:
    batch = await shop.connector(**settings).carts("", 10, NOW)
    assert batch.refused == ()
    (cart,) = batch.carts
    return cart


async def consents(shop: Any, email: str) -> tuple[ConsentHint, ...]:
    carts = (await shop.connector().carts("", 50, NOW)).carts
    return next(cart.customer.consents for cart in carts if cart.customer.email == email)


@pytest.mark.trap("latin1 umlauts")
async def test_latin1_umlauts(shop: Any) -> None:
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


@pytest.mark.trap("guest")
async def test_guest(shop: Any) -> None:
    """A guest with a row is told from an account; a guest without one leaves only an order, found by its address."""
    if shop.dialect.guests:
        guest = await shop.customer("guest@example.org", account_type=1, purchased_without_account=1)
        await shop.basket(guest, await shop.product())
        assert (await only_cart(shop)).customer.is_guest
    number = await shop.order(0, "Guest@Example.org", account_type=1)
    (order,) = await shop.connector().find_orders([], ["guest@example.org"], NOW - timedelta(days=1))
    assert (order.ref, order.customer_ref, order.email) == (str(number), "", "Guest@Example.org")


@pytest.mark.trap("customers never to be written to", oscommerce2="no mark", creloaded6="no mark")
async def test_customers_never_to_be_written_to(shop: Any) -> None:
    shut = {"customers_authorization": 4} if shop.dialect.name == "zencart2" else {"customers_status": 0}
    for email, row in (("boss@example.org", shut), ("ada@example.org", {})):
        await shop.basket(await shop.customer(email, **row), await shop.product())
    carts = (await shop.connector().carts("", 10, NOW)).carts
    assert {cart.customer.email: cart.customer.may_be_written_to for cart in carts} == {
        "boss@example.org": False,
        "ada@example.org": True,
    }


@pytest.mark.trap("an American's state is told")
async def test_an_americans_state_is_told(shop: Any) -> None:
    """By the default address; other countries' zones are the shop's own names for them."""
    await shop.put("countries", countries_id=223, countries_name="United States", countries_iso_code_2="US")
    for number, country, code in ((18, 223, "FL"), (80, 81, "BW"), (90, 223, "Armed Forces")):
        await shop.put("zones", zone_id=number, zone_country_id=country, zone_code=code, zone_name=code)
    product = await shop.product()
    for email, country, zone in (("fl", 223, 18), ("de", 81, 80), ("army", 223, 90), ("none", 223, 0)):
        ada = await shop.customer(f"{email}@example.org")
        await shop.change("address_book", "customers_id", ada, entry_country_id=country, entry_zone_id=zone)
        await shop.basket(ada, product)
    told = {cart.customer.email: cart.customer.region for cart in (await shop.connector().carts("", 10, NOW)).carts}
    assert told == {"fl@example.org": "US-FL", "de@example.org": "", "army@example.org": "", "none@example.org": ""}


@pytest.mark.trap("phone where each keeps it")
async def test_phone_where_each_keeps_it(shop: Any) -> None:
    ada = await shop.customer(phone="+49 170 1234567")
    await shop.basket(ada, await shop.product())
    table, column = shop.dialect.phone_in.split(".")
    ((kept,),) = await shop.run(f"SELECT {column} FROM {table} WHERE customers_id = %s", ada)
    assert (await only_cart(shop)).customer.phone == kept == "+49 170 1234567"


@pytest.mark.trap("consent: a ticked box is only a hint")
async def test_consent_a_ticked_box_is_only_a_hint(shop: Any) -> None:
    product = await shop.product()
    for email, flag in (("yes@example.org", "1"), ("no@example.org", "0")):
        await shop.basket(await shop.customer(email, customers_newsletter=flag), product)
    assert await consents(shop, "yes@example.org") == (ConsentHint("email_mkt", "hint", source="customers_newsletter"),)
    assert await consents(shop, "no@example.org") == ()


@pytest.mark.trap(
    "consent: confirmed, asked for, withdrawn",
    oscommerce2="no evidence",
    creloaded6="no evidence",
    zencart2="no evidence",
)
async def test_consent_confirmed_asked_for_withdrawn(shop: Any) -> None:
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


@pytest.mark.trap("language where each keeps it", oscommerce2="no language", creloaded6="no language")
async def test_language_where_each_keeps_it(shop: Any) -> None:
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


@pytest.mark.trap("who is online now")
async def test_who_is_online_now(shop: Any) -> None:
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
