"""What the doctor says of a shop, without a database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.doctor import shops
from daemon.shops.base import Health
from daemon.store.survey import Carts, Pushed
from daemon.store.work import Status
from rules.shops import ShopWords

MINUTE = timedelta(minutes=1)


def seen(**changes) -> Carts:
    usual = {"carts": 200, "nobody": 24, "email": 176, "phone": 90, "consent": 50, "ahead": 0, "slip": None, "dated": 0}
    return Carts(**{**usual, **changes})


def looked(ago: timedelta | None, problem: str | None = None) -> list[Status]:
    return [Status("poll", None, 0, problem, None, ago, {})]


def amiss(said) -> list[str]:
    return [one.text for one in said if one.amiss]


def test_shares_are_worth_knowing():
    said = shops.of_carts("main", seen())
    assert [(one.text, one.amiss) for one in said] == [
        (
            "shop main: of the newest 200 open carts 12 % have no person, 88 % an e-mail address, "
            "45 % a phone number, 25 % a confirmed consent",
            False,
        )
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"ahead": 3}, "shop main: 3 carts seem to come from the future", id="from the future"),
        pytest.param(
            {"slip": timedelta(minutes=118), "dated": 50},
            "shop main: carts are dated 2 h ahead of when we see them change",
            id="summer time written as UTC",
        ),
        pytest.param(
            {"slip": timedelta(minutes=-61), "dated": 50},
            "shop main: carts are dated 1 h behind of when we see them change",
            id="an hour behind",
        ),
        pytest.param({"email": 0}, "shop main: no cart has a person with an e-mail address", id="nobody to write to"),
    ],
)
def test_what_carts_give_away(changes, expected):
    assert amiss(shops.of_carts("main", seen(**changes))) == [expected]


@pytest.mark.parametrize(
    ("slip", "dated"),
    [
        pytest.param(timedelta(minutes=-1), 50, id="a minute until we look"),
        pytest.param(timedelta(minutes=-30), 50, id="no whole hour"),
        pytest.param(timedelta(hours=-1), 3, id="too few"),
    ],
)
def test_a_delay_is_no_time_zone(slip, dated):
    assert amiss(shops.of_carts("main", seen(slip=slip, dated=dated))) == []


@pytest.mark.parametrize(
    ("works", "expected"),
    [
        pytest.param(looked(4 * MINUTE), [], id="looked at a moment ago"),
        pytest.param(looked(None), ["shop main: its carts and orders were never read"], id="never"),
        pytest.param(looked(7 * MINUTE), ["shop main: its carts and orders were last read 7 min ago"], id="long ago"),
    ],
)
def test_a_shop_that_is_looked_at(works, expected):
    assert amiss(shops.of_looks("main", True, works, MINUTE)) == expected


def test_an_event_that_never_comes_is_told_and_the_others_say_when():
    said = shops.of_events(
        "main", False, [Pushed("cart.updated", 12, 3 * MINUTE, None), Pushed("refused", 2, MINUTE, "no id")]
    )
    assert [(one.text, one.amiss) for one in said] == [
        ("shop main: cart.updated last came 3 min ago (12 lately)", False),
        ("shop main: 2 events were refused, the last 1 min ago", True),
        ("shop main: order.placed has never come", True),
    ]


def test_clocks_that_differ_are_told_once():
    skewed = Health(True, (), timedelta(minutes=-7))
    assert amiss(shops.of_health("main", skewed)) == ["shop main: its clock is 7 min behind ours"]
    told = Health(True, ("the database's clock is 7 min behind ours; set both by NTP",), timedelta(minutes=-7))
    assert len(shops.of_health("main", told)) == 1


@pytest.mark.parametrize(
    ("mode", "consequence"),
    [("live", "it is paused until orders come in time"), ("rehearsal", "it would be paused in a live shop")],
)
def test_orders_that_come_late_name_the_policy_that_has_to_wait(mode, consequence):
    words = ShopWords(connector="feed", url="https://shop.example", mode=mode)
    [said] = shops.of_orders("main", words, {"cart": "orders reach us up to 3 h late"})
    assert said.text == f"shop main, policy cart: orders reach us up to 3 h late; {consequence}"
    assert (said.about, said.amiss, "tillbell resume" in said.hint) == ("orders", True, True)
    assert shops.of_orders("main", words, {}) == []


def test_a_shop_out_of_reach():
    assert amiss(shops.of_health("main", Health(False))) == ["shop main: cannot be reached"]
