"""The terms on which a cart becomes a recovery."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.enrolment import condition_holds, like, terms, would_start
from rules.facts import Cart, Facts, Line, Person
from rules.policy import Policy
from rules.questions import matches

NOW = datetime(2026, 5, 4, tzinfo=UTC)
POLICY = Policy.model_validate(
    {
        "name": "main",
        "starts": {
            "rests_for": "45m",
            "total_at_least": "20 EUR",
            "not_older_than": "3d",
            "again_after": "14d",
            "only_if": 'cart.items.exists(i, i.category != "gift-card")',
            "never": {"addresses": ["@Marketplace.amazon.*", "no_reply@*"], "groups": ["staff"]},
        },
        "steps": [{"name": "remind", "send": "email", "after": "1h"}],
    }
)


def test_terms_are_parameters_of_one_statement():
    found = terms(POLICY)
    assert (found.name, found.hash, found.has_condition) == ("main", POLICY.hash, True)
    assert (found.rests_for, found.not_older_than) == (timedelta(minutes=45), timedelta(days=3))
    assert (found.total_at_least, found.currency) == (Decimal(20), "EUR")
    assert (found.never_like, found.never_groups) == (("%@marketplace.amazon.%", "no\\_reply@%"), ("staff",))
    assert (found.again_after, found.existing_customers_only) == (timedelta(days=14), False)


def as_regex(pattern):
    """What PostgreSQL's LIKE does, backslash as escape."""
    parts = re.findall(r"\\.|.", pattern, re.S)
    return "".join({"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts)


@given(
    st.from_regex(r"\A(@|[a-z_%\\*]{0,4}@)[a-z*._%]{1,6}\Z"), st.from_regex(r"\A[A-Za-z_%\\]{1,4}@[A-Za-z._%]{1,6}\Z")
)
def test_the_statement_and_the_rules_mean_the_same_addresses(pattern, address):
    assert matches(pattern, address) is bool(re.fullmatch(as_regex(like(pattern)), address.lower(), re.S))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("x1@marketplace.amazon.de", True),
        ("X1@Marketplace.Amazon.COM", True),
        ("x1@marketplace.amazon.de.example.org", True),
        ("x1@amazon.de", False),
        ("marketplace.amazon.de@example.org", False),
    ],
)
def test_never_write_patterns(address, expected):
    assert matches("@marketplace.amazon.*", address) is expected


def test_a_pattern_without_a_star_is_that_host_alone():
    assert matches("@example.org", "a@example.org")
    assert not matches("@example.org", "a@sub.example.org")
    assert not matches("@example.org", "a@example.org.uk")


def cart(category="lamps", total=50, age=1.0, currency="EUR"):
    line = Line("P", "Lamp", Decimal(1), Decimal(9), category)
    return Cart(NOW - timedelta(hours=age), Decimal(total), currency, (line,))


def test_the_condition_is_asked_for_each_cart():
    assert condition_holds(POLICY, cart(), Person()).holds
    assert not condition_holds(POLICY, cart("gift-card"), Person()).holds
    free = POLICY.altered(starts=POLICY.starts.model_copy(update={"only_if": None}))
    assert condition_holds(free, cart("gift-card"), Person()).holds


@pytest.mark.parametrize(
    ("known", "person", "fails"),
    [
        pytest.param({}, Person(), [], id="starts"),
        pytest.param({"age": 0.5}, Person(), [0], id="not at rest"),
        pytest.param({"age": 80}, Person(), [1], id="found too late"),
        pytest.param({"total": 19}, Person(), [2], id="worth too little"),
        pytest.param({"currency": "CHF"}, Person(), [2], id="another currency"),
        pytest.param({}, Person(group="staff"), [3], id="staff"),
        pytest.param({"category": "gift-card"}, Person(), [4], id="nothing but gift cards"),
    ],
)
def test_would_start(known, person, fails):
    asked = would_start(POLICY, Facts(cart(**known), person, NOW), NOW)
    assert [no for no, question in enumerate(asked) if not question.passed] == fails
