"""Spans, money, caps, windows and shares as people write them."""

from datetime import time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45m", 2700), ("1h", 3600), ("1h30m", 5400), ("1.5h", 5400), ("7d", 604800), ("90s", 90), ("2 weeks", 1209600)],
)
def test_read_span(text, seconds):
    assert values.read_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["7", 7, "-5m", "1:30", "soon", "", None, True, "0m", "400d", "5m -3m", "1e3s", [1]])
def test_what_is_no_span(text):
    with pytest.raises(ValueError, match=r"span|out of bounds"):
        values.read_span(text)


@given(st.integers(1, 366 * 86400))
def test_a_span_is_written_as_it_is_read(seconds):
    span = timedelta(seconds=seconds)
    assert values.read_span(values.write_span(span)) == span


@pytest.mark.parametrize(
    ("span", "text"),
    [("45m", "45 min"), ("90m", "1 h 30 min"), ("24h", "24 h"), ("72h", "72 h"), ("7d", "7 days"), ("10s", "10 s")],
)
def test_spoken(span, text):
    assert values.spoken(values.read_span(span)) == text


def test_read_money():
    assert values.read_money("20 EUR") == values.Money(Decimal(20), "EUR")
    assert str(values.read_money("19.90 CHF")) == "19.90 CHF"


@pytest.mark.parametrize("text", ["20", "20 eur", "EUR 20", "-1 EUR", "1,50 EUR", 20, "20 €"])
def test_what_is_no_money(text):
    with pytest.raises(ValueError, match="amount of money"):
        values.read_money(text)


def test_read_cap():
    assert str(values.read_cap("4 per 7d")) == "4 per 7d"
    assert [cap.count for cap in values.read_caps(["1 per 24h", "4 per 7d"])] == [1, 4]


@pytest.mark.parametrize("text", ["4", "4 per", "four per 7d", "0 per 7d", "4 per 7", 4])
def test_what_is_no_cap(text):
    with pytest.raises(ValueError, match=r"cap|span|never"):
        values.read_cap(text)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22:00-07:00", [time(22), time(23, 59), time(0), time(6, 59)], [time(7), time(12), time(21, 59)]),
        ("9:00-18:00", [time(9), time(17, 59)], [time(18), time(8, 59), time(0)]),
        ("0:00-12:00", [time(0), time(11, 59)], [time(12)]),
        ("18:00-24:00", [time(18), time(23, 59)], [time(0), time(17)]),
    ],
)
def test_read_window(text, inside, outside):
    window = values.read_window(text)
    assert all(window.holds(at) for at in inside)
    assert not any(window.holds(at) for at in outside)


@pytest.mark.parametrize("text", ["9-18", "25:00-07:00", "7:00-7:00", "9:60-10:00", "24:00-7:00", "9:00-24:30", 9])
def test_what_is_no_part_of_a_day(text):
    with pytest.raises(ValueError, match=r"part of the day|same minute"):
        values.read_window(text)


def test_read_share():
    assert [values.read_share(text) for text in ("10%", "0%", "2.5 %", "50%")] == [0.1, 0, 0.025, 0.5]


@pytest.mark.parametrize("text", ["10", "51%", "-1%", 10, "ten", "0.1"])
def test_what_is_no_share(text):
    with pytest.raises(ValueError, match="share"):
        values.read_share(text)


def test_read_subject():
    assert values.read_subject("Your cart") == {"": "Your cart"}
    assert values.read_subject({"de": "Ihr Korb"}) == {"de": "Ihr Korb"}
    for nothing in ("", {}, [], {"de": ""}, 3):
        with pytest.raises(ValueError, match="subject"):
            values.read_subject(nothing)
