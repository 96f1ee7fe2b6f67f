"""On what ground a message may go out, and whether its reader may be followed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rules import law
from rules.facts import Bought, Cart, Consent, Facts, Person

NOW = datetime(2026, 5, 4, tzinfo=UTC)
BEFORE = NOW - timedelta(days=100)


def consent(state):
    return {"email_mkt": Consent(state, 812, BEFORE)}


def facts(consents=None, bought=None, notice=None):
    person = Person({"email": "a@b.test"}, consents=consents or {}, last_bought=bought)
    return Facts(Cart(NOW, Decimal(1), "EUR"), person, NOW, notice_since=notice)


ORDER = Bought("4711", BEFORE)


@pytest.mark.parametrize(
    ("profile", "known", "expected"),
    [
        pytest.param("de", {"consents": consent("confirmed")}, "consent 812, confirmed 2026-01-24", id="double opt-in"),
        pytest.param("de", {}, None, id="a stranger"),
        pytest.param("de", {"consents": consent("requested")}, None, id="asked, never confirmed"),
        pytest.param("de", {"consents": consent("hint")}, None, id="a tick in the shop proves nothing"),
        pytest.param("de", {"bought": ORDER, "notice": BEFORE}, "order 4711 of 2026-01-24", id="existing customer"),
        pytest.param("de", {"bought": ORDER}, None, id="existing customer, and the shop never told them"),
        pytest.param("de", {"bought": ORDER, "notice": NOW}, None, id="bought before the shop began to tell"),
        pytest.param(
            "de", {"bought": ORDER, "notice": BEFORE, "consents": consent("withdrawn")}, None, id="bought, but objected"
        ),
        pytest.param(
            "de",
            {"bought": ORDER, "notice": BEFORE, "consents": consent("hint")},
            "order 4711 of 2026-01-24",
            id="no proof of consent, but an order",
        ),
        pytest.param("none", {}, 'profile "none" asks for no ground', id="no law to keep"),
        pytest.param("none", {"consents": consent("withdrawn")}, None, id="no law, and still no means no"),
        pytest.param(
            "none", {"consents": consent("confirmed")}, "consent 812, confirmed 2026-01-24", id="proof is kept"
        ),
    ],
)
def test_basis(profile, known, expected):
    found = law.basis(profile, "email", facts(**known))
    assert (found and found.evidence) == expected


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        pytest.param({}, "no confirmed consent, and no earlier order", id="a stranger"),
        pytest.param({"consents": consent("withdrawn")}, "consent 812 was withdrawn on 2026-01-24", id="withdrawn"),
        pytest.param(
            {"consents": consent("hint"), "bought": ORDER},
            "consent is only a hint, not confirmed, and the shop names no notice to its customers "
            "(existing_customer_notice)",
            id="hint",
        ),
        pytest.param(
            {"consents": consent("requested"), "bought": ORDER, "notice": NOW},
            "consent was asked for, not confirmed, and order 4711 is older than the notice to customers",
            id="requested",
        ),
    ],
)
def test_why_there_is_none(known, sentence):
    assert law.basis("de", "email", facts(**known)) is None
    assert law.why_no_basis("email", facts(**known)) == sentence


@pytest.mark.parametrize(
    ("profile", "state", "expected"),
    [
        ("de", None, False),
        ("de", "hint", False),
        ("de", "requested", False),
        ("de", "confirmed", True),
        ("de", "withdrawn", False),
        ("none", None, True),
        ("none", "confirmed", True),
        ("none", "withdrawn", False),
    ],
)
def test_may_track(profile, state, expected):
    other = {"track_open": Consent("confirmed", 1, BEFORE)}
    consents = {"track_click": Consent(state, 2, BEFORE)} if state else {}
    assert law.may_track(profile, Person(consents={**other, **consents}), "track_click") is expected


def test_every_rule_names_its_source_and_when_it_was_noted():
    for profile in law.PROFILES.values():
        assert profile.rules
        assert all(rule.text and rule.source and rule.noted for rule in profile.rules)
