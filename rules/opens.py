"""Whether a message was opened: by a human, by a machine at most, or by nobody. Three answers, and what each means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Literal

from rules import law
from rules.conditions import Answer, reacted
from rules.facts import OPEN, Facts, Taken
from rules.policy import Policy, Step

Signal = Literal["human", "machine", "none", "no_pixel", "bounced", "not_known", "not_sent"]
OPENS = frozenset({"opened", "clicked"})
"""Who clicked has opened."""
WAITS_MORE = 2
"""How many times the wait between the two steps is waited once more for a click."""


def signal(profile: str, facts: Facts, taken: Taken | None) -> Signal:
    """What is known of the reader. `machine`: all that came back may be a program's; `not_known`: it may not even have
    arrived; `no_pixel`: opens of this person are not followed, so only a click could tell."""
    if taken is None:
        return "not_sent"
    if taken.reactions & OPENS:
        return "human"
    if taken.state == "bounced" or "bounced" in taken.reactions:
        return "bounced"
    if taken.state == "unknown" or taken.state in OPEN:
        return "not_known"
    if taken.state in ("failed", "cancelled", "expired", "given_up"):
        return "not_sent"
    if not followed(profile, facts, taken):
        return "no_pixel"
    return "machine" if taken.maybe & OPENS else "none"


def followed(profile: str, facts: Facts, taken: Taken) -> bool:
    """Whether this message could carry a pixel: an e-mail to somebody who lets opens and clicks be followed."""
    return taken.channel == "email" and all(
        law.may_track(profile, facts.person, purpose) for purpose in ("track_open", "track_click")
    )


def read(policy: Policy, facts: Facts, step: str, reactions: Sequence[str], taken: Taken | None) -> Answer:
    """Whether one entry of an `unless` holds, and why. Only `opened` has three answers."""
    plain = reacted(step, reactions, taken)
    if plain.holds or "opened" not in reactions:
        return plain
    match signal(policy.profile, facts, taken):
        case "human":
            return reacted(step, sorted(OPENS), taken)
        case "bounced":
            return Answer(False, f"{step} came back, so nobody could open it")
        case "not_known":
            return Answer(False, f"it is not known whether {step} arrived")
        case "no_pixel":
            return Answer(False, f"opens of {step} are not followed, so clicks decide: it was not clicked")
        case "machine" if taken is not None:
            return _machine(policy, facts, taken)
    return plain


def _machine(policy: Policy, facts: Facts, taken: Taken) -> Answer:
    seen = f"{taken.step} was opened by a machine, or by nobody known"
    if policy.on_unknown_open == "treat_opened":
        return Answer(True, f"{seen}, which counts as opened (on_unknown_open)")
    if policy.on_unknown_open == "treat_unopened":
        return Answer(False, f"{seen}, which counts as unopened (on_unknown_open)")
    if facts.person.active_at is not None and facts.person.active_at > taken.at:
        return Answer(True, f"{seen}, and the person was in the shop since")
    return Answer(False, f"{seen}; a click or a visit to the shop would tell, and there was none")


def unknown(policy: Policy, step: Step, facts: Facts) -> Iterator[str]:
    """Earlier steps that this one asks to be unopened, and of which it is not known whether they arrived."""
    for name, taken in _asked(step, facts):
        if signal(policy.profile, facts, taken) == "not_known":
            yield name


def patience(policy: Policy, step: Step, facts: Facts) -> timedelta:
    """How much longer than its time the step waits for a click, because machines at most opened what came before."""
    if policy.on_unknown_open != "wait_click":
        return timedelta(0)
    waits = [
        WAITS_MORE * (step.after - before.after)
        for name, taken in _asked(step, facts)
        if signal(policy.profile, facts, taken) == "machine" and (before := policy.step(name)) is not None
    ]
    return max(waits, default=timedelta(0))


def _asked(step: Step, facts: Facts) -> Iterator[tuple[str, Taken | None]]:
    if step.unless is None:
        return
    by_name = {one.step: one for one in facts.taken}
    for name, reactions in step.unless.steps.items():
        if "opened" in reactions:
            yield name, by_name.get(name)
