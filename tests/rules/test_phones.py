"""Texts go to mobile numbers in the countries that the shop writes to, and nowhere else."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rules.facts import Cart, Facts, Person
from rules.phones import barred
from rules.questions import Bar, unreachable


@pytest.mark.parametrize(
    ("number", "countries", "expected"),
    [
        pytest.param("+4915112345678", {"DE"}, "", id="a German mobile"),
        pytest.param("+4930123456", {"DE"}, "the number is no mobile one (landline)", id="a landline"),
        pytest.param("+491901234567", {"DE"}, "the number is no mobile one", id="a number that costs the sender"),
        pytest.param("+436641234567", {"DE"}, "the number is in AT, and texts go to DE only", id="another country"),
        pytest.param("+436641234567", {"DE", "AT"}, "", id="one of two countries"),
        pytest.param("+12025550143", {"US"}, "", id="an American number may be either"),
        pytest.param("+447911123456", set(), "", id="any country"),
        pytest.param("nonsense", {"DE"}, "the number is none that exists", id="no number"),
        pytest.param("", {"DE"}, "the number is none that exists", id="nothing"),
    ],
)
def test_texts_go_where_the_shop_writes_to(number, countries, expected):
    assert barred(number, countries).startswith(expected)
    assert bool(barred(number, countries)) == bool(expected)
    assert not number or number not in barred(number, countries)


def test_a_step_is_left_out_for_a_number_that_no_text_goes_to():
    left = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
    person = Person({"phone": "+436641234567"})
    facts = Facts(cart=Cart(left, Decimal(50), "EUR"), person=person, started_at=left, texts_to=frozenset({"DE"}))
    assert unreachable(facts, "sms") == Bar("no_address", "the number is in AT, and texts go to DE only")
    assert unreachable(facts, "email") == Bar("no_address", "there is no address for email")
