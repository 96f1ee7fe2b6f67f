"""What can happen in the small world: how often, and with what. Chance decides: Hypothesis, or a number of its."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
FATES = ("taken", "taken", "taken", "taken, no answer", "lost, no answer", "busy", "refused", "barred")
SPANS = (1, 15, 30, 60, 60, 120, 240, 540, 1440)
"""Minutes."""


class Chance(Protocol):
    """Of the same mind each time it is asked the same: an example has to be led again."""

    def choice(self, seq: Sequence[T]) -> T: ...


Choosing = Callable[[Chance, int], Any]
"""A word for a deed; it may depend on how many households there are."""
Deeds = Mapping[str, tuple[int, Mapping[str, Choosing]]]


def one_of(*words: Any) -> Choosing:
    return lambda chance, _: chance.choice(words)


def a_fate_each(chance: Chance, households: int) -> list[str]:
    return [chance.choice(FATES) for _ in range(households)]


def some_fates(chance: Chance, households: int) -> list[str]:
    """One to four for each household."""
    return a_fate_each(chance, chance.choice((1, 2, 3, 4)) * households)


NUMBER, MOSTLY = one_of(0, 1, 2), one_of(True, True, True, False)
WHO: Mapping[str, Choosing] = {"kind": one_of("k", "k", "g"), "number": NUMBER}
PEOPLE: Deeds = {
    "a_cart_changes": (4, {**WHO, "pieces": one_of(1, 2, 3), "agrees": MOSTLY}),
    "a_cart_is_emptied": (1, WHO),
    "an_order_arrives": (1, WHO),
    "somebody_is_in_the_shop": (1, WHO),
    "consent_is_withdrawn": (1, WHO),
    "a_guest_turns_out_to_be_a_customer": (1, {"number": NUMBER}),
    "a_reader_unsubscribes": (1, {"number": one_of(*range(10))}),
    "an_address_is_suppressed": (1, WHO),
}
"""Of somebody in a household."""
SHOP: Deeds = {
    "people_do": (sum(weight for weight, _ in PEOPLE.values()), {}),
    "the_brake_is_pulled_or_let_go": (1, {}),
    "time_passes": (8, {"minutes": one_of(*SPANS), "planned": MOSTLY}),
    "the_planner_is_at_work": (1, {}),
    "the_sweep_comes_by": (1, {}),
    "a_worker_claims": (4, {"worker": one_of(0, 1), "most": one_of(1, 2, 3, 4)}),
    "a_worker_delivers": (6, {"worker": one_of(0, 1), "fates": some_fates, "told": MOSTLY}),
    "the_relay_is_asked": (2, {"number": one_of(*range(10)), "fates": a_fate_each}),
    "an_answer_is_recorded": (2, {"number": one_of(*range(10))}),
    "a_worker_dies": (2, {"worker": one_of(0, 1)}),
    "a_frozen_worker_wakes_up": (2, {}),
    "everything_due_is_done": (4, {}),
}
"""Of shop, clock, workers and relay, which all households have in common."""


def chosen(chance: Chance, deeds: Deeds, can: Callable[[str], bool], households: int) -> tuple[str, dict[str, Any]]:
    """One of those that can be done, by weight, and with what."""
    able = [name for name, (weight, _) in deeds.items() if can(name) for _ in range(weight)]
    what = chance.choice(able)
    return what, {word: choose(chance, households) for word, choose in deeds[what][1].items()}


def first_carts(chance: Chance) -> Iterable[tuple[str, dict[str, Any]]]:
    """Two to four people of a household leave one."""
    left = [(kind, number) for kind in ("k", "g") for number in range(3)]
    for _ in range(chance.choice((2, 3, 4))):
        kind, number = chance.choice(left)
        left.remove((kind, number))
        yield "a_cart_changes", {"kind": kind, "number": number, "pieces": 1}
