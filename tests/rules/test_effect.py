"""Whether the holdout report tells the truth: on populations whose truth we made."""

from random import Random

import pytest

from rules.effect import LEAST_PERSONS, Enrolled, compare, effect


def population(chance, persons, extra=0.0, rate=0.10):
    """People differ: some buy anyway, some never; some leave several carts, and behave alike in each."""
    sums = []
    for _ in range(persons):
        recoveries = 1 + (chance.random() < 0.3) + (chance.random() < 0.1)
        mine = min(1.0, chance.betavariate(3 * rate, 3 * (1 - rate)) + extra)
        sums.append((recoveries, sum(chance.random() < mine for _ in range(recoveries))))
    return sums


def test_where_there_is_no_effect_the_interval_covers_zero_as_often_as_it_says():
    covered = 0
    for seed in range(1000):
        chance = Random(seed)
        found = compare(population(chance, 900), population(chance, 100))
        covered += found.low <= 0 <= found.high
    assert 930 <= covered <= 970, f"{covered} of 1,000"


def test_five_points_are_found():
    found = [
        compare(population(chance, 9000, extra=0.05), population(chance, 1000))
        for chance in (Random(seed) for seed in range(20))
    ]
    assert sum(one.low > 0 for one in found) >= 19
    assert sum(one.low <= 0.05 <= one.high for one in found) >= 17
    assert abs(sum(one.difference for one in found) / 20 - 0.05) < 0.01


def test_recoveries_of_one_person_are_not_counted_as_independent():
    one_each = compare([(1, 1)] * 100 + [(1, 0)] * 900, [(1, 1)] * 10 + [(1, 0)] * 90)
    ten_each = compare([(10, 10)] * 10 + [(10, 0)] * 90, [(10, 10)] * 10 + [(10, 0)] * 90)
    assert one_each.treated.recoveries == ten_each.treated.recoveries == 1000
    assert (ten_each.high - ten_each.low) > (one_each.high - one_each.low) * 0.99
    assert ten_each.difference == 0


def test_all_who_were_enrolled_count_and_the_crossed_leave():
    people = [Enrolled(no, no % 10 == 0, no % 4 == 0) for no in range(400)]
    people += [Enrolled("x", False, True, crossed=True), Enrolled("x", True, True, crossed=True)]
    found = effect(people)
    assert (found.treated.persons, found.held_out.persons, found.crossed) == (360, 40, 2)
    assert found.treated.recovered + found.held_out.recovered == 100
    assert found.extra == pytest.approx(found.difference * 360)


def test_several_recoveries_of_a_person_are_one_cluster():
    found = effect([Enrolled(no % 50, no % 2 == 0, no % 3 == 0) for no in range(200)])
    assert (found.treated.persons, found.treated.recoveries) == (25, 100)


def test_too_few_people_give_no_figure_that_could_be_believed():
    found = compare([(1, 1)] * 1000, [(1, 0)] * (LEAST_PERSONS - 1))
    assert (found.difference, found.low, found.high, found.extra) == (None, None, None, None)
    assert compare([], []).treated.rate == 0


def test_nobody_or_everybody_recovered_still_has_an_interval():
    found = compare([(1, 0)] * 500, [(1, 0)] * 50)
    assert found.difference == 0
    assert found.low < 0 < found.high
    everybody = compare([(1, 1)] * 500, [(1, 0)] * 50)
    assert (everybody.difference, everybody.high) == (1, 1)
    assert everybody.low > 0.8


def test_known_figures():
    """Newcombe 1998, table II, contrast a, method 10: 56/70 against 48/80 gives 0.0524 to 0.3339."""
    found = compare([(1, 1)] * 56 + [(1, 0)] * 14, [(1, 1)] * 48 + [(1, 0)] * 32)
    assert found.difference == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=0.002)
    assert found.high == pytest.approx(0.3339, abs=0.002)
