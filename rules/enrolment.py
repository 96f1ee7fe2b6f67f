"""When a cart becomes a recovery: the terms for one set-based statement, and the condition that only rules can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from rules import questions
from rules.conditions import Answer, holds
from rules.facts import Cart, Facts, Person, Question
from rules.policy import Policy
from rules.values import spoken


@dataclass(frozen=True, slots=True)
class EnrolmentTerms:
    """What a cart and its person must be like to start, as parameters of a statement."""

    name: str
    hash: str
    rests_for: timedelta
    """A cart that changed later than this ago is not at rest yet."""
    not_older_than: timedelta
    """A cart that changed longer ago than this is left alone."""
    total_at_least: Decimal | None
    currency: str
    """Of `total_at_least`: carts in another one do not start. Empty where there is no such limit."""
    existing_customers_only: bool
    again_after: timedelta
    """Since the end of the person's last recovery."""
    has_condition: bool
    """Ask `condition_holds` for each cart that meets the rest."""
    never_like: tuple[str, ...]
    """Patterns for LIKE with a backslash as escape, against the address in small letters."""
    never_groups: tuple[str, ...]
    ways: tuple[str, ...] = ()
    """Kinds of address, other than e-mail, that a step can reach: one of them is enough to start."""


def terms(policy: Policy) -> EnrolmentTerms:
    starts = policy.starts
    limit = starts.total_at_least
    return EnrolmentTerms(
        name=policy.name,
        hash=policy.hash,
        rests_for=starts.rests_for,
        not_older_than=starts.not_older_than,
        total_at_least=limit.amount if limit else None,
        currency=limit.currency if limit else "",
        existing_customers_only=starts.existing_customers_only,
        again_after=starts.again_after,
        has_condition=starts.only_if is not None,
        never_like=tuple(like(pattern) for pattern in starts.never.addresses),
        never_groups=starts.never.groups,
        ways=tuple(sorted({kind for step in policy.steps for kind in questions.ADDRESSES_OF[step.send]} - {"email"})),
    )


def like(pattern: str) -> str:
    """A never-write pattern as LIKE reads it: the same addresses as `rules.questions.matches`."""
    escaped = pattern.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return "%" + escaped if pattern.startswith("@") else escaped


def condition_holds(policy: Policy, cart: Cart, person: Person) -> Answer:
    """Whether `starts.only_if` holds; without one it does. Never raises."""
    if policy.starts.only_if is None:
        return Answer(True, "nothing further is asked")
    return holds(policy.starts.only_if, cart, person)


def would_start(policy: Policy, facts: Facts, now: datetime) -> tuple[Question, ...]:
    """The terms put as questions about one cart, in the order of the statement; all passed: it starts."""
    return tuple(_asked(policy, facts, now))


def _asked(policy: Policy, facts: Facts, now: datetime) -> Iterator[Question]:
    starts, cart = policy.starts, facts.cart
    rested = now - cart.changed_at
    yield Question(
        f"has the cart been at rest for {spoken(starts.rests_for)}?", f"for {_for(rested)}", rested >= starts.rests_for
    )
    yield Question(
        f"is it found in time, within {spoken(starts.not_older_than)}?",
        f"it changed {_for(rested)} ago",
        rested <= starts.not_older_than,
    )
    if starts.total_at_least is not None:
        least = starts.total_at_least
        enough = cart.currency == least.currency and cart.total >= least.amount
        yield Question(f"is it worth {least} or more?", f"{cart.total} {cart.currency}", enough)
    never = questions.never_written_to(policy, facts)
    yield Question("may this person be written to at all?", never.because if never else "fine", never is None)
    answer = condition_holds(policy, cart, facts.person)
    yield Question("does starts.only_if hold?", answer.because, answer.holds)


def _for(span: timedelta) -> str:
    return spoken(span) if span > timedelta(0) else "no time yet"
