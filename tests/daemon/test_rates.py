"""Rates as operators write them."""

from __future__ import annotations

import pytest

from daemon.rates import Rate, rate_of, read_domain_rates, read_rate


@pytest.mark.parametrize(
    ("text", "tokens", "span"),
    [
        pytest.param("500/s", 500, 1.0, id="by the second"),
        pytest.param(" 90 / m", 1, 1 / 1.5, id="by the minute"),
        pytest.param("100/h", 1, 36.0, id="by the hour: one each 36 s"),
        pytest.param("7200/h", 2, 1.0, id="two a second, said by the hour"),
    ],
)
def test_a_rate_bounds_each_span(text, tokens, span):
    rate = read_rate(text)
    assert rate.tokens == tokens
    assert rate.span == pytest.approx(span)
    assert read_rate(str(rate)) == rate


@pytest.mark.parametrize("text", ["500", "0/s", "-1/s", "5/d", "1.5/s", "fast", "999999/s", "1/s/s", ""])
def test_nonsense_is_no_rate(text):
    with pytest.raises(ValueError, match=r"is not a rate|out of bounds"):
        read_rate(text)


def test_domains_of_one_provider_count_together():
    rates = read_domain_rates("gmail.com+googlemail.com=20/s, *=5/s")
    assert rate_of("googlemail.com", rates) == ("gmail.com", Rate(20))
    assert rate_of("web.de", rates) == ("web.de", Rate(5))
    assert rate_of("", rates) is None
    assert rate_of("web.de", read_domain_rates("gmail.com=20/s")) is None
    assert read_domain_rates(",".join(map(str, rates))) == rates


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gmail.com", "has no rate"),
        ("gmail.com=quick", "is not a rate"),
        ("gmail=5/s", "is not a domain"),
        ("@gmail.com=5/s", "is not a domain"),
        ("gmail.com=5/s,web.de+gmail.com=4/s", "has two rates"),
        ("*+web.de=5/s", "cannot share"),
        ("*=5/s,*=6/s", "has two rates"),
    ],
)
def test_what_makes_no_sense_is_named(text, said):
    with pytest.raises(ValueError, match=said):
        read_domain_rates(text)
