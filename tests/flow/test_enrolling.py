"""Which carts at rest become recoveries, and which reason each of the others gets."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.flow import merging
from daemon.shops.base import Customer
from daemon.store import persons
from daemon.store.database import again
from daemon.store.merging import HAND

STARTS = """
extends: default
starts:
  rests_for: 1h
  total_at_least: 30 EUR
  not_older_than: 2d
  never: {addresses: ["@marketplace.example"], groups: [staff]}
  only_if: cart.items.exists(i, i.product != "gift-card")
"""
EXISTING = "extends: default\nstarts: {rests_for: 1h, existing_customers_only: true}\n"


@pytest.mark.parametrize(
    ("customer", "products", "price", "answer"),
    [
        pytest.param({}, ["red"], "49.90", "enrolled", id="an ordinary cart"),
        pytest.param({}, ["red"], "19.90", "no: the total is below what the policy asks for", id="a small cart"),
        pytest.param(
            {"email": "x1@marketplace.example"},
            ["red"],
            "49.90",
            "no: this address is never written to",
            id="marketplace",
        ),
        pytest.param({"group": "staff"}, ["red"], "49.90", "no: this customer group is not written to", id="staff"),
        pytest.param(
            {"may_be_written_to": False}, ["red"], "49.90", "no: this customer is not written to", id="an admin"
        ),
        pytest.param({}, ["gift-card"], "49.90", "no: the policy's condition does not hold", id="only a gift card"),
        pytest.param({}, ["gift-card", "red"], "49.90", "enrolled", id="a gift card beside shoes"),
        pytest.param({"email": ""}, ["red"], "49.90", "no: there is nobody to write to", id="without an address"),
    ],
)
async def test_each_cart_has_its_answer(make_town, make_buyer, customer, products, price, answer):
    town = await make_town(policies={"main": STARTS})
    await town.leaves_cart("c1", make_buyer("1", **customer), *products, price=price)
    await town.passes(hours=1)
    assert await town.value("SELECT answer FROM cart") == answer
    await town.books_are_clean()


async def test_only_who_bought_before_where_the_policy_says_so(make_town, make_buyer):
    town = await make_town(policies={"main": EXISTING})
    await town.buys("o1", make_buyer("1"), ago=timedelta(days=30))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.leaves_cart("c2", make_buyer("2"), "red")
    await town.passes(hours=1)
    rows = await town.fetch("SELECT ref, answer FROM cart ORDER BY ref")
    assert [row["answer"] for row in rows] == ["enrolled", "no: has not bought here before"]


async def test_the_first_policy_that_fits_takes_the_cart(make_town, make_buyer):
    town = await make_town(
        policies={
            "10-large": "extends: default\nstarts: {rests_for: 30m, total_at_least: 100 EUR}\n",
            "20-all": "extends: default\nstarts: {rests_for: 1h}\n",
        }
    )
    await town.leaves_cart("c1", make_buyer("1"), "red", price="150.00")
    await town.leaves_cart("c2", make_buyer("2"), "red", price="20.00")
    await town.passes(hours=1)
    rows = await town.fetch("SELECT c.ref, r.policy_name FROM recovery r JOIN cart c ON c.id = r.cart_id ORDER BY 1")
    assert [tuple(row) for row in rows] == [("c1", "10-large"), ("c2", "20-all")]
    await town.books_are_clean()


async def test_a_payment_under_way_is_not_disturbed(town, make_basket, make_buyer):
    shop = await town.polls()
    await town.passes(minutes=5)
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red", stage="payment")}
    await town.passes(hours=2)
    assert await town.value("SELECT answer FROM cart") == "later: a payment is under way"
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red")}
    await town.passes(hours=1)
    assert await town.value("SELECT answer FROM cart") == "enrolled"


async def test_a_guest_with_an_accounts_address_is_that_account(town):
    await town.leaves_cart("c1", Customer(email="Ada@example.org", is_guest=True), "red")
    await town.leaves_cart("c2", Customer(ref="7", email="ada@example.org"), "blue")
    assert await town.value("SELECT count(*) FROM person") == 1
    await town.passes(hours=2)
    assert await town.value("SELECT count(*) FROM recovery") == 1


async def test_an_address_that_changes_merges_nobody(town):
    await town.leaves_cart("c1", Customer(ref="7", email="old@example.org"), "red")
    await town.leaves_cart("c2", Customer(ref="8", email="new@example.org"), "blue")
    await town.passes(minutes=1)
    await town.leaves_cart("c1", Customer(ref="7", email="new@example.org"), "red", "blue")
    assert await town.value("SELECT count(*) FROM person WHERE merged_into IS NULL") == 2
    rows = await town.fetch("SELECT value, person_id FROM identity WHERE kind = 'email'")
    seven = await town.value("SELECT person_id FROM identity WHERE kind = 'customer' AND value = '7'")
    assert [tuple(row) for row in rows] == [("new@example.org", seven)]


async def test_who_was_merged_follows_when_that_person_is_merged_too(town):
    """A guest turns out to be another guest, and both a third: all three are the oldest."""
    for ref in ("1", "2", "3"):
        await town.leaves_cart(f"c{ref}", Customer(ref=ref, email=f"{ref}@example.org", is_guest=True), "red")
    await town.passes(hours=2)
    first, second, third = [row["id"] for row in await town.fetch("SELECT id FROM person ORDER BY id")]

    async def body(db):
        await persons.lock(db, town.shop_id, [first, second, third])
        await merging.merge(town.context, db, town.shop_id, second, third, HAND, await town.now())
        await merging.merge(town.context, db, town.shop_id, first, second, HAND, await town.now())

    await again(town.context.pool, body)
    assert {row["merged_into"] for row in await town.fetch("SELECT merged_into FROM person WHERE id > 1")} == {first}
    assert await town.value("SELECT count(DISTINCT person_id) FROM recovery") == 1
    assert await town.value("SELECT count(DISTINCT person_id) FROM cart") == 1
    await town.books_are_clean()
