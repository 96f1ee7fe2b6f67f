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
from rules.law.profile import OWN, PerCart, Profile, Rule, Tracking, Week, careful, on
from rules.values import Cap

__all__ = [
    "NOTICE",
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
    "unknown_place",
    "weeks",
    "why_basis",
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

NOTICE = "This is engineering, not legal advice: have the profile you use checked by someone who may give it."
CONSENT_EVEN_SO = Rule("Texts, web pushes and ad audiences need the person's own consent even so.", OWN)
NO_GROUND = Rule("E-mails go out without a ground: whoever chooses this profile answers for that.", OWN)
NONE = Profile(
    name="none",
    title="No country: the operator answers for the law",
    ground_needed_on=on(CONSENT_EVEN_SO, "sms", "webpush", "audience"),
    existing_customers_on=on(NO_GROUND, "email"),
    tracking_by_consent={},
    free=on(NO_GROUND, "email"),
    proof=Rule("Consent counts when it was confirmed and can be shown with its wording.", OWN),
    weeks={"sms": (careful(),)},
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


def why_basis(profile: str, channel: str, found: Basis, person: Person) -> str:
    """The sentence for a message that has a ground: the rule behind it, and for a mail why it carries no pixel."""
    law = PROFILES[profile]
    by_kind = {"consent": law.proof, "existing_customer": law.existing_customers_on.get(channel)}
    rule = by_kind.get(found.kind, law.free.get(channel))
    said = f'{found.evidence}, by profile "{profile}": {rule}' if rule is not None else found.evidence
    unfollowed = _why_unfollowed(law, person) if channel == "email" else ""
    return f"{said} {unfollowed}".rstrip()


def _why_unfollowed(law: Profile, person: Person) -> str:
    """Why the mail carries no pixel; empty: it does."""
    for purpose in ("track_open", "track_click"):
        if not may_track(law.name, person, purpose):
            rule = law.tracking_by_consent.get(purpose, law.objection)
            return f"No pixel, for want of {purpose}: {rule}"
    return ""


def _existing_customer(facts: Facts) -> Basis | None:
    """A purchase placed since customers are told at collection that they may object, as each country asks for."""
    bought, since = facts.person.last_bought, facts.notice_since
    if bought is None or since is None or bought.at < since:
        return None
    return Basis("existing_customer", f"order {bought.ref} of {bought.at:%Y-%m-%d}", at=bought.at)


def why_no_basis(channel: str, facts: Facts, profile: str = "de") -> str:
    """The sentence for a message that has no ground, and the rule that asks for one."""
    law, consent = PROFILES[profile], facts.person.consents.get(PURPOSES.get(channel, ""))
    if consent is not None and consent.state == "withdrawn":
        said = f"consent {consent.id} was withdrawn on {consent.at:%Y-%m-%d}"
        return f'{said}; by profile "{profile}": {law.objection}'
    words = {"hint": "consent is only a hint, not confirmed", "requested": "consent was asked for, not confirmed"}
    first = words[consent.state] if consent is not None else "no confirmed consent"
    rules = [str(law.proof)] * (consent is not None) + [str(law.ground_needed_on[channel])]
    return f'{first}{_why_no_customer(law, channel, facts)}; by profile "{profile}": {" ".join(rules)}'


def _why_no_customer(law: Profile, channel: str, facts: Facts) -> str:
    """Why no purchase stands in for it."""
    if channel not in law.existing_customers_on:
        return f", and a purchase does not stand in for it on {channel}"
    if facts.person.last_bought is None:
        return ", and no earlier order"
    if facts.notice_since is None:
        return ", and the shop names no notice to its customers (existing_customer_notice)"
    return f", and order {facts.person.last_bought.ref} is older than the notice to customers"


def may_track(profile: str, person: Person, purpose: Tracking) -> bool:
    """Whether opens (or clicks) of this person may be followed."""
    consent: Consent | None = person.consents.get(purpose)
    if purpose in PROFILES[profile].tracking_by_consent:
        return consent is not None and consent.state == "confirmed"
    return consent is None or consent.state != "withdrawn"


def weeks(profile: str, channel: str, states: tuple[str, ...] = ()) -> tuple[Week, ...]:
    """The hours of a channel, those of the states named first; all of them must hold. Empty: it has none."""
    law = PROFILES[profile]
    general = law.weeks.get(channel, ())
    return (*(law.states[state] for state in states if state in law.states), *general) if general else ()


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


def unknown_place(profile: str, person: Person) -> Rule | None:
    """What holds for a person of whom no time zone is known, where the country has a rule for that."""
    return None if zones_of(person) else PROFILES[profile].unknown_place


def caps(profile: str, channel: str) -> tuple[Cap, ...]:
    """What a person gets at most on a channel, beside the caps of the policy."""
    return PROFILES[profile].caps.get(channel, ())


def per_cart(profile: str, channel: str) -> PerCart | None:
    """How much of a channel may follow one abandoned cart; None: as much as the ladder says."""
    return PROFILES[profile].per_cart.get(channel)
