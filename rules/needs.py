"""What a policy needs a shop to be able to tell."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rules.policy import Condition, Policy
from rules.source import Loc

IN_CEL = {
    r"person\s*\.\s*group\b": "groups",
    r"\.\s*category\b": "categories",
    r"cart\s*\.\s*stage\b": "checkout_stage",
    r"\.\s*price\b": "line_prices",
}
OPENED_IN_CEL = re.compile(r"steps\s*\.\s*[\w-]+\s*\.\s*opened\b")
SPOKEN = {
    "groups": "customer groups",
    "categories": "categories of products",
    "checkout_stage": "how far a customer came in the checkout",
    "line_prices": "prices of lines",
}


def needs(policy: Policy) -> Iterator[tuple[str, Loc]]:
    """Capabilities (words of daemon.shops.base.Capability), each with where the policy asks for it."""
    if policy.starts.never.groups:
        yield "groups", ("starts", "never", "groups")
    if policy.starts.only_if is not None:
        yield from _of_condition(policy.starts.only_if, ("starts", "only_if"))
    for no, step in enumerate(policy.steps):
        if step.unless is not None:
            yield from _of_condition(step.unless, ("steps", no, "unless"))
        if step.only_if is not None:
            yield from _of_condition(step.only_if, ("steps", no, "only_if"))


def rests_on_opens(policy: Policy) -> Iterator[tuple[Loc, str]]:
    """Conditions that only the opens of single readers could answer, each with its place and what could stand there
    instead: where opens may not be followed, clicks have to be enough."""
    for no, step in enumerate(policy.steps):
        for word in ("unless", "only_if"):
            condition: Condition | None = getattr(step, word)
            if condition is None:
                continue
            if OPENED_IN_CEL.search(condition.cel) and ".clicked" not in condition.cel:
                yield ("steps", no, word), "ask for `clicked` instead of `opened`, or for either of them"
            for name, reactions in condition.steps.items():
                if "opened" in reactions and "clicked" not in reactions:
                    both = ", or `[opened, clicked]`, of which the click counts where there is no consent"
                    yield ("steps", no, word, name), f"`{word}: {{{name}: [clicked]}}`{both}"


def _of_condition(condition: Condition, loc: Loc) -> Iterator[tuple[str, Loc]]:
    for pattern, capability in IN_CEL.items():
        if re.search(pattern, condition.cel):
            yield capability, loc
    if condition.cart is not None and condition.cart.category:
        yield "categories", (*loc, "cart", "category")
    if condition.cart is not None and condition.cart.stage:
        yield "checkout_stage", (*loc, "cart", "stage")
    if condition.person is not None and condition.person.group:
        yield "groups", (*loc, "person", "group")
