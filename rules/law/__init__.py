"""Country profiles as data: on what ground a message may go out, when, how often, and whether its reader is followed.

This is engineering, not legal advice: have the profile you use checked by someone who may give it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from rules.facts import Basis, Consent, Facts, Person
from rules.law.america import US
from rules.law.europe import AT, CH, DE, FR, IT, UK
from rules.law.places import states_of, zone, zones_of
from rules.law.profile import (
    CAP_RULE,
    OBJECTION,
    ONE_A_DAY,
    OWN,
    PerCart,
    Profile,
    Rule,
    Tracking,
    Week,
    careful,
)
from rules.values import Cap

__all__ = [
    "OWN",
    "PROFILES",
    "PURPOSES",
    "Clock",
    "Profile",
    "Rule",
    "Tracking",
    "Week",
    "basis",
    "caps",
    "clocks",
    "may_track",
    "per_cart",
    "weeks",
    "why_no_basis",
    "zone",
]

PURPOSES: Mapping[str, str] = {
    "email": "email_mkt",
    "sms": "sms_mkt",
    "webpush": "push_mkt",
    "audience": "ads_audience",
}
"""The purpose that a consent must name, by channel. A notice on the site has none: it hangs on the shop's own pages,
and only a browser that allowed it fetches it."""

CONSENT_EVEN_SO = "Texts, web pushes and ad audiences need the person's own consent even so."
NONE = Profile(
    name="none",
    title="No country: the operator answers for the law",
    ground_needed_on=frozenset({"sms", "webpush", "audience"}),
    existing_customers_on=frozenset({"email"}),
    tracking_by_consent=frozenset(),
    rules=(OBJECTION, Rule(CONSENT_EVEN_SO, OWN), CAP_RULE),
    weeks={"sms": (careful(),)},
    caps=ONE_A_DAY,
)
PROFILES: Mapping[str, Profile] = {one.name: one for one in (DE, AT, CH, FR, IT, UK, US, NONE)}


@dataclass(frozen=True, slots=True)
class Clock:
    """A wall clock that must stand within hours."""

    where: ZoneInfo
    week: Week


def basis(profile: str, channel: str, facts: Facts) -> Basis | None:
    """The ground on which the person may be written to now; None: there is none."""
    law = PROFILES[profile]
    consent = facts.person.consents.get(PURPOSES.get(channel, ""))
    if consent is not None and consent.state == "withdrawn":
        return None
    if consent is not None and consent.state == "confirmed":
        return Basis("consent", f"consent {consent.id}, confirmed {consent.at:%Y-%m-%d}", consent.id, consent.at)
    if channel in law.existing_customers_on and (customer := _existing_customer(facts)):
        return customer
    if channel in law.ground_needed_on:
        return None
    return Basis("none_required", f'profile "{law.name}" asks for no ground')


def _existing_customer(facts: Facts) -> Basis | None:
    """A purchase placed since customers are told at collection that they may object, as each country asks for."""
    bought, since = facts.person.last_bought, facts.notice_since
    if bought is None or since is None or bought.at < since:
        return None
    return Basis("existing_customer", f"order {bought.ref} of {bought.at:%Y-%m-%d}", at=bought.at)


def why_no_basis(channel: str, facts: Facts, profile: str = "de") -> str:
    """The sentence for a message that has no ground."""
    consent = facts.person.consents.get(PURPOSES.get(channel, ""))
    if consent is not None and consent.state == "withdrawn":
        return f"consent {consent.id} was withdrawn on {consent.at:%Y-%m-%d}"
    words = {"hint": "consent is only a hint, not confirmed", "requested": "consent was asked for, not confirmed"}
    first = words[consent.state] if consent is not None else "no confirmed consent"
    if channel not in PROFILES[profile].existing_customers_on:
        return f'{first}, and by profile "{profile}" a purchase does not stand in for it on {channel}'
    if facts.person.last_bought is None:
        return f"{first}, and no earlier order"
    if facts.notice_since is None:
        return f"{first}, and the shop names no notice to its customers (existing_customer_notice)"
    return f"{first}, and order {facts.person.last_bought.ref} is older than the notice to customers"


def may_track(profile: str, person: Person, purpose: Tracking) -> bool:
    """Whether opens (or clicks) of this person may be followed."""
    consent: Consent | None = person.consents.get(purpose)
    if purpose in PROFILES[profile].tracking_by_consent:
        return consent is not None and consent.state == "confirmed"
    return consent is None or consent.state != "withdrawn"


def weeks(profile: str, channel: str, states: tuple[str, ...] = ()) -> tuple[Week, ...]:
    """The hours of a channel, with those of the states named; all of them must hold. Empty: it has none."""
    law = PROFILES[profile]
    general = law.weeks.get(channel, ())
    return (*general, *(law.states[state] for state in states if state in law.states)) if general else ()


def clocks(profile: str, channel: str, person: Person, shop_zone: str) -> tuple[Clock, ...]:
    """All wall clocks that must stand within their hours: each hours in each zone where the person may be.

    Two zones that are known both count, and two states. Where none is known, those of the profile or the shop's.
    """
    if channel not in PROFILES[profile].weeks:
        return ()
    known = zones_of(person) or tuple(
        zone(name) or ZoneInfo("UTC") for name in PROFILES[profile].unknown_zones or (shop_zone,)
    )
    return tuple(Clock(where, week) for week in weeks(profile, channel, states_of(person)) for where in known)


def caps(profile: str, channel: str) -> tuple[Cap, ...]:
    """What a person gets at most on a channel, beside the caps of the policy."""
    return PROFILES[profile].caps.get(channel, ())


def per_cart(profile: str, channel: str) -> PerCart | None:
    """How much of a channel may follow one abandoned cart; None: as much as the ladder says."""
    return PROFILES[profile].per_cart.get(channel)
