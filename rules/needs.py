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
