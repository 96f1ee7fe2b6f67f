"""So many within a span, and no more."""

from __future__ import annotations

from daemon.web import quota
from daemon.web.quota import Quota


def test_so_many_a_minute_and_then_again():
    limit = Quota(3)
    assert [limit.spent("a", 0.0) for _ in range(4)] == [False, False, False, True]
    assert not limit.spent("b", 1.0)
    assert limit.spent("a", 59.9)
    assert not limit.spent("a", 60.0)


def test_what_costs_more_is_spent_sooner():
    limit = Quota(20, 3600.0)
    assert not limit.spent("a", 0.0, 20)
    assert limit.spent("a", 3599.0)


def test_many_askers_are_not_remembered_for_ever(monkeypatch):
    monkeypatch.setattr(quota, "WATCHED", 10)
    limit = Quota(1)
    for number in range(100):
        limit.spent(number, 0.0)
    assert len(limit.counts) == 10
