"""What a country profile is made of: rules with their source, hours by the wall clock, limits by channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from rules.values import Cap, Window

Tracking = Literal["track_open", "track_click"]
NOTED = "2026-11"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a country, with its source and when it was noted here."""

    text: str
    source: str
    noted: str = NOTED
    seen: str = ""
    """Where a text of it, or about it, was read for this note; empty: from general knowledge, not re-read."""

    def __str__(self) -> str:
        return f"{self.text} ({self.source}; noted {self.noted})"


@dataclass(frozen=True, slots=True)
class Week:
    """The hours of a rule, by the wall clock where the person is; None: that day is silent."""

    rule: Rule
    weekdays: Window | None
    saturday: Window | None
    sunday: Window | None
    holidays_of: str = ""
    """Whose public holidays count: ISO 3166 code of a country or its part, like `FR` or `US-RI`; empty: nobody's."""
    holiday: Window | None = None
    """What is left of a public holiday."""

    def window(self, day: date) -> Window | None:
        if self.holidays_of and day in holidays_in(self.holidays_of, day.year):
            return self.holiday
        return (self.saturday, self.sunday)[day.weekday() - 5] if day.weekday() >= 5 else self.weekdays

    def edges(self, day: date) -> Iterator[time]:
        """Wall-clock times of that day at which it may begin to hold."""
        if (window := self.window(day)) is not None:
            yield window.start

    def ends(self, day: date) -> Iterator[time]:
        """Wall-clock times of that day at which it may cease to hold."""
        yield time(0)
        if (window := self.window(day)) is not None:
            yield window.end

    def holds(self, local: datetime) -> bool:
        window = self.window(local.date())
        return window is not None and window.holds(local.time())


@lru_cache(maxsize=256)
def holidays_in(area: str, year: int) -> frozenset[date]:
    """Public holidays, with the days on which they are observed. Raises NotImplementedError for an unknown area."""
    from holidays import country_holidays  # noqa: PLC0415  read only where a rule asks for holidays

    country, _, part = area.partition("-")
    return frozenset(country_holidays(country, subdiv=part or None, years=year).keys())


@dataclass(frozen=True, slots=True)
class PerCart:
    """How much of one channel may follow one abandoned cart."""

    rule: Rule
    count: int
    within: timedelta
    """Counted from the last change of the cart."""


def hours(start: int, end: int) -> Window:
    """Full hours, like 9 to 20."""
    return Window(time(start), time(end))


DAY = hours(9, 20)
LATE = hours(12, 20)


def careful(country: str = "") -> Week:
    """What holds for texts under every profile, whatever else does; a public holiday is taken for a Sunday."""
    text = "Texts go out from 9:00 to 20:00, on Sundays not before 12:00"
    text += ", on public holidays neither." if country else "."
    return Week(Rule(text, OWN), DAY, DAY, LATE, country, LATE if country else None)


OWN = "tillbell's own caution, not a law"
ONE_A_DAY: Mapping[str, tuple[Cap, ...]] = MappingProxyType({"sms": (Cap(1, timedelta(hours=24)),)})
CAP_RULE = Rule("A person gets at most one text in 24 hours.", OWN)
OBJECTION = Rule("Whoever withdrew or objected is not written to and not followed.", "Art. 7(3) and 21(3) GDPR")
PROOF = Rule("Consent counts when it was confirmed and can be shown with its wording.", "Art. 7(1) GDPR")


@dataclass(frozen=True, slots=True)
class Profile:
    """A country: on what ground, when, how much, and whether readers may be followed. All by channel, each with the
    rule that says so: without the rule the engine asks for nothing."""

    name: str
    title: str
    ground_needed_on: Mapping[str, Rule]
    """Channels on which nothing goes out without consent, or a purchase that stands in for it."""
    existing_customers_on: Mapping[str, Rule]
    """Channels on which a purchase can stand in for consent."""
    tracking_by_consent: Mapping[Tracking, Rule]
    """What of a reader may be followed only with a consent of its own."""
    free: Mapping[str, Rule] = field(default_factory=dict)
    """What to know of channels on which no ground is needed."""
    proof: Rule = PROOF
    """When a consent counts."""
    objection: Rule = OBJECTION
    also: tuple[Rule, ...] = ()
    """What else to know."""
    weeks: Mapping[str, tuple[Week, ...]] = field(default_factory=dict)
    """Hours by channel, the law's before ours; all of them must hold. A channel that is not named has none."""
    states: Mapping[str, Week] = field(default_factory=dict)
    """Further hours for text messages in parts of the country, by ISO 3166-2."""
    unknown_zones: tuple[str, ...] = ()
    """Time zones that all count where the person's is not known; empty: the shop's."""
    unknown_place: Rule | None = None
    """The rule behind them."""
    caps: Mapping[str, tuple[Cap, ...]] = field(default_factory=lambda: ONE_A_DAY)
    cap_rule: Rule = CAP_RULE
    per_cart: Mapping[str, PerCart] = field(default_factory=dict)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Each once, but those of the hours, which stand with their weeks."""
        by_channel = (self.ground_needed_on, self.existing_customers_on, self.tracking_by_consent, self.free)
        said = [rule for rules in by_channel for rule in rules.values()]
        limits = [one.rule for one in self.per_cart.values()]
        where = [self.unknown_place] if self.unknown_place is not None else []
        return tuple(dict.fromkeys((*said, self.proof, *self.also, *limits, *where, self.objection, self.cap_rule)))

    def every_rule(self) -> tuple[Rule, ...]:
        """Those of the hours and of parts of the country, too."""
        weeks = [week for weeks in self.weeks.values() for week in (*self.states.values(), *weeks)]
        return tuple(dict.fromkeys((*self.rules, *(week.rule for week in weeks))))


def on(rule: Rule, *channels: str) -> dict[str, Rule]:
    """One rule for several channels."""
    return dict.fromkeys(channels, rule)


def followed(rule: Rule) -> dict[Tracking, Rule]:
    """One rule for opens and clicks."""
    return {"track_open": rule, "track_click": rule}
