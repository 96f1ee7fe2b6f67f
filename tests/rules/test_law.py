"""On what ground a message may go out, and whether its reader may be followed."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rules import law
from rules.facts import Bought, Cart, Consent, Facts, Person
from rules.law import places
from rules.law.areas import AREA_CODES
from rules.law.profile import holidays_in

NOW = datetime(2026, 5, 4, tzinfo=UTC)
BEFORE = NOW - timedelta(days=100)


def consent(state, purpose="email_mkt"):
    return {purpose: Consent(state, 812, BEFORE)}


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
    assert law.why_no_basis("email", facts(**known)).startswith(f'{sentence}; by profile "de": ')


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


EUROPE = ("de", "at", "ch", "fr", "it", "uk")
CONSENT, CUSTOMER, NO_NEED, NOTHING = "consent", "existing_customer", "none_required", None
BOUGHT = {"bought": ORDER, "notice": BEFORE}


@pytest.mark.parametrize(
    ("profile", "channel", "of_a_stranger", "of_a_customer"),
    [
        pytest.param("de", "email", NOTHING, CUSTOMER, id="Germany: customers may get mails"),
        pytest.param("de", "sms", NOTHING, NOTHING, id="Germany: customers get no texts without consent"),
        pytest.param("at", "email", NOTHING, CUSTOMER, id="Austria: customers may get mails"),
        pytest.param("at", "sms", NOTHING, CUSTOMER, id="Austria: and texts"),
        pytest.param("ch", "email", NOTHING, CUSTOMER, id="Switzerland: customers may get mails"),
        pytest.param("ch", "sms", NOTHING, CUSTOMER, id="Switzerland: and texts"),
        pytest.param("fr", "email", NOTHING, CUSTOMER, id="France: customers may get mails"),
        pytest.param("fr", "sms", NOTHING, CUSTOMER, id="France: and texts"),
        pytest.param("it", "email", NOTHING, CUSTOMER, id="Italy: customers may get mails"),
        pytest.param("it", "sms", NOTHING, NOTHING, id="Italy: and nothing but mails"),
        pytest.param("uk", "email", NOTHING, CUSTOMER, id="United Kingdom: customers may get mails"),
        pytest.param("uk", "sms", NOTHING, CUSTOMER, id="United Kingdom: and texts"),
        pytest.param("us", "email", NO_NEED, CUSTOMER, id="United States: anybody may get mails"),
        pytest.param("us", "sms", NOTHING, NOTHING, id="United States: texts only with consent"),
        pytest.param("none", "email", NO_NEED, CUSTOMER, id="no country: anybody may get mails"),
        pytest.param("none", "sms", NOTHING, NOTHING, id="no country: texts only with consent even so"),
        *(pytest.param(name, "webpush", NOTHING, NOTHING, id=f"{name}: pushes by consent") for name in law.PROFILES),
        *(pytest.param(name, "audience", NOTHING, NOTHING, id=f"{name}: ads by consent") for name in law.PROFILES),
    ],
)
def test_the_ground_by_country_and_channel(profile, channel, of_a_stranger, of_a_customer):
    def kind(**known):
        found = law.basis(profile, channel, facts(**known))
        return found and found.kind

    purpose = law.PURPOSES[channel]
    assert kind() == of_a_stranger
    assert kind(**BOUGHT) == of_a_customer
    assert kind(consents=consent("confirmed", purpose)) == CONSENT
    assert kind(consents=consent("withdrawn", purpose), **BOUGHT) is NOTHING
    assert kind(consents=consent("hint", purpose)) == of_a_stranger


def test_consent_to_mails_is_none_to_texts():
    assert law.basis("uk", "sms", facts(consents=consent("confirmed"))) is None


def test_why_a_purchase_is_no_ground_for_a_text():
    assert law.why_no_basis("sms", facts(**BOUGHT), "it") == (
        'no confirmed consent, and a purchase does not stand in for it on sms; by profile "it": Advertising '
        "by e-mail or text needs consent. (Art. 130(1) and (2) Codice privacy (d.lgs. 196/2003); noted 2026-11)"
    )


@pytest.mark.parametrize("purpose", ["track_open", "track_click"])
@pytest.mark.parametrize(
    ("profile", "free"), [*((name, False) for name in EUROPE), ("us", True), ("none", True)], ids=str
)
def test_who_may_be_followed_without_consent(profile, free, purpose):
    assert law.may_track(profile, Person(), purpose) is free
    assert law.may_track(profile, Person(consents=consent("confirmed", purpose)), purpose)
    assert not law.may_track(profile, Person(consents=consent("withdrawn", purpose)), purpose)


@pytest.mark.parametrize("profile", law.PROFILES)
def test_a_person_gets_one_text_a_day_and_mails_as_the_policy_says(profile):
    assert [str(cap) for cap in law.caps(profile, "sms")] == ["1 per 24h"]
    assert law.caps(profile, "email") == ()


def test_only_the_united_states_limit_texts_for_each_cart():
    assert [name for name in law.PROFILES if law.per_cart(name, "sms")] == ["us"]
    assert not any(law.per_cart(name, "email") for name in law.PROFILES)


@pytest.mark.parametrize(
    ("phone", "region", "expected"),
    [
        pytest.param("+13055551234", "", ("US-FL",), id="an area code of Florida"),
        pytest.param("+13055551234", "US-TX", ("US-TX", "US-FL"), id="moved from Florida to Texas"),
        pytest.param("+13055551234", "US-FL", ("US-FL",), id="both say the same"),
        pytest.param("+12125551234", "", (), id="New York has no hours of its own"),
        pytest.param("+493055512345", "", (), id="Berlin's 305 is not Florida's"),
        pytest.param("+1305", "", (), id="half a number"),
        pytest.param("", "US-RI", ("US-RI",), id="no number"),
    ],
)
def test_the_state_of_an_american(phone, region, expected):
    assert places.states_of(Person({"phone": phone}, region=region)) == expected


def test_every_area_code_leads_to_a_state_with_hours():
    assert set(AREA_CODES.values()) == set(law.PROFILES["us"].states)
    assert all(len(code) == 3 and code.isdigit() for code in AREA_CODES)


@pytest.mark.parametrize("area", ["DE", "AT", "CH", "FR", "FR-6AE", "IT", "GB", "US", "US-RI", "US-LA", "US-MS"])
def test_every_year_has_its_holidays(area):
    for year in (2025, 2026, 2030):
        assert any(day.month == 12 and day.day == 25 for day in holidays_in(area, year))


def weeks_of(profile):
    return [week for hours in profile.weeks.values() for week in hours] + list(profile.states.values())


@pytest.mark.parametrize("profile", law.PROFILES.values(), ids=lambda profile: profile.name)
def test_every_rule_names_its_source_and_when_it_was_noted(profile):
    rules = [
        *profile.rules,
        *(week.rule for week in weeks_of(profile)),
        *(one.rule for one in profile.per_cart.values()),
    ]
    assert profile.rules
    assert profile.title
    for rule in rules:
        assert rule.text.endswith(".")
        assert rule.source
        assert re.fullmatch(r"20\d\d-\d\d", rule.noted)
        assert str(rule) == f"{rule.text} ({rule.source}; noted {rule.noted})"


def test_the_manual_has_every_rule_and_says_that_it_is_no_advice():
    manual = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
    assert "not legal advice" in manual
    for profile in law.PROFILES.values():
        assert f"### `{profile.name}`: {profile.title}" in manual
        for rule in (*profile.rules, *(week.rule for week in weeks_of(profile))):
            assert f"* {rule.text} ({rule.source}; noted {rule.noted}" in manual
