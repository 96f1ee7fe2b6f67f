"""Who is held out."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rules.holdout import held_out


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_share_holds_out_the_same_people_and_more(key, share, other):
    small, large = sorted((share, other))
    assert held_out(key, large) or not held_out(key, small)


def test_the_share_is_kept():
    chance = Random(7)
    people = [chance.random() for _ in range(20_000)]
    assert abs(sum(held_out(key, 0.1) for key in people) / 20_000 - 0.1) < 0.01
    assert not any(held_out(key, 0) for key in people)
