"""When a text may go out: country by country, state by state, by every clock that may be the person's."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import hours, law, questions
from rules.facts import Cart, Facts, Person
from rules.policy import Policy

ANY = {"name": "p", "steps": [{"name": "a", "send": "email", "after": "1h"}]}
ANY_TIME = Policy.model_validate(ANY)
EASTERN, CENTRAL, PACIFIC = "America/New_York", "America/Chicago", "America/Los_Angeles"
NEW_YORK, CHICAGO, LOS_ANGELES, PROVIDENCE, TOLL_FREE = (
    "+12125551234",
    "+13125551234",
    "+12135551234",
    "+14015551234",
    "+18005551234",
)


def next_text(profile, at, policy=ANY_TIME, channel="sms", shop="UTC", zone="", region="", phone=""):
    person = Person({"phone": phone} if phone else {}, zone=zone, region=region)
    where = hours.zone_of(zone, shop)
    return hours.next_allowed(policy, at, where, law.clocks(profile, channel, person, shop))


def case(profile, zone, local, expected, sentence, **known):
    return pytest.param(profile, zone, local, expected, known, id=sentence)


@pytest.mark.parametrize(
    ("profile", "zone", "local", "expected", "known"),
    [
        case("de", "Europe/Berlin", "2026-05-04 19:59", "05-04 19:59", "Germany: one minute to eight is early enough"),
        case("de", "Europe/Berlin", "2026-05-04 20:00", "05-05 09:00", "Germany: at eight it is over until nine"),
        case("de", "Europe/Berlin", "2026-05-10 09:00", "05-10 12:00", "Germany: on Sundays not before noon"),
        case("de", "Europe/Berlin", "2026-05-14 09:00", "05-14 12:00", "Germany: Ascension Day is like a Sunday"),
        case("at", "Europe/Vienna", "2026-10-26 09:00", "10-26 12:00", "Austria: its national day is like a Sunday"),
        case("ch", "Europe/Zurich", "2026-08-01 09:00", "08-01 12:00", "Switzerland: the first of August, too"),
        case("it", "Europe/Rome", "2026-06-02 09:00", "06-02 12:00", "Italy: the day of the republic, too"),
        case("uk", "Europe/London", "2026-05-25 09:00", "05-25 12:00", "United Kingdom: a bank holiday, too"),
        case("uk", "Europe/London", "2026-05-26 08:00", "05-26 09:00", "United Kingdom: from nine in the morning"),
        case("none", "Asia/Tokyo", "2026-05-10 09:00", "05-10 12:00", "no country: Sunday's noon all the same"),
        case("none", "Asia/Tokyo", "2026-05-06 09:00", "05-06 09:00", "no country: and nobody's holidays"),
        case("fr", "Europe/Paris", "2026-05-09 20:00", "05-11 09:00", "France: no text on a Sunday"),
        case("fr", "Europe/Paris", "2026-05-07 21:00", "05-09 09:00", "France: none on Victory Day, a Friday"),
        case("fr", "Europe/Paris", "2026-07-14 10:00", "07-15 09:00", "France: none on the fourteenth of July"),
        case("fr", "Europe/Paris", "2026-04-03 10:00", "04-04 09:00", "France: none on Good Friday, for Alsace's sake"),
        case("fr", "Europe/Paris", "2026-12-24 20:00", "12-28 09:00", "France: Christmas, St Stephen's and a Sunday"),
        case("us", EASTERN, "2026-05-05 20:00", "05-06 09:00", "no state known: nine to eight"),
        case("us", EASTERN, "2026-07-03 09:00", "07-03 12:00", "Independence Day observed is like a Sunday"),
        case("us", CENTRAL, "2026-05-10 11:00", "05-10 12:00", "Texas: on Sundays not before noon", region="US-TX"),
        case("us", CENTRAL, "2026-05-05 20:00", "05-06 09:00", "Texas: nine, though eight is ours", region="US-TX"),
        case("us", EASTERN, "2026-05-05 19:59", "05-05 19:59", "Florida: until eight", region="US-FL"),
        case("us", EASTERN, "2026-05-05 20:00", "05-06 09:00", "Florida: and not after", region="US-FL"),
        case("us", EASTERN, "2026-05-05 18:00", "05-06 09:00", "Rhode Island: over at six", region="US-RI"),
        case("us", EASTERN, "2026-05-09 09:30", "05-09 10:00", "Rhode Island: Saturdays from ten", region="US-RI"),
        case("us", EASTERN, "2026-05-09 17:00", "05-10 12:00", "Rhode Island: until five", region="US-RI"),
        case(
            "us", EASTERN, "2026-08-10 10:00", "08-11 09:00", "Rhode Island: never on its Victory Day", region="US-RI"
        ),
        case("us", CENTRAL, "2026-05-09 20:00", "05-11 09:00", "Louisiana: never on a Sunday", region="US-LA"),
        case("us", CENTRAL, "2026-02-17 12:00", "02-18 09:00", "Louisiana: never on Mardi Gras", region="US-LA"),
        case("us", CENTRAL, "2026-04-27 12:00", "04-28 09:00", "Mississippi: never on a holiday", region="US-MS"),
        case("us", EASTERN, "2026-05-05 09:00", "05-05 10:00", "Kentucky: ten by the strictest source", region="US-KY"),
        case("us", EASTERN, "2026-05-05 18:00", "05-06 09:00", "the area code tells the state", phone=PROVIDENCE),
        case("us", CENTRAL, "2026-05-05 18:00", "05-06 09:00", "two states count", phone=PROVIDENCE, region="US-TX"),
        case("us", EASTERN, "2026-05-05 09:00", "05-05 12:00", "two zones: nine in the later", phone=LOS_ANGELES),
        case("us", PACIFIC, "2026-05-05 17:00", "05-06 09:00", "two zones: eight in the earlier", phone=NEW_YORK),
        case("us", EASTERN, "2026-05-10 12:00", "05-10 13:00", "two zones: Sunday's noon in both", phone=CHICAGO),
        case("de", "Europe/Berlin", "2026-05-05 09:00", "05-05 10:00", "a British number: both", phone="+447911123456"),
    ],
)
def test_the_next_text(profile, zone, local, expected, known):
    where = ZoneInfo(zone)
    at = datetime.fromisoformat(local).replace(tzinfo=where).astimezone(UTC)
    found = next_text(profile, at, zone=zone, **known)
    assert found.astimezone(where).isoformat(" ", "minutes")[5:16] == expected


@pytest.mark.parametrize("phone", ["", TOLL_FREE, "+1555", "nonsense"])
@pytest.mark.parametrize(
    ("local", "expected"),
    [
        pytest.param("2026-05-04 11:59", "2026-05-04 12:00", id="nine in Los Angeles is noon in New York"),
        pytest.param("2026-01-14 11:59", "2026-01-14 12:00", id="in winter, too"),
        pytest.param("2026-05-04 19:59", "2026-05-04 19:59", id="open until eight in New York"),
        pytest.param("2026-05-04 20:00", "2026-05-05 12:00", id="and closed after"),
        pytest.param("2026-05-10 12:00", "2026-05-10 15:00", id="Sunday's noon must have come in Los Angeles"),
        pytest.param("2026-03-08 09:00", "2026-03-08 15:00", id="on the day the clocks are put forward"),
        pytest.param("2026-11-01 09:00", "2026-11-01 15:00", id="on the day they are put back"),
    ],
)
def test_an_american_whose_zone_is_unknown_gets_texts_when_all_four_zones_may(phone, local, expected):
    eastern = ZoneInfo(EASTERN)
    at = datetime.fromisoformat(local).replace(tzinfo=eastern).astimezone(UTC)
    found = next_text("us", at, shop="Europe/Berlin", phone=phone)
    assert found.astimezone(eastern).isoformat(" ", "minutes")[:16] == expected


@pytest.mark.parametrize(
    ("profile", "zone", "local", "expected"),
    [
        pytest.param("de", "Europe/Berlin", "2026-03-28 21:00", "2026-03-29 12:00+02:00", id="Berlin, short night"),
        pytest.param("de", "Europe/Berlin", "2026-10-24 21:00", "2026-10-25 12:00+01:00", id="Berlin, long night"),
        pytest.param("us", EASTERN, "2026-03-07 21:00", "2026-03-08 12:00-04:00", id="New York, short night"),
        pytest.param("us", "America/Phoenix", "2026-03-07 21:00", "2026-03-08 12:00-07:00", id="Phoenix: no change"),
        pytest.param("none", "Australia/Lord_Howe", "2026-10-03 21:00", "2026-10-04 12:00+11:00", id="half an hour"),
        pytest.param("none", "Africa/Cairo", "2026-04-23 21:00", "2026-04-24 09:00+03:00", id="Cairo, at midnight"),
    ],
)
def test_the_wall_clock_counts_when_the_clocks_are_changed(profile, zone, local, expected):
    where = ZoneInfo(zone)
    at = datetime.fromisoformat(local).replace(tzinfo=where).astimezone(UTC)
    assert next_text(profile, at, zone=zone).astimezone(where).isoformat(" ", "minutes") == expected


def test_where_nothing_is_known_the_shops_zone_counts():
    at = datetime(2026, 5, 5, 7, 30, tzinfo=UTC)
    assert next_text("de", at, shop="Europe/Berlin") == at
    assert next_text("de", at, shop="Europe/London") == datetime(2026, 5, 5, 8, tzinfo=UTC)
    assert next_text("de", at, shop="nowhere") == datetime(2026, 5, 5, 9, tzinfo=UTC)


def test_a_number_that_could_be_anywhere_tells_no_zone():
    at = datetime(2026, 5, 5, 8, tzinfo=UTC)
    assert next_text("de", at, zone="Europe/Berlin", phone="+79161234567") == at


@pytest.mark.parametrize("profile", law.PROFILES)
@pytest.mark.parametrize("channel", ["email", "webpush"])
def test_mails_and_pushes_have_no_hours_by_law(profile, channel):
    night = datetime(2026, 5, 10, 2, tzinfo=UTC)
    assert next_text(profile, night, channel=channel, zone="Europe/Paris", phone=PROVIDENCE) == night


def test_hours_of_the_policy_and_of_the_law_both_hold():
    evening = Policy.model_validate({**ANY, "quiet": "20:30-11:00"})
    berlin = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 5, 5, 21, tzinfo=berlin).astimezone(UTC)
    found = next_text("de", at, policy=evening, zone="Europe/Berlin")
    assert found.astimezone(berlin).isoformat(" ", "minutes") == "2026-05-06 11:00+02:00"


def test_hours_that_the_law_leaves_none_of():
    sundays = Policy.model_validate({**ANY, "on": {"days": ["sun"]}})
    nights = Policy.model_validate({**ANY, "on": {"between": "20:00-9:00"}})
    assert hours.ever_allowed(sundays, law.weeks("de", "sms"))
    assert not hours.ever_allowed(sundays, law.weeks("fr", "sms"))
    assert not hours.ever_allowed(nights, law.weeks("none", "sms"))
    assert next_text("fr", datetime(2026, 5, 5, tzinfo=UTC), policy=sundays, zone="Europe/Paris") is None


def texted(at, profile="de", zone="Europe/Berlin", **words):
    """(what holds a text back at this wall clock, until when one handed over may arrive)"""
    now = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    policy = Policy.model_validate({**ANY, "legal": profile, **words})
    facts = Facts(Cart(now, Decimal(9), "EUR"), Person({"phone": "+4915112345678"}, zone=zone), now, shop_zone=zone)
    hold = questions.out_of_hours(policy, facts, "sms", now)
    until = questions.deliverable_until(policy, facts, "sms", now, now + timedelta(hours=30))
    shown = until.astimezone(ZoneInfo(zone))
    return hold and hold.because, f"{shown:%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("at", "words", "expected"),
    [
        pytest.param("2026-05-04 12:00", {}, "05-04 20:00", id="until the hours of the law end"),
        pytest.param("2026-05-04 12:00", {"quiet": "18:00-7:00"}, "05-04 18:00", id="or those of the policy"),
        pytest.param("2026-05-04 12:00", {"on": {"between": "9:00-17:00"}}, "05-04 17:00", id="or its part of the day"),
        pytest.param("2026-05-09 12:00", {"profile": "fr", "zone": "Europe/Paris"}, "05-09 20:00", id="before Sunday"),
        pytest.param("2026-05-04 21:00", {}, "05-04 21:00", id="at night: not at all"),
        pytest.param("2026-05-04 19:57", {}, "05-04 20:00", id="three minutes are enough"),
    ],
)
def test_a_text_may_arrive_until_its_hours_end(at, words, expected):
    assert texted(at, **words)[1] == expected


def test_a_mail_may_arrive_until_its_step_is_over():
    now = datetime(2026, 5, 4, 10, tzinfo=UTC)
    facts = Facts(Cart(now, Decimal(9), "EUR"), Person({"email": "a@example.org"}), now)
    over = now + timedelta(hours=23)
    assert questions.deliverable_until(ANY_TIME, facts, "email", now, over) == over


def test_a_text_does_not_leave_when_it_could_not_arrive_in_time():
    assert texted("2026-05-04 19:57")[0] is None
    because = "it is 19:59 on Monday in Europe/Berlin, and in less than 2 min the hours for sms are over"
    assert texted("2026-05-04 19:59")[0] == because


ZONES = ["", "Europe/Berlin", "Europe/Paris", EASTERN, CENTRAL, "America/Phoenix", PACIFIC, "Australia/Lord_Howe"]
PHONES = ["", NEW_YORK, PROVIDENCE, LOS_ANGELES, TOLL_FREE, "+4915112345678", "+33612345678"]
STATES = ["", *law.PROFILES["us"].states]


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(list(law.PROFILES)),
    st.sampled_from(ZONES),
    st.sampled_from(STATES),
    st.sampled_from(PHONES),
    st.integers(0, 2 * 365 * 24 * 12),
)
def test_no_text_leaves_outside_of_the_hours_and_none_waits_longer_than_it_must(profile, zone, region, phone, five):
    """Held against nine to eight and Sunday's noon written down once more, and against a walk in steps of 5 minutes."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=5 * five)
    person = Person({"phone": phone} if phone else {}, zone=zone, region=region)
    clocks = law.clocks(profile, "sms", person, "Europe/Berlin")
    found = next_text(profile, at, shop="Europe/Berlin", zone=zone, region=region, phone=phone)
    if found is None:
        assert _apart(clocks)
        return
    for clock in clocks:
        local = found.astimezone(clock.where)
        assert 9 <= local.hour < 20
        assert local.weekday() != 6 or local.hour >= 12
        assert profile != "fr" or local.weekday() != 6
    walked = at
    while not all(clock.week.holds(walked.astimezone(clock.where)) for clock in clocks):
        walked += timedelta(minutes=5)
    assert found == walked
    over = hours.next_forbidden(ANY_TIME, found, hours.zone_of(zone, "Europe/Berlin"), clocks)
    while all(clock.week.holds(walked.astimezone(clock.where)) for clock in clocks):
        walked += timedelta(minutes=5)
    assert over == walked


def _apart(clocks):
    """No hour of a week is lawful in both zones, as in Berlin and Los Angeles, or New South Wales and New York."""
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    return not any(
        all(clock.week.holds((monday + timedelta(minutes=30 * no)).astimezone(clock.where)) for clock in clocks)
        for no in range(7 * 48)
    )
