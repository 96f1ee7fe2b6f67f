"""A guard that can be taken away without a test going red is no guard."""

from __future__ import annotations

import pytest

from tests.sabotage.guards import GUARDS, Guard
from tests.sabotage.saboteur import ROOT, taken_away


def test_every_guard_stands_where_it_is_said_to():
    astray = [guard.name for guard in GUARDS if (ROOT / guard.file).read_text().count(guard.there) != 1]
    assert astray == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_it_is_missed(guard: Guard, capsys: pytest.CaptureFixture[str]) -> None:
    found = taken_away(guard)
    with capsys.disabled():
        print(f"\nwithout: {guard.name:68} missed by {found.test.partition('::')[2] or 'NOBODY'}")
    assert found.test, f"no test of {', '.join(guard.tests)} misses it"
