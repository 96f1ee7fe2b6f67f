"""The questions that the ladder and the gate both ask. Each answers with a value, never with a verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from zoneinfo import ZoneInfo

from rules import caps, hours, law, opens
from rules.conditions import holds
from rules.facts import COUNTED, Basis, Facts
from rules.phones import barred
from rules.policy import Policy, Step
from rules.values import spoken

ADDRESSES_OF: Mapping[str, tuple[str, ...]] = {
    "email": ("email",),
    "sms": ("phone",),
    "webpush": ("push",),
    "onsite": ("onsite",),
    "audience": ("email", "phone"),
}
"""The kinds of identity that a channel can write to: one of them is enough."""
LEAST_VALIDITY: Mapping[str, timedelta] = {"sms": timedelta(minutes=2)}
"""How much of the lawful hours must be left, so that what is handed over now can still arrive within them."""
LOOK_AGAIN = timedelta(hours=6)
"""How soon a recovery that waits for somebody else is looked at again, if nothing woke it before."""
LEAST_LIFE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that forbids it for now: `about` is its word, `until` when to ask again."""

    about: str
    because: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that forbids it for good."""

    about: str
    because: str


def ended(policy: Policy, facts: Facts) -> Bar | None:
    """A fact that ends the recovery: one about the cart, or what came back of one of its messages."""
    met = {word for one in facts.taken for word in one.reactions}
    for fact in (facts.ended_by, *(word for word in ANSWERS if word in met)):
        if fact and policy.stops_at(fact):
            return Bar(fact, ENDINGS.get(fact, f"ended by {fact}"))
    return None


ANSWERS = ("complained", "replied", "bounced")
"""Reactions that end a recovery, the gravest first."""


ENDINGS = {
    "purchase": "the customer has bought",
    "emptied": "the cart was emptied",
    "unsubscribed": "the person unsubscribed",
    "complained": "the person complained about a message",
    "replied": "the person replied",
    "bounced": "a message came back: the address does not work",
}


def latest_end(policy: Policy, facts: Facts) -> datetime:
    """A recovery does not live longer, whatever happens: twice its ladder, at least a month."""
    ladder = policy.steps[-1].after + policy.closes_after
    return facts.started_at + max(LEAST_LIFE, 2 * ladder)


def outlived(policy: Policy, facts: Facts, now: datetime) -> Bar | None:
    if now >= latest_end(policy, facts):
        return Bar("expired", "the recovery has been open for as long as one may be")
    return None


def never_written_to(policy: Policy, facts: Facts) -> Bar | None:
    """People whom the policy leaves alone."""
    never = policy.starts.never
    for address in facts.person.addresses.values():
        pattern = next((one for one in never.addresses if matches(one, address)), None)
        if pattern is not None:
            return Bar("not_allowed", f"the address matches {pattern}, which is never written to")
    if facts.person.group and facts.person.group in never.groups:
        return Bar("not_allowed", f"the group {facts.person.group} is never written to")
    if policy.starts.existing_customers_only and facts.person.last_bought is None:
        return Bar("not_allowed", "only existing customers are written to, and the person never bought before")
    return None


@lru_cache(maxsize=512)
def _regex(pattern: str) -> re.Pattern[str]:
    body = ".*".join(re.escape(part) for part in pattern.lower().split("*"))
    return re.compile((".*" if pattern.startswith("@") else "") + body, re.DOTALL)


def matches(pattern: str, address: str) -> bool:
    """`@host` is any address there; `*` stands for anything; case does not matter."""
    return _regex(pattern).fullmatch(address.lower()) is not None


def order_on_hold(facts: Facts, now: datetime) -> Hold | None:
    if facts.on_hold:
        return Hold("on_hold", "an order is there whose payment is still open", now + LOOK_AGAIN)
    if facts.cart.stage == "frozen" and facts.cart.state == "open":
        return Hold("on_hold", "the customer is paying", now + LOOK_AGAIN)
    return None


def cart_closed(facts: Facts, now: datetime) -> Hold | None:
    """Nothing to write about: the policy does not stop on it, so it waits for things to change."""
    if facts.cart.state == "open":
        return None
    return Hold("cart_closed", f"the cart is {facts.cart.state}, so there is nothing to write about", now + LOOK_AGAIN)


def active(policy: Policy, facts: Facts, now: datetime) -> Hold | None:
    """The person is in the shop, or was until a moment ago."""
    rests = policy.starts.rests_for
    until = last_activity(facts) + rests
    if now < until:
        return Hold("active", f"the person was active less than {spoken(rests)} ago", until)
    return None


def resting(facts: Facts, now: datetime) -> Hold | None:
    """The person asked for a pause."""
    until = facts.person.resting_until
    if until is None or now >= until:
        return None
    return Hold("resting", f"the person asked to be left alone until {until:%Y-%m-%d %H:%M} UTC", until)


def last_activity(facts: Facts) -> datetime:
    seen = facts.person.active_at
    return facts.cart.changed_at if seen is None else max(seen, facts.cart.changed_at)


def out_of_hours(policy: Policy, facts: Facts, channel: str, now: datetime) -> Hold | None:
    """Quiet hours, weekdays and part of the day, by the clock where the person lives; and the law's for the channel."""
    where = hours.zone_of(facts.person.zone, facts.shop_zone)
    clocks = law.clocks(policy.profile, channel, facts.person, facts.shop_zone)
    instant = hours.next_allowed(policy, now, where, clocks)
    if instant == now:
        return _closing(policy, channel, now, where, clocks)
    unlawful = next((clock for clock in clocks if not clock.week.holds(now.astimezone(clock.where))), None)
    if unlawful is None or not hours.allowed(policy, now.astimezone(where)):
        because = f"it is {_wall(now, where)}, outside the hours of this policy"
    else:
        because = f'it is {_wall(now, unlawful.where)}, and by profile "{policy.profile}": {unlawful.week.rule}'
        if (nowhere := law.unknown_place(policy.profile, facts.person)) is not None:
            because += f" {nowhere}"
    return Hold("hours", because, instant or now + timedelta(days=hours.HORIZON))


def _closing(policy: Policy, channel: str, now: datetime, where: ZoneInfo, clocks: Sequence[law.Clock]) -> Hold | None:
    """Lawful now, and over before it could arrive."""
    least = LEAST_VALIDITY.get(channel, timedelta(0))
    over = hours.next_forbidden(policy, now, where, clocks) if least else None
    if over is None or over - now >= least:
        return None
    instant = hours.next_allowed(policy, over, where, clocks) or now + timedelta(days=hours.HORIZON)
    because = f"it is {_wall(now, where)}, and in less than {spoken(least)} the hours for {channel} are over"
    return Hold("hours", because, instant)


def deliverable_until(policy: Policy, facts: Facts, channel: str, now: datetime, not_after: datetime) -> datetime:
    """The latest instant at which what is handed over now may still arrive: the end of these hours, of the law's, and
    of the step's time. For a provider's own validity (a text's ValidityPeriod, a web push's TTL). Not before `now`."""
    where = hours.zone_of(facts.person.zone, facts.shop_zone)
    clocks = law.clocks(policy.profile, channel, facts.person, facts.shop_zone)
    over = hours.next_forbidden(policy, now, where, clocks)
    return max(now, min(not_after, over) if over is not None else not_after)


def _wall(now: datetime, where: ZoneInfo) -> str:
    local = now.astimezone(where)
    return f"{local:%H:%M} on {local:%A} in {where.key}"


def over_cap(policy: Policy, facts: Facts, channel: str, now: datetime) -> Hold | None:
    met = caps.frees_at(policy.caps, channel, facts.counted, now, policy.profile, fewer=facts.person.fewer)
    return Hold("cap", met[1], met[0]) if met else None


def over_budget(facts: Facts, channel: str, now: datetime) -> Hold | None:
    """What the shop has set aside for texts is spent."""
    budget = facts.budget
    if channel != "sms" or budget is None or not budget.used_up or now >= budget.renews_at:
        return None
    return Hold("budget", f"the budget for texts is used up: {budget.said}", budget.renews_at)


def enough_for_cart(policy: Policy, facts: Facts, step: Step) -> Bar | None:
    """The law's limit of a channel for one abandoned cart is reached by other steps."""
    limit = law.per_cart(policy.profile, step.send)
    if limit is None:
        return None
    gone = [one for one in facts.taken if one.channel == step.send and one.step != step.name and one.state in COUNTED]
    if len(gone) < limit.count:
        return None
    return Bar("cap", f'{gone[-1].step} went out by {step.send}, and by profile "{policy.profile}": {limit.rule}')


def unreachable(facts: Facts, channel: str) -> Bar | None:
    """No address, or one that is not to be written to."""
    if not any(facts.person.addresses.get(kind) for kind in ADDRESSES_OF[channel]):
        return Bar("no_address", f"there is no address for {channel}")
    number = facts.person.addresses.get("phone", "")
    if channel == "sms" and (why := barred(number, facts.texts_to)):
        return Bar("no_address", why)
    if channel == "audience" and facts.person.suppressed:
        return Bar("suppressed", "the address is on a list of those not written to, so it goes to no platform")
    if facts.person.suppressed & {channel, "any"}:
        return Bar("suppressed", f"the address is on the list of those not written to by {channel}")
    return None


def unless(policy: Policy, step: Step, facts: Facts) -> tuple[Bar | None, str]:
    """What leaves the step out, if it has come about; and what was found."""
    if step.unless is None:
        return None, "fine"
    read = partial(opens.read, policy, facts)
    answer = holds(step.unless, facts.cart, facts.person, facts.taken, every=False, read=read)
    return Bar("unless", answer.because) if answer.holds else None, answer.because


def asks_for_opens(step: Step) -> bool:
    return step.unless is not None and any("opened" in asked for asked in step.unless.steps.values())


def perhaps_opened(policy: Policy, step: Step, facts: Facts, now: datetime) -> Hold | None:
    """Nobody can say yet that what came before stayed unopened."""
    if unknown := next(opens.unknown(policy, step, facts), None):
        return Hold("opens", f"it is not known yet whether {unknown} arrived", now + LOOK_AGAIN)
    if more := opens.patience(policy, step, facts):
        until = due_at(policy, step, facts) + more
        if now < until:
            because = f"machines at most opened what came before, so a click is waited for {spoken(more)} longer"
            return Hold("opens", because, until)
    return None


def only_if(step: Step, facts: Facts) -> tuple[Bar | None, str]:
    """That the step's condition is not met, if so; and what was found."""
    if step.only_if is None:
        return None, "fine"
    answer = holds(step.only_if, facts.cart, facts.person, facts.taken)
    return None if answer.holds else Bar("only_if", answer.because), answer.because


def ground(policy: Policy, facts: Facts, channel: str) -> Basis | Bar:
    """The legal basis, or why there is none."""
    found = law.basis(policy.profile, channel, facts)
    return found or Bar("no_basis", f"no legal basis: {law.why_no_basis(channel, facts, policy.profile)}")


def due_at(policy: Policy, step: Step, facts: Facts) -> datetime:
    """Counted from the last change of the cart, and not before the person rests."""
    return max(facts.cart.changed_at + step.after, last_activity(facts) + policy.starts.rests_for)


def not_after(policy: Policy, step: Step, facts: Facts) -> datetime:
    """When the next step takes its place; the last one has 24 h from the first lawful hour after it was due, or after
    it has waited for a click.

    Not later than the law lets its channel follow a cart: then a step can be over before it is due.
    """
    follower = _follower(policy.ladder, step)
    due = due_at(policy, step, facts)
    if follower is not None:
        last = max(due, due_at(policy, follower, facts))
    else:
        due += opens.patience(policy, step, facts)
        where = hours.zone_of(facts.person.zone, facts.shop_zone)
        clocks = law.clocks(policy.profile, step.send, facts.person, facts.shop_zone)
        last = (hours.next_allowed(policy, due, where, clocks) or due) + timedelta(hours=24)
    limit = law.per_cart(policy.profile, step.send)
    return last if limit is None else min(last, facts.cart.changed_at + limit.within)


def why_over(policy: Policy, step: Step, facts: Facts, last: datetime) -> str:
    """The sentence for a step whose time is over, with the law where it was the law that ended it."""
    said, limit = f"its time was over at {last:%Y-%m-%d %H:%M} UTC", law.per_cart(policy.profile, step.send)
    if limit is None or last < facts.cart.changed_at + limit.within:
        return said
    return f'{said}, by profile "{policy.profile}": {limit.rule}'


def missed(policy: Policy, step: Step, facts: Facts) -> Bar | None:
    """Due in a time that is not made up for."""
    until = facts.stood_still_until
    if until is None or due_at(policy, step, facts) >= until:
        return None
    return Bar(
        "overtaken", f"it was due before {until:%Y-%m-%d %H:%M} UTC, and what was due until then is not made up for"
    )


def _follower(ladder: Sequence[Step], step: Step) -> Step | None:
    return next((other for other in ladder if other.after > step.after), None)
