"""Country profiles as data: on what ground a message may go out, and whether its reader may be followed.

This is engineering, not legal advice: have the profile you use checked by someone who may give it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rules.facts import Basis, Consent, Facts, Person

Tracking = Literal["track_open", "track_click"]
PURPOSES: Mapping[str, str] = {"email": "email_mkt"}
"""The purpose that a consent must name, by channel."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a country, with its source and when it was noted here."""

    text: str
    source: str
    noted: str


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    title: str
    basis_required: bool
    existing_customers_on: frozenset[str]
    """Channels on which a purchase can stand in for consent."""
    tracking_needs_consent: bool
    rules: tuple[Rule, ...]


DE = Profile(
    name="de",
    title="Germany",
    basis_required=True,
    existing_customers_on=frozenset({"email"}),
    tracking_needs_consent=True,
    rules=(
        Rule(
            "A reminder of a cart is advertising: without a ground it may not be sent.",
            "§ 7(2) UWG; BGH 12 September 2013, I ZR 208/12",
            "2026-11",
        ),
        Rule(
            "Consent counts when it was confirmed (double opt-in) and can be shown with its wording and process.",
            "BGH 10 February 2011, I ZR 164/09; Art. 7(1) GDPR",
            "2026-11",
        ),
        Rule(
            "An existing customer may be written to about similar goods of the same shop, if the address came with a "
            "sale, they were told at that moment and are told in each message that they may object, and they did not.",
            "§ 7(3) UWG",
            "2026-11",
        ),
        Rule(
            "Pixel and click tracking need a consent of their own.",
            "§ 25 TDDDG; EDPB Guidelines 2/2023",
            "2026-11",
        ),
    ),
)
NONE = Profile(
    name="none",
    title="No country: the operator answers for the law",
    basis_required=False,
    existing_customers_on=frozenset({"email"}),
    tracking_needs_consent=False,
    rules=(Rule("Whoever withdrew or objected is not written to and not followed.", "Art. 21(3) GDPR", "2026-11"),),
)
PROFILES: Mapping[str, Profile] = {"de": DE, "none": NONE}


def basis(profile: str, channel: str, facts: Facts) -> Basis | None:
    """The ground on which the person may be written to now; None: there is none."""
    law = PROFILES[profile]
    consent = facts.person.consents.get(PURPOSES[channel])
    if consent is not None and consent.state == "withdrawn":
        return None
    if consent is not None and consent.state == "confirmed":
        return Basis("consent", f"consent {consent.id}, confirmed {consent.at:%Y-%m-%d}", consent.id, consent.at)
    if channel in law.existing_customers_on and (customer := _existing_customer(facts)):
        return customer
    return None if law.basis_required else Basis("none_required", f'profile "{law.name}" asks for no ground')


def _existing_customer(facts: Facts) -> Basis | None:
    """§ 7(3) UWG: a purchase placed since customers are told at collection that they may object."""
    bought, since = facts.person.last_bought, facts.notice_since
    if bought is None or since is None or bought.at < since:
        return None
    return Basis("existing_customer", f"order {bought.ref} of {bought.at:%Y-%m-%d}", at=bought.at)


def why_no_basis(channel: str, facts: Facts) -> str:
    """The sentence for a message that has no ground."""
    consent = facts.person.consents.get(PURPOSES[channel])
    if consent is not None and consent.state == "withdrawn":
        return f"consent {consent.id} was withdrawn on {consent.at:%Y-%m-%d}"
    words = {"hint": "consent is only a hint, not confirmed", "requested": "consent was asked for, not confirmed"}
    first = words[consent.state] if consent is not None else "no confirmed consent"
    if facts.person.last_bought is None:
        return f"{first}, and no earlier order"
    if facts.notice_since is None:
        return f"{first}, and the shop names no notice to its customers (existing_customer_notice)"
    return f"{first}, and order {facts.person.last_bought.ref} is older than the notice to customers"


def may_track(profile: str, person: Person, purpose: Tracking) -> bool:
    """Whether opens (or clicks) of this person may be followed."""
    consent: Consent | None = person.consents.get(purpose)
    if PROFILES[profile].tracking_needs_consent:
        return consent is not None and consent.state == "confirmed"
    return consent is None or consent.state != "withdrawn"
