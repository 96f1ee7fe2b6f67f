"""Looking at a shop: the first look, an empty answer, a gap, and orders that come before the basket goes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from daemon.flow import ingest
from daemon.shops.base import OrderSnapshot


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(8, id="eight"),
        pytest.param(1_000, id="a thousand"),
        pytest.param(10_000, id="ten thousand", marks=pytest.mark.long),
    ],
)
async def test_old_baskets_get_no_mail(make_town, make_basket, make_buyer, count):
    town = await make_town(poll_every=timedelta(hours=1))
    shop = await town.polls()
    shop.shows = {f"c{n}": make_basket(f"c{n}", make_buyer(f"p{n}"), "red") for n in range(count)}
    await town.passes(hours=24)
    assert await town.value("SELECT count(*) FROM cart WHERE baseline") == count
    assert town.letters.taken == []
    assert await town.ends() == {}

    shop.shows["c7"] = make_basket("c7", make_buyer("p7"), "red", "blue")
    await town.passes(hours=3)
    assert [to for to, _ in town.letters.taken] == ["p7@example.org"]
    await town.books_are_clean()


async def test_a_young_cart_with_its_own_time_is_followed_up_from_the_first_look(town, make_basket, make_buyer):
    shop = await town.polls()
    now = await town.now()
    shop.shows = {
        "young": make_basket("young", make_buyer("1"), "red", source_updated_at=now - timedelta(minutes=30)),
        "old": make_basket("old", make_buyer("2"), "red", source_updated_at=now - timedelta(days=5)),
    }
    await town.passes(hours=2)
    assert [to for to, _ in town.letters.taken] == ["1@example.org"]
    assert await town.value("SELECT answer FROM cart WHERE ref = 'old'") == "no: found too late"


async def test_an_empty_answer_once_ends_nothing(town, make_basket, make_buyer):
    shop = await town.polls()
    await town.passes(minutes=5)
    shop.shows = {f"c{n}": make_basket(f"c{n}", make_buyer(f"p{n}"), "red") for n in range(100)}
    await town.passes(hours=2)
    assert await town.ends() == {"open": 100}

    kept, shop.shows = shop.shows, {}
    await town.passes(minutes=10)
    assert await town.ends() == {"open": 100}
    shop.shows = kept
    await town.passes(minutes=10)
    assert await town.ends() == {"open": 100}

    shop.shows = {}
    await town.passes(minutes=20)
    assert await town.ends() == {"emptied": 100}
    await town.books_are_clean()


async def test_a_look_that_is_rung_twice_is_one_look(town):
    await town.polls()
    await town.passes(minutes=5)
    looked = await town.value("SELECT last_good_at FROM work WHERE name = 'poll'")
    assert await ingest.poll(town.context, town.shop_id, await town.now()) == 0
    assert await town.value("SELECT last_good_at FROM work WHERE name = 'poll'") == looked
    assert await town.value("SELECT holder FROM work WHERE name = 'poll'") is None


async def test_what_two_looks_missed_is_gone_though_more_goes_meanwhile(town, make_basket, make_buyer):
    shop = await town.polls()
    await town.passes(minutes=5)
    shop.shows = {f"c{n}": make_basket(f"c{n}", make_buyer(f"p{n}"), "red") for n in range(100)}
    await town.passes(hours=2)
    for _ in range(2):
        shop.shows = dict(list(shop.shows.items())[40:])
        await town.passes(minutes=10)
    assert await town.ends() == {"emptied": 40, "open": 60}
    await town.books_are_clean()


async def test_after_a_gap_a_change_counts_from_the_last_look(town, make_basket, make_buyer):
    shop = await town.polls()
    await town.passes(minutes=1)
    shop.silent = True
    last_good = await town.value("SELECT last_good_at FROM work WHERE name = 'poll'")
    await town.passes(hours=6)
    shop.silent = False
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red")}
    await town.context.pool.execute("UPDATE work SET rest_until_real = NULL")
    await town.passes(minutes=30)
    row = (await town.fetch("SELECT changed_at, still_since FROM cart"))[0]
    assert row["changed_at"] == last_good
    assert row["still_since"] - last_good >= timedelta(hours=6)
    assert town.letters.taken == []  # it may have been changed a minute before we looked: it has to rest first
    await town.passes(hours=1)
    assert len(town.letters.taken) == 1


async def test_the_order_is_written_before_the_basket_goes(town, make_basket, make_buyer):
    shop = await town.polls()
    await town.passes(minutes=5)
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red")}
    await town.passes(hours=2)
    assert await town.ends() == {"open": 1}
    now = await town.now()
    shop.has_sold = [OrderSnapshot("o1", now, "3", "purchase", Decimal("49.90"), "EUR", "1")]
    await town.passes(minutes=10)
    shop.shows = {}
    await town.passes(minutes=30)
    assert await town.ends() == {"purchase": 1}
    assert await town.value("SELECT state FROM cart") == "ordered"
    await town.books_are_clean()


async def test_a_purchase_that_nobody_told_us_of_is_found_before_the_claim(town, make_basket, make_buyer):
    shop = await town.polls()
    await town.passes(minutes=5)
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red")}
    await town.passes(hours=2)
    assert len(town.letters.taken) == 1
    await town.context.pool.execute("UPDATE work SET due_at = due_at + interval '9 days' WHERE name = 'poll'")
    shop.has_sold = [
        OrderSnapshot("o1", await town.now(), "3", "purchase", Decimal("49.90"), "EUR", "", "1@EXAMPLE.org")
    ]
    await town.passes(hours=24)
    assert len(town.letters.taken) == 1
    assert shop.asked_for_orders >= 2
    assert await town.ends() == {"purchase": 1}


async def test_who_is_on_the_site_is_left_alone(town, make_basket, make_buyer):
    shop = await town.polls()
    await town.passes(minutes=5)
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red")}
    await town.passes(minutes=50)
    shop.shows["c1"] = make_basket("c1", make_buyer("1"), "red", online_at=await town.now())
    await town.passes(minutes=40)
    assert town.letters.taken == []
    await town.passes(minutes=30)
    assert len(town.letters.taken) == 1
