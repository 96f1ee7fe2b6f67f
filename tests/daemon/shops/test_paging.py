"""Where a reading stands survives as a text, and circles of any length are found."""

import pytest

from daemon.shops.base import ShopUnavailable
from daemon.shops.paging import Place, content_of, place


@pytest.mark.parametrize("length", [1, 2, 3, 10, 50, 150])
def test_a_circle_of_any_length_is_found_within_four_turns(length):
    def read(here: Place, step: int) -> int:
        try:
            return read(place(here.turned(f"c{step}", content_of([step % length])).text()), step + 1)
        except ShopUnavailable:
            return step

    assert length <= read(Place(), 1) <= 4 * length + 2


def test_a_long_reading_ends():
    here = Place()
    for page in range(9_999):
        here = here.turned(f"c{page}", "")
    assert len(here.text()) < 200
    with pytest.raises(ShopUnavailable, match="more than 10000 pages"):
        here.turned("one more", "")


@pytest.mark.parametrize("text", ["", "x", "[]", "null", '{"unknown": 1}'])
def test_a_cursor_that_is_none_of_ours_starts_anew(text):
    assert place(text) == Place()
