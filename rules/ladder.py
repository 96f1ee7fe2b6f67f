"""The ladder: which step of a recovery is next, if any, and why. It only thinks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from rules import law, questions
from rules.facts import DONE, OPEN, Basis, Facts, Question, Send, Stop, Verdict, Wait
from rules.policy import Policy, Step
from rules.questions import Bar, Hold
from rules.values import spoken

REASONS = (
    "purchase",
    "emptied",
    "unsubscribed",
    "complained",
    "replied",
    "bounced",
    "expired",
    "not_allowed",
    "rule_removed",
)
"""What a Stop can say. A recovery can also end as merged, erased, rehearsal_over, not_live or
shop_closed, which no policy decides."""
WAITS = (
    *("on_hold", "cart_closed", "in_flight", "active", "resting"),
    *("not_due", "opens", "hours", "cap", "budget", "watching"),
)
"""What a Wait can be for."""
SKIPS = ("overtaken", "unless", "only_if", "no_address", "suppressed", "no_basis", "opens", "hours", "cap", "budget")
"""Why a step can be left out: the `about` of a question that its step did not pass."""

Found = TypeVar("Found", bound=Bar | Hold | Basis | None)


@dataclass(frozen=True, slots=True)
class Case:
    """One recovery before the policy, with the questions put so far."""

    policy: Policy
    facts: Facts
    now: datetime
    asked: list[Question] = field(default_factory=list)

    def ask(self, question: str, found: Found, about: str, step: Step | None = None, fine: str = "") -> Found:
        """Notes question and answer; gives back what was found, so that `or` goes on to the next question."""
        name = step.name if step is not None else ""
        if isinstance(found, Bar | Hold):
            self.asked.append(Question(question, found.because, False, found.about, name))
        else:
            answer = fine or (found.evidence if found is not None else "fine")
            self.asked.append(Question(question, answer, True, about, name))
        return found


def decide(policy: Policy, facts: Facts, now: datetime) -> Verdict:
    """What to do with a recovery now: a step to send, an instant to ask again, or the end.

    `policy` is the one it began with, blended with the newest (`with_newest`). The same values give the same verdict,
    and whoever asks again at each `until` comes to a Stop.
    """
    case = Case(policy, facts, now)
    if bar := _bar(case):
        return Stop(bar.about, bar.because, tuple(case.asked))
    hold = _hold(case)
    verdict = Wait(hold.until, hold.because, reason=hold.about) if hold else _climb(case)
    if isinstance(verdict, Wait):
        verdict = replace(verdict, until=min(verdict.until, questions.latest_end(policy, facts)))
    return replace(verdict, questions=tuple(case.asked))


def _bar(case: Case) -> Bar | None:
    """Facts about the whole recovery that end it."""
    policy, facts = case.policy, case.facts
    return (
        case.ask("has something ended it?", questions.ended(policy, facts), "ended")
        or case.ask("has it lived too long?", questions.outlived(policy, facts, case.now), "expired")
        or case.ask("may this person be written to at all?", questions.never_written_to(policy, facts), "not_allowed")
        or case.ask("do the rules still have a step for it?", _no_rules(policy), "rule_removed")
    )


def _no_rules(policy: Policy) -> Bar | None:
    return None if policy.ladder else Bar("rule_removed", "the newest rules have none of its steps any more")


def _hold(case: Case) -> Hold | None:
    """Facts about the whole recovery that let it wait."""
    policy, facts, now = case.policy, case.facts, case.now
    return (
        case.ask("is an order under way?", questions.order_on_hold(facts, now), "on_hold")
        or case.ask("is there something in the cart?", questions.cart_closed(facts, now), "cart_closed")
        or case.ask("is a message on its way?", _in_flight(policy, facts, now), "in_flight")
        or case.ask("has the person come to rest?", questions.active(policy, facts, now), "active")
        or case.ask("did the person ask for a pause?", questions.resting(facts, now), "resting")
    )


def _in_flight(policy: Policy, facts: Facts, now: datetime) -> Hold | None:
    """A message that has not left yet; whoever records its fate wakes the recovery."""
    taken = next((one for one in facts.taken if one.state in OPEN), None)
    if taken is None:
        return None
    step, soon = policy.step(taken.step), now + timedelta(days=1)
    last = questions.not_after(policy, step, facts) if step is not None else soon
    return Hold("in_flight", f"{taken.step} is on its way ({taken.state})", last if now < last < soon else soon)


def _climb(case: Case) -> Verdict:
    """The first step that is neither done nor left out says what happens."""
    policy, left_out = case.policy, ""
    for step in _to_come(policy, case.facts):
        verdict = _rung(case, step)
        if not isinstance(verdict, Bar):
            return replace(verdict, because=left_out + verdict.because)
        left_out = f"{step.name} is left out: {verdict.because}; "
    ends = questions.due_at(policy, policy.steps[-1], case.facts) + policy.closes_after
    if case.now < ends:
        because = f"{left_out}no step is left; a purchase still counts for {spoken(policy.closes_after)}"
        return Wait(ends, because, reason="watching")
    return Stop("expired", f"{left_out}no step is left and no purchase came")


def _to_come(policy: Policy, facts: Facts) -> Iterator[Step]:
    """Steps behind the last one that is done: one that was left out before it never comes back."""
    done = {one.step for one in facts.taken if one.state in DONE}
    last = max((no for no, step in enumerate(policy.steps) if step.name in done), default=-1)
    return (step for step in policy.steps[last + 1 :] if step.name not in policy.gone)


def _rung(case: Case, step: Step) -> Send | Wait | Bar:
    """One step: a Bar leaves it out."""
    policy, facts = case.policy, case.facts
    due, last = questions.due_at(policy, step, facts), questions.not_after(policy, step, facts)
    said = f"{step.name} is due {spoken(step.after)} after the last change"
    if due > facts.cart.changed_at + step.after:
        said = f"{step.name} is due once the person has been at rest for {spoken(policy.starts.rests_for)}"
    early = Hold("not_due", said, due) if case.now < due else None
    if case.ask("is it due?", early, "not_due", step):
        return Wait(due, said, reason="not_due")
    if bar := _left_out(case, step, last):
        return bar
    ground = _ground(case, step)
    if isinstance(ground, Bar):
        return ground
    hold = _not_now(case, step)
    if hold is None:
        return Send(step.name, step.send, due, last, ground, said)
    if hold.about == "budget" and step.over_budget == "leave_out":
        return Bar(hold.about, hold.because)
    if hold.until >= last:
        return Bar(hold.about, f"{hold.because}, and its time is over before that changes")
    return Wait(hold.until, f"{step.name} waits: {hold.because}", reason=hold.about)


def _ground(case: Case, step: Step) -> Basis | Bar:
    found = questions.ground(case.policy, case.facts, step.send)
    said = law.why_basis(case.policy.profile, step.send, found, case.facts.person) if isinstance(found, Basis) else ""
    return case.ask("is there a legal basis?", found, "no_basis", step, said)


def _left_out(case: Case, step: Step, last: datetime) -> Bar | None:
    policy, facts = case.policy, case.facts
    late = Bar("overtaken", questions.why_over(policy, step, facts, last)) if case.now >= last else None
    return (
        case.ask("is it still its time?", late or questions.missed(policy, step, facts), "overtaken", step)
        or _unless(case, step)
        or _only_if(case, step)
        or case.ask("can the person be reached?", questions.unreachable(case.facts, step.send), "reachable", step)
        or _enough(case, step)
    )


def _enough(case: Case, step: Step) -> Bar | None:
    """Asked only where the law limits what of a channel may follow one cart."""
    if law.per_cart(case.policy.profile, step.send) is None:
        return None
    found = questions.enough_for_cart(case.policy, case.facts, step)
    return case.ask("does the law leave room after this cart?", found, "cap", step)


def _unless(case: Case, step: Step) -> Bar | None:
    bar, said = questions.unless(case.policy, step, case.facts)
    return case.ask("is there a reason to leave it out?", bar, "unless", step, said)


def _only_if(case: Case, step: Step) -> Bar | None:
    bar, said = questions.only_if(step, case.facts)
    return case.ask("is its condition met?", bar, "only_if", step, said)


def _not_now(case: Case, step: Step) -> Hold | None:
    """A click, hours, caps and the budget: the step waits for them."""
    policy, facts, now = case.policy, case.facts, case.now
    return (
        _perhaps_opened(case, step)
        or case.ask("is it a good hour?", questions.out_of_hours(policy, facts, step.send, now), "hours", step)
        or case.ask("do the caps leave room?", questions.over_cap(policy, facts, step.send, now), "cap", step)
        or _over_budget(case, step)
    )


def _over_budget(case: Case, step: Step) -> Hold | None:
    """Asked only where texts have a budget."""
    budget = case.facts.budget
    if budget is None or step.send != "sms":
        return None
    found = questions.over_budget(case.facts, step.send, case.now)
    return case.ask("does the budget for texts leave room?", found, "budget", step, budget.said)


def _perhaps_opened(case: Case, step: Step) -> Hold | None:
    """Asked only where the step wants something unopened."""
    if not questions.asks_for_opens(step):
        return None
    found = questions.perhaps_opened(case.policy, step, case.facts, case.now)
    return case.ask("is it certain that nobody opened what came before?", found, "opens", step)
