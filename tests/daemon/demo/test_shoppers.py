"""Shoppers are what their seed makes of them, and nothing else."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.demo.shoppers import GRID, after_leaving, after_mail, population, shopper, when_awake


def test_the_same_seed_brings_the_same_people() -> None:
    assert population(7, 50, 72) == population(7, 50, 72)
    assert population(7, 50, 72) != population(8, 50, 72)


def test_a_shopper_does_not_depend_on_how_many_others_come() -> None:
    assert population(7, 10, 72) == population(7, 50, 72)[:10]


def test_each_occasion_has_dice_of_its_own() -> None:
    who = shopper(7, 3, 72)
    first = [after_mail(who, "remind"), after_mail(who, "doubts"), after_leaving(who)]
    assert first == [after_mail(who, "remind"), after_mail(who, "doubts"), after_leaving(who)]
    assert who.dice("one").random() != who.dice("other").random()


def test_all_kinds_of_people_come() -> None:
    people = population(1, 200, 72)
    for trait in ("relation", "reader", "scanned", "has_account", "followed", "locale", "gone"):
        seen = Counter(getattr(who, trait) for who in people)
        assert min(seen.values()) >= 1, trait
        assert len(seen) >= 2, trait
    assert len({who.email for who in people}) == 200


def test_everything_happens_to_somebody() -> None:
    people = population(1, 200, 72)
    minds = [after_mail(who, step) for who in people for step in ("remind", "doubts", "last-call")]
    for trait in ("opens_after", "clicks_after", "buys_after", "changes_after", "unsubscribes_after"):
        assert any(getattr(mind, trait) is not None for mind in minds), trait
    assert any(mind.one_click for mind in minds)
    assert any(mind.thinks_better for mind in minds)
    left = [after_leaving(who) for who in people]
    for trait in ("buys_after", "changes_after", "empties_after"):
        assert any(getattr(mind, trait) is not None for mind in left), trait


def test_they_come_in_the_first_half_of_the_story() -> None:
    assert max(who.comes_after for who in population(1, 200, 72)) <= timedelta(hours=36)


@pytest.mark.parametrize("hour", range(24))
def test_people_sleep_at_night(hour: int) -> None:
    who = shopper(1, 1, 72)
    at = when_awake(who, datetime(2026, 3, 3, hour, tzinfo=UTC), "mail")
    local = at.astimezone(ZoneInfo(who.zone))
    assert 7 <= local.hour < 23
    assert timedelta() <= at - datetime(2026, 3, 3, hour, tzinfo=UTC) < timedelta(hours=11)
    assert timedelta(minutes=local.minute) % GRID == timedelta()
