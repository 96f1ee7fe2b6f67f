"""What every connector promises, tried on each that is found, against its own pretend shop.

A connector NAME that polls brings `stages/NAME.py` with `stage(request)`, an async context manager of an object that
has: `now`, `secrets`, `connector()`, `deaf_connector()` (nobody answers there), `put_product(name, price) -> ref`,
`delete_product(ref)`, `put_cart(email, product, quantity, first_name) -> cart ref`, `put_broken_cart() -> cart ref`,
`place_order(customer_ref, email, total, at) -> order ref` and `cancel_order(ref)`.
"""

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.shops import discover
from daemon.shops.base import Capability, CartBatch, CartSnapshot, OrderSnapshot, Shop, ShopConfig, ShopUnavailable

SHOPS = discover()
POLLING = sorted(name for name, shop in SHOPS.items() if shop.polls)
every_polling_shop = pytest.mark.parametrize("stage", POLLING, indirect=True)
READING = 50
"""More pages than any reading here has: one that does not end fails."""


async def all_carts(shop: Shop, now: datetime, limit: int = 100) -> tuple[list[CartSnapshot], list[CartBatch]]:
    """One whole reading."""
    pages: list[CartBatch] = []
    while not pages or pages[-1].more:
        pages.append(await shop.carts(pages[-1].cursor if pages else "", limit, now))
        assert len(pages) < READING, "the reading does not end"
    return [cart for page in pages for cart in page.carts], pages


async def new_orders(shop: Shop, cursor: str, now: datetime, limit: int = 100) -> tuple[list[OrderSnapshot], str]:
    """All up to the page without more."""
    orders: list[OrderSnapshot] = []
    for _ in range(READING):
        batch = await shop.orders(cursor, limit, now)
        orders += batch.orders
        cursor = batch.cursor
        if not batch.more:
            return orders, cursor
    pytest.fail("the reading does not end")


def values(thing: Any) -> Iterator[Any]:
    """Every value in a snapshot, however deep."""
    if dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            yield from values(getattr(thing, field.name))
    elif isinstance(thing, tuple | list):
        for member in thing:
            yield from values(member)
    else:
        yield thing


@pytest.mark.parametrize("name", sorted(SHOPS))
def test_it_is_named_and_configured_in_one_place(name: str) -> None:
    shop = SHOPS[name]
    assert shop.name == name
    assert shop.__doc__
    assert issubclass(shop.config_model, ShopConfig)
    with pytest.raises(ValidationError, match="wrod"):
        shop.config_model.model_validate({"wrod": 1})
    for word, field in shop.config_model.model_fields.items():
        secret = any(part in word for part in ("password", "secret", "token"))
        assert not secret or "Secret" in str(field.annotation), f"{word} would be printed"


@every_polling_shop
async def test_paging_ends_and_repeats_nothing(stage: Any) -> None:
    product = await stage.put_product()
    refs = {await stage.put_cart(f"p{number}@example.org", product) for number in range(7)}
    for limit in (1, 3, 7, 100):
        carts, pages = await all_carts(stage.connector(), stage.now, limit)
        assert len(carts) == len(refs), f"pages of {limit}"
        assert {cart.ref for cart in carts} == refs
        assert all(len(page.carts) <= limit for page in pages)


@every_polling_shop
async def test_an_empty_shop_is_an_answer(stage: Any) -> None:
    shop = stage.connector()
    carts, pages = await all_carts(shop, stage.now)
    assert carts == []
    assert not pages[-1].more
    assert (await new_orders(shop, "", stage.now))[0] == []
    assert Capability.PRODUCTS not in shop.capabilities() or await shop.products([], "en") == {}


@every_polling_shop
async def test_a_shop_out_of_reach_concludes_nothing(stage: Any) -> None:
    deaf = stage.deaf_connector()
    asked = [deaf.carts("", 10, stage.now), deaf.orders("", 10, stage.now)]
    if Capability.FIND_ORDERS in deaf.capabilities():
        asked.append(deaf.find_orders(["1"], ["ada@example.org"], stage.now))
    if Capability.PRODUCTS in deaf.capabilities():
        asked.append(deaf.products(["1"], "en"))
    for question in asked:
        with pytest.raises(ShopUnavailable) as error:
            await question
        shown = f"{error.value!r} {error.value} {error.value.__context__!r}"
        assert not any(secret in shown for secret in (*stage.secrets, "ada@example.org"))
    health = await deaf.health(stage.now)
    assert not health.reachable
    assert health.findings
    await deaf.close()


@every_polling_shop
async def test_no_secret_is_ever_shown(stage: Any) -> None:
    shop = stage.connector()
    await all_carts(shop, stage.now)
    health = await shop.health(stage.now)
    shown = " ".join(map(repr, (shop, shop.config, vars(shop), health, str(shop.config))))
    assert not any(secret in shown for secret in stage.secrets)


@every_polling_shop
async def test_a_deleted_product_is_absent(stage: Any) -> None:
    shop = stage.connector()
    if Capability.PRODUCTS not in shop.capabilities():
        pytest.skip("tells nothing of products")
    kettle, pot = await stage.put_product("Kettle", Decimal("20.00")), await stage.put_product("Pot", Decimal("5.50"))
    both = await shop.products([kettle, pot, "no such thing"], "en")
    assert {ref: (known.ref, known.name, known.price) for ref, known in both.items()} == {
        kettle: (kettle, "Kettle", Decimal("20.00")),
        pot: (pot, "Pot", Decimal("5.50")),
    }
    await stage.delete_product(kettle)
    assert set(await shop.products([kettle, pot], "en")) == {pot}


@every_polling_shop
async def test_a_line_can_be_asked_for_by_its_product(stage: Any) -> None:
    shop = stage.connector()
    await stage.put_cart("ada@example.org", await stage.put_product("Kettle"))
    ((cart,), _) = await all_carts(shop, stage.now)
    if Capability.PRODUCTS in shop.capabilities():
        known = await shop.products([cart.lines[0].product_ref], "en")
        assert known[cart.lines[0].product_ref].name == cart.lines[0].name == "Kettle"


@every_polling_shop
async def test_money_is_decimal_and_times_are_aware(stage: Any) -> None:
    shop = stage.connector()
    product = await stage.put_product("Kettle", Decimal("19.99"))
    await stage.put_cart("ada@example.org", product, 3)
    ((cart,), pages) = await all_carts(shop, stage.now)
    await stage.place_order(cart.customer.ref, "ada@example.org", Decimal("59.97"), stage.now)
    orders, _ = await new_orders(shop, "", stage.now)
    assert (cart.total, cart.lines[0].unit_price, cart.lines[0].quantity) == (Decimal("59.97"), Decimal("19.99"), 3)
    assert orders[0].total == Decimal("59.97")
    assert len(cart.currency) == len(orders[0].currency) == 3
    read = [value for page in (*pages, orders) for value in values(page if isinstance(page, list) else page.carts)]
    assert not any(isinstance(value, float) for value in read)
    assert all(value.utcoffset() is not None for value in read if isinstance(value, datetime))


@every_polling_shop
async def test_text_is_fit_to_be_kept(stage: Any) -> None:
    """No NUL, which PostgreSQL refuses, no line break into a mail's header, and an end to every name."""
    await stage.put_cart(
        "ada@example.org", await stage.put_product("Ket\r\ntle \x00 é"), first_name="A\nda\x00" + "x" * 20
    )
    carts, _ = await all_carts(stage.connector(), stage.now)
    texts = [value for value in values(carts) if isinstance(value, str)]
    assert carts[0].customer.first_name.startswith("A")
    assert "é" in carts[0].lines[0].name
    for text in texts:
        assert not any(character < " " or "\ud800" <= character <= "\udfff" for character in text), repr(text)
        assert len(text) <= 2048


@every_polling_shop
async def test_an_order_is_found_by_person_or_address(stage: Any) -> None:
    """Right before a message leaves: whatever the case of the address, and nothing that is older."""
    shop = stage.connector()
    if Capability.FIND_ORDERS not in shop.capabilities():
        pytest.skip("cannot be asked")
    await stage.put_cart("Ada@Example.org", await stage.put_product())
    ((cart,), _) = await all_carts(shop, stage.now)
    since = stage.now - timedelta(hours=2)
    await stage.place_order(cart.customer.ref, "Ada@Example.org", Decimal(20), since - timedelta(seconds=1))
    ref = await stage.place_order(cart.customer.ref, "Ada@Example.org", Decimal(20), since + timedelta(seconds=1))
    guest = await stage.place_order("", "Guest@example.org", Decimal(20), stage.now)
    asked = {
        "by person": ([cart.customer.ref], [], {ref}),
        "by address": ([], ["ADA@EXAMPLE.ORG"], {ref}),
        "a guest": ([], ["guest@Example.org"], {guest}),
        "both at once": ([cart.customer.ref], ["ada@example.org", "guest@example.org"], {ref, guest}),
        "a stranger": (["999999"], ["bob@example.org"], set()),
        "nobody": ([], [], set()),
    }
    for name, (refs, emails, expected) in asked.items():
        found = await shop.find_orders(refs, emails, since)
        assert {order.ref for order in found} == expected, name
        assert all(order.placed_at >= since for order in found)


@every_polling_shop
async def test_no_order_is_lost(stage: Any) -> None:
    """New ones once, in pages of any size; one that changes its status comes again."""
    shop = stage.connector()
    refs = [
        await stage.place_order("", f"p{number}@example.org", Decimal(20), stage.now - timedelta(minutes=10 - number))
        for number in range(7)
    ]
    orders, cursor = await new_orders(shop, "", stage.now, 3)
    assert sorted(order.ref for order in orders) == sorted(refs)
    assert {order.standing for order in orders} == {"purchase"}
    again, cursor = await new_orders(shop, cursor, stage.now, 3)
    assert again == []
    late = await stage.place_order("", "late@example.org", Decimal(20), stage.now)
    await stage.cancel_order(refs[2])
    changed, cursor = await new_orders(shop, cursor, stage.now, 3)
    latest = {order.ref: order.standing for order in changed}
    assert (latest[refs[2]], latest[late]) == ("cancelled", "purchase")
    assert (await new_orders(shop, cursor, stage.now, 3))[0] == []


@every_polling_shop
async def test_a_cart_that_cannot_be_read_is_named(stage: Any) -> None:
    """It counts neither as present nor as gone, and the others are read."""
    product = await stage.put_product()
    whole = [await stage.put_cart(f"p{number}@example.org", product) for number in range(2)]
    broken = await stage.put_broken_cart()
    carts, pages = await all_carts(stage.connector(), stage.now)
    assert {cart.ref for cart in carts} == set(whole)
    (refusal,) = [refusal for page in pages for refusal in page.refused]
    assert broken in refusal
    assert [ref for page in pages for ref in page.refused_refs] == [broken]
    assert "@" not in refusal


@every_polling_shop
async def test_close_lets_go_and_may_come_twice(stage: Any) -> None:
    """Afterwards nothing is open: an open one would be a warning, and warnings fail."""
    shop = stage.connector()
    await all_carts(shop, stage.now)
    await shop.close()
    await shop.close()
