"""What the messages changed: recovery rates of treated and held-out people, with an interval.

Intention to treat: all enrolled count, whether a message reached them or not. Recoveries of one person are not
independent, so the variance is that of the ratio of sums over persons (linearised), with the correction n / (n - 1)
for few persons (Cameron and Miller 2015, "A practitioner's guide to cluster-robust inference").
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One recovery in the comparison. `crossed`: its person is treated and held out by a merge, so it leaves."""

    person: Hashable
    held_out: bool
    recovered: bool
    crossed: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    persons: int
    recoveries: int
    recovered: int

    @property
    def rate(self) -> float:
        """Recovered of enrolled; 0 without any."""
        return self.recovered / self.recoveries if self.recoveries else 0.0


@dataclass(frozen=True, slots=True)
class Effect:
    """`difference`: treated minus held out, with `low` to `high` around it. None where there is too little to say."""

    treated: Arm
    held_out: Arm
    crossed: int
    difference: float | None
    low: float | None
    high: float | None
    confidence: float

    @property
    def extra(self) -> float | None:
        """Recoveries that would not have been without the messages, by this estimate."""
        return None if self.difference is None else self.difference * self.treated.recoveries


LEAST_PERSONS = 20
"""In each arm: below, no interval is shown; it would be believed."""


def effect(enrolled: Iterable[Enrolled], confidence: float = 0.95) -> Effect:
    """Compares all who were enrolled, whatever became of their messages."""
    arms: dict[bool, dict[Hashable, tuple[int, int]]] = {False: {}, True: {}}
    crossed = 0
    for one in enrolled:
        if one.crossed:
            crossed += 1
            continue
        recoveries, recovered = arms[one.held_out].get(one.person, (0, 0))
        arms[one.held_out][one.person] = (recoveries + 1, recovered + one.recovered)
    return compare(list(arms[False].values()), list(arms[True].values()), crossed, confidence)


def compare(
    treated: list[tuple[int, int]], held_out: list[tuple[int, int]], crossed: int = 0, confidence: float = 0.95
) -> Effect:
    """The same from sums: for each person (recoveries, of them recovered)."""
    here, there = _arm(treated), _arm(held_out)
    if min(here.persons, there.persons) < LEAST_PERSONS:
        return Effect(here, there, crossed, None, None, None, confidence)
    difference = here.rate - there.rate
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    half_low, half_high = _halves(here, treated, there, held_out, z)
    low, high = max(-1.0, difference - half_low), min(1.0, difference + half_high)
    return Effect(here, there, crossed, difference, low, high, confidence)


def _arm(persons: list[tuple[int, int]]) -> Arm:
    return Arm(len(persons), sum(one[0] for one in persons), sum(one[1] for one in persons))


def _halves(
    here: Arm, treated: list[tuple[int, int]], there: Arm, held_out: list[tuple[int, int]], z: float
) -> tuple[float, float]:
    """Newcombe's hybrid of two Wilson intervals (1998, method 10), each on its effective number of recoveries."""
    low1, high1 = _wilson(here.rate, _effective(here, treated), z)
    low2, high2 = _wilson(there.rate, _effective(there, held_out), z)
    below = sqrt((here.rate - low1) ** 2 + (high2 - there.rate) ** 2)
    above = sqrt((high1 - here.rate) ** 2 + (there.rate - low2) ** 2)
    return below, above


def _effective(arm: Arm, persons: list[tuple[int, int]]) -> float:
    """As many independent recoveries as would give the variance that the persons' sums show."""
    rate = arm.rate
    binomial = rate * (1 - rate)
    spread = sum((recovered - rate * count) ** 2 for count, recovered in persons)
    clustered = spread / arm.recoveries**2 * arm.persons / (arm.persons - 1)
    if binomial == 0 or clustered == 0:
        return float(arm.persons)
    return binomial / clustered


def _wilson(rate: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score interval of a share (1927)."""
    middle = rate + z * z / (2 * n)
    half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (middle - half) / scale, (middle + half) / scale
