"""Conditions of rule files: structured words first, CEL for the long tail. The only module that touches CEL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import cel

from rules.facts import COUNTED, Cart, Person, Taken
from rules.policy import CartWords, Condition, PersonWords
from rules.source import did_you_mean

NAMES = ("cart", "person", "steps")
SENT = COUNTED | {"withheld"}
"""States of a message that went out, or may have; one that is withheld goes as far, for the comparison."""
CART_WORDS = ("total", "currency", "stage", "pieces", "items")
ITEM_WORDS = ("product", "name", "quantity", "price", "category")
PERSON_WORDS = ("group", "existing_customer", "zone")
STEP_WORDS = ("state", "sent", "opened", "clicked", "replied", "bounced")


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a condition holds, and why. `error`: it could not be evaluated, which counts as not holding."""

    holds: bool
    because: str
    error: bool = False


def reacted(step: str, reactions: Sequence[str], taken: Taken | None) -> Answer:
    """Whether one of these reactions to an earlier step is certain."""
    seen = sorted(_reactions(taken) & set(reactions))
    return Answer(bool(seen), f"{step} was {seen[0] if seen else 'not ' + ' or '.join(reactions)}")


Reader = Callable[[str, Sequence[str], Taken | None], Answer]
"""Whether there was one of these reactions to the earlier step of this name, which became this message, if any."""


def holds(
    condition: Condition,
    cart: Cart,
    person: Person,
    taken: Sequence[Taken] = (),
    *,
    every: bool = True,
    read: Reader = reacted,
) -> Answer:
    """Never raises. `every`: all entries must hold (`only_if`), else one is enough (`unless`)."""
    if condition.cel:
        return _by_cel(condition.cel, cart, person, taken)
    answers = list(_entries(condition, cart, person, {one.step: one for one in taken}, read))
    decisive = next((answer for answer in answers if answer.holds != every), None)
    if decisive is not None:
        return decisive
    return Answer(every, " and ".join(answer.because for answer in answers))


def _entries(
    condition: Condition, cart: Cart, person: Person, taken: Mapping[str, Taken], read: Reader
) -> Iterator[Answer]:
    for step, reactions in condition.steps.items():
        yield read(step, reactions, taken.get(step))
    if condition.cart is not None:
        yield _all(_cart(condition.cart, cart), "the cart")
    if condition.person is not None:
        yield _all(_person(condition.person, person), "the person")


def _all(claims: Iterator[tuple[bool, str]], whose: str) -> Answer:
    """All of the words must hold; the first that does not is the reason."""
    said = []
    for true, claim in claims:
        if not true:
            return Answer(False, f"{whose} {claim}")
        said.append(claim)
    return Answer(True, f"{whose} {', '.join(said)}" if said else f"nothing is asked of {whose}")


def _reactions(taken: Taken | None) -> set[str]:
    if taken is None:
        return set()
    fates = {"sent": taken.state in SENT, "bounced": taken.state == "bounced"}
    return set(taken.reactions) | {fate for fate, true in fates.items() if true}


def _cart(words: CartWords, cart: Cart) -> Iterator[tuple[bool, str]]:
    worth = f"is worth {cart.total} {cart.currency}"
    if words.total_below is not None:
        same = cart.currency == words.total_below.currency
        yield same and cart.total < words.total_below.amount, worth
    if words.total_at_least is not None:
        same = cart.currency == words.total_at_least.currency
        yield same and cart.total >= words.total_at_least.amount, worth
    pieces = _pieces(cart)
    if words.items_below is not None:
        yield pieces < words.items_below, f"holds {pieces} pieces"
    if words.items_at_least is not None:
        yield pieces >= words.items_at_least, f"holds {pieces} pieces"
    if words.category:
        yield _among([line.category for line in cart.lines], words.category, "category")
    if words.product:
        yield _among([line.product for line in cart.lines], words.product, "product")
    if words.stage:
        yield cart.stage in words.stage, f"came to the stage {cart.stage}"


def _among(present: Sequence[str], wanted: Sequence[str], what: str) -> tuple[bool, str]:
    found = sorted(set(present) & set(wanted))
    return bool(found), f"holds the {what} {found[0]}" if found else f"holds no {what} of {', '.join(wanted)}"


def _person(words: PersonWords, person: Person) -> Iterator[tuple[bool, str]]:
    if words.group:
        yield person.group in words.group, f"is in the group {person.group or '(none)'}"
    if words.existing_customer is not None:
        bought = person.last_bought is not None
        yield bought == words.existing_customer, "bought before" if bought else "never bought before"


def _pieces(cart: Cart) -> Decimal:
    return sum((line.quantity for line in cart.lines), Decimal(0))


# CEL


@lru_cache(maxsize=512)
def _program(text: str) -> cel.Program:
    return cel.compile(text)


def _by_cel(text: str, cart: Cart, person: Person, taken: Sequence[Taken]) -> Answer:
    try:
        result = _program(text).execute(_context(cart, person, taken))
    except Exception as error:  # a rule's error must not stop the house: it is told and counts as not holding
        return Answer(False, f"({text}) could not be answered: {_sentence(error)}", error=True)
    if not isinstance(result, bool):
        return Answer(False, f"({text}) gives {result!r}, not yes or no", error=True)
    return Answer(result, f"({text}) is {'true' if result else 'not true'}")


def _context(cart: Cart, person: Person, taken: Sequence[Taken]) -> dict[str, Any]:
    """Plain dicts and floats: CEL knows nothing else."""
    items = [
        {
            "product": line.product,
            "name": line.name,
            "quantity": float(line.quantity),
            "price": None if line.price is None else float(line.price),
            "category": line.category,
        }
        for line in cart.lines
    ]
    bought = person.last_bought is not None
    return {
        "cart": {
            "total": float(cart.total),
            "currency": cart.currency,
            "stage": cart.stage,
            "pieces": float(_pieces(cart)),
            "items": items,
        },
        "person": {"group": person.group, "existing_customer": bought, "zone": person.zone},
        "steps": {one.step: _step(one) for one in taken},
    }


def _step(taken: Taken) -> dict[str, Any]:
    seen = _reactions(taken)
    return {"state": taken.state, **{word: word in seen for word in STEP_WORDS[1:]}}


def faults(text: str, steps: Sequence[str]) -> list[str]:
    """What is wrong with a CEL expression, as sentences; `steps` are those it may name. Empty: nothing found."""
    if "\0" in text or max(map(text.count, "([{")) > 100:
        return ["this expression is too deeply nested"]
    try:
        program = cel.compile(text)
    except ValueError as error:
        return [f"this is not CEL: {_sentence(error)}"]
    unknown = _unknown_names(program, text)
    return unknown or _unknown_words(text, steps) or _tried(program, text, steps)


def _unknown_names(program: cel.Program, text: str) -> list[str]:
    bound = set(re.findall(r"\.(?:all|exists|exists_one|map|filter)\(\s*(\w+)\s*,", text))
    names = [name for name in program.variables() if name not in bound and name not in NAMES]
    return [f'unknown name "{name}" in the expression{did_you_mean(name, NAMES)}' for name in names]


def _unknown_words(text: str, steps: Sequence[str]) -> list[str]:
    """Words right behind `cart.`, `person.` and `steps.`, outside of quotes."""
    bare = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])*\'', '""', text)
    known = {"cart": CART_WORDS, "person": PERSON_WORDS, "steps": tuple(steps)}
    said = []
    for name, words in known.items():
        for word in re.findall(rf"(?<![\w.]){name}\s*\.\s*(\w+)(?!\w|\s*\()", bare):
            if word not in words:
                said.append(f'{name} has no "{word}"{did_you_mean(word, words)}')
    return said


def _tried(program: cel.Program, text: str, steps: Sequence[str]) -> list[str]:
    """Asked once about a sample cart: what cannot be answered there will not be later either."""
    item = {"product": "P-1", "name": "Lamp", "quantity": 1.0, "price": 9.9, "category": "light"}
    step = {"state": "accepted", "sent": True, "opened": False, "clicked": False, "replied": False, "bounced": False}
    sample = {
        "cart": {"total": 9.9, "currency": "EUR", "stage": "cart", "pieces": 1.0, "items": [item]},
        "person": {"group": "", "existing_customer": False, "zone": "Europe/Berlin"},
        "steps": dict.fromkeys(steps, step),
    }
    try:
        result = program.execute(sample)
    except KeyError as error:
        word = str(error.args[0])
        return [f'nothing here has the word "{word}"{did_you_mean(word, ITEM_WORDS + STEP_WORDS)}']
    except Exception as error:  # whatever the engine says: it becomes the admin's mistake
        return [f"({text}) cannot be answered: {_sentence(error)}"]
    return [] if isinstance(result, bool) else [f"({text}) gives {result!r}, not yes or no"]


def _sentence(error: Exception) -> str:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"^Failed to parse expression '.*?': ERROR: <input>:1:(\d+): ", r"at sign \1: ", first, flags=re.S)
