"""The gate: asked under the person's lock, right before a message leaves. The same questions as the ladder's."""

from __future__ import annotations

from datetime import datetime

from rules import questions
from rules.facts import Cancel, Defer, Facts, Go, Passage, Planned
from rules.policy import Policy
from rules.questions import Bar, Hold

MOST_DEFERRALS = 20
"""A message that was put off this often expires: something holds it that will not let go."""


def passage(policy: Policy | None, planned: Planned, facts: Facts, now: datetime) -> Passage:
    """Whether a planned message may leave now, by the newest policy; None: its file is no longer there.

    A Cancel of state `expired` lost its time; any other cannot come back. The message itself is not in `facts.counted`.
    """
    if policy is None:
        return Cancel("rule_removed")
    bar = _bar(policy, planned, facts)
    if bar is not None:
        return Cancel(bar.about)
    step = next(step for step in policy.ladder if step.name == planned.step)
    if now > planned.not_after or questions.missed(policy, step, facts) is not None:
        return Cancel("expired", "expired")
    ground = questions.ground(policy, facts, planned.channel)
    if isinstance(ground, Bar):
        return Cancel(ground.about)
    if span := _due_later(policy, planned, facts, now):
        return Defer(span[0], "not_due", span[1])
    if (unsure := questions.perhaps_opened(policy, step, facts, now)) is not None:
        last = questions.not_after(policy, step, facts)
        return Cancel("expired", "expired") if unsure.until >= last else Defer(unsure.until, unsure.about, last)
    hold = _hold(policy, planned, facts, now)
    return Go(ground) if hold is None else _defer(hold, planned)


def _bar(policy: Policy, planned: Planned, facts: Facts) -> Bar | None:
    return (
        questions.ended(policy, facts)
        or _removed(policy, planned)
        or questions.never_written_to(policy, facts)
        or questions.unreachable(facts, planned.channel)
        or _unwanted(policy, planned, facts)
    )


def _removed(policy: Policy, planned: Planned) -> Bar | None:
    if any(step.name == planned.step for step in policy.ladder):
        return None
    return Bar("rule_removed", f"the newest rules no longer have {planned.step}")


def _unwanted(policy: Policy, planned: Planned, facts: Facts) -> Bar | None:
    """What has come about since it was decided: a mail opened at 22:00 stops the text that was put off to 9:00."""
    step = next(step for step in policy.ladder if step.name == planned.step)
    return (
        questions.unless(policy, step, facts)[0]
        or questions.only_if(step, facts)[0]
        or questions.enough_for_cart(policy, facts, step)
    )


def _due_later(policy: Policy, planned: Planned, facts: Facts, now: datetime) -> tuple[datetime, datetime] | None:
    """The cart changed after this was decided, and steps count from its last change: its new span, first and last."""
    step = next(step for step in policy.ladder if step.name == planned.step)
    if facts.cart.state != "open" or facts.on_hold or now >= facts.cart.changed_at + step.after:
        return None
    return questions.due_at(policy, step, facts), questions.not_after(policy, step, facts)


def _hold(policy: Policy, planned: Planned, facts: Facts, now: datetime) -> Hold | None:
    return (
        questions.order_on_hold(facts, now)
        or questions.cart_closed(facts, now)
        or questions.active(policy, facts, now)
        or questions.resting(facts, now)
        or questions.out_of_hours(policy, facts, planned.channel, now)
        or questions.over_cap(policy, facts, planned.channel, now)
    )


def _defer(hold: Hold, planned: Planned) -> Passage:
    if planned.deferrals >= MOST_DEFERRALS:
        return Cancel(f"put off {planned.deferrals} times, at last because {hold.because}", "expired")
    if hold.about in ("hours", "cap", "resting") and hold.until > planned.not_after:
        return Cancel(f"its time is over before this changes: {hold.because}", "expired")
    return Defer(hold.until, hold.about)
