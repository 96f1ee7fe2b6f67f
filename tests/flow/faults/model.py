"""The small model that planner and sender are held against: who may get which step, told without a database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
RESTS = timedelta(minutes=30)
STEPS = {"remind": timedelta(hours=1), "doubts": timedelta(hours=5), "last-call": timedelta(hours=9)}
CAP, CAP_SPAN, GAP = 2, timedelta(hours=12), timedelta(hours=2)
NIGHT = (22, 7)
MOST_TRIES = 12
POLICY = """
legal: de
starts: {rests_for: 30m, not_older_than: 3d, again_after: 2d}
stops_on: [purchase, emptied, unsubscribed, complained]
caps: {any: 2 per 12h, same_channel_gap: 2h}
quiet: "22:00-07:00"
closes_after: 1h
steps:
  - {name: remind, send: email, after: 1h}
  - {name: doubts, send: email, after: 5h}
  - {name: last-call, send: email, after: 9h}
"""


@dataclass
class Basket:
    """A cart as the shop has it."""

    began: datetime
    changed: datetime
    full: bool = True


@dataclass
class Somebody:
    """A person, whoever was merged into them included. `steady`: nothing but one cart ever happened to them."""

    address: str
    baskets: dict[str, Basket] = field(default_factory=dict)
    bought: list[datetime] = field(default_factory=list)
    counted: dict[int, datetime] = field(default_factory=dict)
    """When each message left that may have arrived, by the message's number."""
    consent: str = ""
    active: datetime | None = None
    steady: bool = True

    def swallows(self, other: Somebody) -> None:
        """The two are one: what forbids is kept from both."""
        self.baskets |= other.baskets
        self.bought += other.bought
        self.counted |= other.counted
        words = {self.consent, other.consent}
        self.consent = "withdrawn" if "withdrawn" in words else "confirmed" if "confirmed" in words else ""
        self.active = max((at for at in (self.active, other.active) if at), default=None)
        self.steady = False


@dataclass
class Model:
    """What has happened, and what may follow from it."""

    now: datetime
    people: dict[str, Somebody] = field(default_factory=dict)
    """By the shop's number or by the guest's address."""
    suppressed: set[str] = field(default_factory=set)
    paused: bool = False
    resumed: datetime | None = None
    relayed: Counter[tuple[int, str]] = field(default_factory=Counter)
    """What the relay has taken, by recovery and step."""
    spent: set[tuple[str, str]] = field(default_factory=set)
    """(cart, step) that left, or were refused, or may have left."""
    tries: Counter[tuple[str, str]] = field(default_factory=Counter)

    def owner(self, ref: str) -> Somebody:
        return next(one for one in self.people.values() if ref in one.baskets)

    def forbidden(self, who: Somebody, basket: Basket) -> str:
        """Why nobody may write to them about this cart, by what has been committed."""
        if any(at >= basket.began for at in who.bought):
            return "bought"
        if who.address in self.suppressed:
            return "suppressed"
        if who.consent == "withdrawn":
            return "withdrawn"
        earlier = any(at < basket.began for at in who.bought)
        return "" if who.consent == "confirmed" or earlier else "no basis"

    def objection(self, ref: str, step: str) -> str:
        """Why this step of this cart must not be claimed now; nothing if it may."""
        who = self.owner(ref)
        basket = who.baskets[ref]
        span = self.span(who, basket, step)
        left = sorted(who.counted.values())
        answers = {
            "the cart is empty": not basket.full,
            "paused": self.paused,
            "early": self.now < span[0],
            "overtaken": self.now > span[1],
            "night": is_night(self.now),
            "cap": len([at for at in left if at > self.now - CAP_SPAN]) >= CAP,
            "gap": bool(left) and left[-1] > self.now - GAP,
            "active": self.now < max(basket.changed, who.active or basket.changed) + RESTS,
        }
        return self.forbidden(who, basket) or next((why for why, holds in answers.items() if holds), "")

    def span(self, who: Somebody, basket: Basket, step: str) -> tuple[datetime, datetime]:
        """First and last moment of a step: then the next takes its place; the last has a day."""
        rested = max(basket.changed, who.active or basket.changed) + RESTS
        due = max(basket.changed + STEPS[step], rested)
        after = [span for span in STEPS.values() if span > STEPS[step]]
        if after:
            return due, max(due, basket.changed + min(after), rested)
        return due, morning(due) + timedelta(hours=24)

    def expected(self) -> set[tuple[str, str]]:
        """(cart, step) that have to leave now: of those to whom nothing else ever happened."""
        found = set()
        for who in self.people.values():
            for ref in who.baskets if who.steady else ():
                to_come = self._after_the_last_spent(ref)
                step = next((one for one in to_come if self.now < self.span(who, who.baskets[ref], one)[1]), None)
                if step is not None and not self.objection(ref, step) and not self._just_resumed():
                    found.add((ref, step))
        return found

    def _after_the_last_spent(self, ref: str) -> list[str]:
        names = list(STEPS)
        spent = [no for no, name in enumerate(names) if self.is_spent(ref, name)]
        return names[max(spent, default=-1) + 1 :]

    def _just_resumed(self) -> bool:
        """What the brake held is looked at again within a minute."""
        return self.resumed is not None and self.now <= self.resumed + timedelta(minutes=1)

    def is_spent(self, ref: str, step: str) -> bool:
        return (ref, step) in self.spent or self.tries[ref, step] >= MOST_TRIES


def is_night(at: datetime) -> bool:
    hour = at.astimezone(BERLIN).hour
    return hour >= NIGHT[0] or hour < NIGHT[1]


def morning(at: datetime) -> datetime:
    """The first moment from then on at which it is not night."""
    while is_night(at):
        at = (at + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    return at
