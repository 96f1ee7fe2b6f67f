"""The table of goals says yes and no where it should."""

import pytest

from bench.__main__ import cells
from bench.measured import Row


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(Row("P8", "w", "f", 0.25, 0.25), ("0.25", "≥ 0.25", "yes"), id="just reached"),
        pytest.param(Row("P8", "w", "f", 0.2, 0.25), ("0.20", "≥ 0.25", "no"), id="missed"),
        pytest.param(Row("P6", "w", "f", 30, 25, at_most=True), ("30.00", "≤ 25", "no"), id="too slow"),
        pytest.param(Row("P6", "w", "f", 0, 0, at_most=True), ("0.00", "≤ 0", "yes"), id="none was lost"),
        pytest.param(Row("P1", "w", "f", 2.0), ("2.00", "", ""), id="a figure without a goal"),
        pytest.param(Row("P1", "w", "f"), ("", "", ""), id="a yardstick"),
    ],
)
def test_line(row, expected):
    assert cells(row)[3:] == expected
