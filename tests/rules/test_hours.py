"""Quiet hours, weekdays and part of the day where the person lives, also when the clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import hours
from rules.policy import Policy


def policy(**words) -> Policy:
    return Policy.model_validate({"name": "p", "steps": [{"name": "a", "send": "email", "after": "1h"}], **words})


OFFICE = {"days": ["mon", "tue", "wed", "thu", "fri"], "between": "9:00-18:00"}


@pytest.mark.parametrize(
    ("words", "zone", "local", "expected"),
    [
        pytest.param({}, "Europe/Berlin", "2026-05-04 03:00", "2026-05-04 03:00+02:00", id="no hours: always"),
        pytest.param(
            {"quiet": "22:00-07:00"}, "Europe/Berlin", "2026-05-04 21:59", "2026-05-04 21:59+02:00", id="just before"
        ),
        pytest.param(
            {"quiet": "22:00-07:00"}, "Europe/Berlin", "2026-05-04 22:00", "2026-05-05 07:00+02:00", id="over midnight"
        ),
        pytest.param(
            {"quiet": "22:00-07:00"}, "Europe/Berlin", "2026-05-05 06:59", "2026-05-05 07:00+02:00", id="early morning"
        ),
        pytest.param({"on": OFFICE}, "Europe/Berlin", "2026-05-08 18:00", "2026-05-11 09:00+02:00", id="Friday night"),
        pytest.param({"on": OFFICE}, "Europe/Berlin", "2026-05-09 12:00", "2026-05-11 09:00+02:00", id="Saturday noon"),
        pytest.param(
            {"on": {"days": ["sun"]}}, "Europe/Berlin", "2026-05-04 10:00", "2026-05-10 00:00+02:00", id="Sundays only"
        ),
        pytest.param(
            {"quiet": "22:00-02:30"}, "Europe/Berlin", "2026-03-29 01:00", "2026-03-29 03:00+02:00", id="2:30 skipped"
        ),
        pytest.param(
            {"quiet": "22:00-02:30"}, "Europe/Berlin", "2026-10-25 01:00", "2026-10-25 02:30+02:00", id="2:30 twice"
        ),
        pytest.param(
            {"quiet": "22:00-02:15"},
            "Australia/Lord_Howe",
            "2026-10-04 01:50",
            "2026-10-04 02:30+11:00",
            id="half an hour is skipped",
        ),
        pytest.param(
            {"quiet": "22:00-07:00"}, "America/New_York", "2026-11-01 00:30", "2026-11-01 07:00-05:00", id="long night"
        ),
        pytest.param(
            {"on": {"between": "0:00-1:00"}},
            "Africa/Cairo",
            "2026-04-23 12:00",
            "2026-04-25 00:00+03:00",
            id="midnight and the hour after it are skipped",
        ),
    ],
)
def test_next_allowed(words, zone, local, expected):
    where = ZoneInfo(zone)
    at = datetime.fromisoformat(local).replace(tzinfo=where).astimezone(UTC)
    found = hours.next_allowed(policy(**words), at, where)
    assert found.astimezone(where).isoformat(" ", "minutes") == expected


def test_in_the_doubled_hour_quiet_begins_again():
    """2:00 to 3:00 comes twice in Berlin: the second 2:10 is quiet again."""
    where = ZoneInfo("Europe/Berlin")
    second = datetime(2026, 10, 25, 2, 10, tzinfo=where, fold=1).astimezone(UTC)
    found = hours.next_allowed(policy(quiet="22:00-02:30"), second, where)
    assert found.astimezone(where).isoformat() == "2026-10-25T02:30:00+01:00"


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"]),
    st.integers(0, 365 * 24 * 12),
    st.integers(0, 95),
    st.integers(0, 95),
)
def test_the_first_allowed_minute_is_found(zone, five_minutes, start, end):
    if start == end:
        return
    where, quiet = ZoneInfo(zone), "-".join(f"{q // 4:02}:{q % 4 * 15:02}" for q in (start, end))
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=5 * five_minutes)
    subject = policy(quiet=quiet)
    found = hours.next_allowed(subject, at, where)
    slow = at
    while not hours.allowed(subject, slow.astimezone(where)):
        slow += timedelta(minutes=5)
    assert found == slow


@pytest.mark.parametrize(
    ("person", "shop", "expected"),
    [
        pytest.param("America/New_York", "Europe/Berlin", "America/New_York", id="the person's own"),
        pytest.param("", "Europe/Berlin", "Europe/Berlin", id="unknown: the shop's"),
        pytest.param("Mars/Olympus", "Europe/Berlin", "Europe/Berlin", id="no such zone: the shop's"),
        pytest.param("../../etc/passwd", "nowhere", "UTC", id="nonsense: UTC"),
    ],
)
def test_zone_of(person, shop, expected):
    assert hours.zone_of(person, shop).key == expected


def test_hours_that_leave_nothing_are_known():
    assert hours.ever_allowed(policy(quiet="22:00-07:00", on=OFFICE))
    assert not hours.ever_allowed(policy(quiet="08:00-19:00", on=OFFICE))
    nothing = policy(quiet="08:00-19:00", on=OFFICE)
    assert hours.next_allowed(nothing, datetime(2026, 5, 4, tzinfo=UTC), ZoneInfo("UTC")) is None
