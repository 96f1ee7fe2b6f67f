"""Phone numbers as shops write them become numbers that texts go to."""

from __future__ import annotations

import pytest

from daemon.flow.persons import e164


@pytest.mark.parametrize(
    ("phone", "country", "at_home", "number"),
    [
        pytest.param("+49 151 12345678", "", "", "+4915112345678", id="with its country's code"),
        pytest.param("0151/123 456 78", "DE", "", "+4915112345678", id="of the customer's country"),
        pytest.param("0151 12345678", "", "DE", "+4915112345678", id="of the shop's, where nobody says"),
        pytest.param("06 12 34 56 78", "FR", "DE", "+33612345678", id="the customer's comes before the shop's"),
        pytest.param("0151 12345678", "Deutschland", "DE", "+4915112345678", id="a country that is no code"),
        pytest.param("0151 12345678", "de", "", "+4915112345678", id="in small letters"),
        pytest.param("0151 12345678", "", "", None, id="of no country"),
        pytest.param("0151 12345678", "US", "DE", None, id="none of the customer's country is not made one of ours"),
        pytest.param("12345", "DE", "DE", None, id="too short"),
        pytest.param(" ", "DE", "DE", None, id="none"),
    ],
)
def test_number_is_read_in_the_country_that_it_is_of(phone, country, at_home, number):
    assert e164(phone, country, at_home) == number
