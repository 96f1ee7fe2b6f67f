"""The table of dialects and traps has no empty cell."""

from pathlib import Path
from typing import Any

import pytest

from daemon.shops.dialects import DIALECTS

STORIES = {"test_oscommerce_carts.py", "test_oscommerce_orders.py", "test_oscommerce_people.py"}
ASKED = {
    "day-only date": ["basket dated by the day"],
    "zone off by one hour": ["zone off by an hour", "orders dated by another clock than carts"],
    "`2{1}1`": ["options as 2{1}1"],
    "`5x36`": ["combination as 5x36"],
    "`1:<md5>`": ["options as 1:<md5>"],
    "zero date": ["zero date"],
    "latin1 umlauts": ["latin1 umlauts"],
    "decimal quantity": ["decimal quantity"],
    "guest": ["guest"],
    "customers that must not be written to": ["customers never to be written to"],
    "deleted product": ["deleted product"],
    "price from specials and attributes": ["price from a special", "price from attributes"],
    "order written before the basket goes": ["order written before the basket goes"],
    "order-status map": ["order status map"],
    "table prefix": ["table prefix"],
    "consent and phone where each keeps them": ["consent: a ticked box is only a hint", "phone where each keeps it"],
    "who is online now": ["who is online now"],
    "minimal grants": ["minimal grants"],
}
"""Every trap that was asked for, and the stories that tell it."""


@pytest.fixture
def traps(request: pytest.FixtureRequest) -> dict[str, Any]:
    """All markers by their names; without all the files that have them there is nothing to see."""
    collected = {Path(item.path).name for item in request.session.items}
    if not collected >= STORIES:
        pytest.skip(f"run together with {', '.join(sorted(STORIES - collected))}")
    marks = (item.get_closest_marker("trap") for item in request.session.items)
    return {mark.args[0]: mark.kwargs for mark in marks if mark}


def test_no_cell_is_empty(traps: dict[str, Any]) -> None:
    """Every trap that was asked for is tried on every dialect, or the dialect's own data say why it cannot have it."""
    told = {name for names in ASKED.values() for name in names}
    assert told <= traps.keys()


def test_a_cell_without_a_story_has_its_reason(traps: dict[str, Any], reasons: dict[str, Any]) -> None:
    for name, not_for in traps.items():
        assert not_for.keys() < DIALECTS.keys(), name
        for dialect, word in not_for.items():
            _, holds = reasons[word]
            assert holds(DIALECTS[dialect]), f"{name}: {dialect} could have it"
