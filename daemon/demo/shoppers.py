"""Who comes to the pretend shop, and what they are like. All of it follows from a seed; nothing from timing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from daemon.demo.catalogue import WARES

Relation = Literal["customer", "subscriber", "stranger"]
Reader = Literal["browser", "gmail", "apple", "outlook"]

RELATIONS: tuple[Relation, ...] = ("customer", "subscriber", "stranger")
GRID = timedelta(minutes=10)
"""What people do happens at full ten minutes: the fewer instants, the sooner the story is told."""
AWAKE = (7, 23)
"""Hours of the day between which people read and shop."""

NAMES = {
    "de": (
        ("Anna", "Jonas", "Mia", "Paul", "Lena", "Felix", "Clara", "Emil", "Johanna", "Ben", "Greta", "Jürgen", "Zoë"),
        ("Albers", "Brandt", "Claasen", "Dörfler", "Ebert", "Größl", "Hansen", "Jäger", "Krüger", "Löwe", "Mertens"),
    ),
    "en": (
        ("Alice", "Oliver", "Maya", "Noah", "Ruth", "Samuel", "Isla", "Theo", "Nora", "Hugo", "Ada", "Siobhán"),
        ("Archer", "Bell", "Carter", "Dunn", "Ellis", "Foster", "Grant", "Hughes", "Irving", "Knox", "O'Neill"),
    ),
}
HOMES = {"de": ("de-DE", "Europe/Berlin", "DE"), "en": ("en-GB", "Europe/London", "GB")}
READERS: dict[Reader, str] = {
    "browser": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "gmail": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "apple": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "outlook": "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.18129)",
}
"""What a mail program calls itself when it fetches a picture."""
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
APPLE_PRIVACY = "Mozilla/5.0"
SCANNERS = (
    "Barracuda Sentinel (EE)",
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)",
    "python-requests/2.32.3",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36",
)
"""Filters of companies that follow every link; the last one says that it is a browser."""


def chance(seed: int, number: int, occasion: str) -> Random:
    """The dice of one shopper on one occasion: the same whatever happened before or beside it."""
    return Random(f"{seed}/{number}/{occasion}")  # noqa: S311  # a repeatable game, nothing secret


@dataclass(frozen=True, slots=True)
class Shopper:
    """`relation` says on what ground they may be written to; `followed` whether they agreed to be tracked."""

    number: int
    seed: int
    first_name: str
    last_name: str
    email: str
    locale: str
    zone: str
    country: str
    relation: Relation
    has_account: bool
    followed: bool
    reader: Reader
    scanned: bool
    """Their company's filter follows every link before they see the mail."""
    gone: bool
    """Their address does not exist any more."""
    comes_after: timedelta
    wants: tuple[tuple[str, int], ...]
    phone: str
    """Empty for who gave none."""
    takes: frozenset[str]
    """What they agreed to beside mails: sms_mkt, push_mkt, ads_audience."""

    def dice(self, occasion: str) -> Random:
        return chance(self.seed, self.number, occasion)


@dataclass(frozen=True, slots=True)
class AfterLeaving:
    """What somebody does of their own accord after leaving a cart; None: not at all."""

    checks_out: bool
    changes_after: timedelta | None = None
    empties_after: timedelta | None = None
    buys_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class AfterMail:
    """What somebody does with a mail; each after the one before it. None: not at all."""

    opens_after: timedelta | None = None
    clicks_after: timedelta | None = None
    link: int = 0
    """Which of the links they press, counted round."""
    buys_after: timedelta | None = None
    changes_after: timedelta | None = None
    unsubscribes_after: timedelta | None = None
    one_click: bool = False
    """They unsubscribe by the button of their mail program, not on our page."""
    thinks_better: bool = False
    """They take that back on the page."""


def population(seed: int, count: int, hours: int) -> list[Shopper]:
    """`count` shoppers who come within the first half of `hours`, most of them early."""
    return [shopper(seed, number, hours) for number in range(1, count + 1)]


def shopper(seed: int, number: int, hours: int) -> Shopper:
    dice = chance(seed, number, "birth")
    language = "de" if dice.random() < 0.5 else "en"
    locale, zone, country = HOMES[language]
    first, last = dice.choice(NAMES[language][0]), dice.choice(NAMES[language][1])
    relation: Relation = dice.choices(RELATIONS, (45, 35, 20))[0]
    plain = (first + "." + last).casefold().translate(PLAIN)
    company = dice.random() < 0.12
    return Shopper(
        number=number,
        seed=seed,
        first_name=first,
        last_name=last,
        email=f"{plain}.{number}@{'werk.example' if company else 'post.example'}",
        locale=locale,
        zone=zone,
        country=country,
        relation=relation,
        has_account=relation == "customer" or dice.random() < 0.5,
        followed=relation != "stranger" and dice.random() < 0.7,
        reader=dice.choices(("browser", "gmail", "apple", "outlook"), (30, 30, 28, 12))[0],
        scanned=company,
        gone=dice.random() < 0.015,
        comes_after=on_grid(timedelta(hours=hours * 0.5 * dice.random() ** 2)),
        wants=tuple((ref, dice.choices((1, 2, 4), (75, 20, 5))[0]) for ref in _some(dice)),
        phone=_phone(country, number) if relation != "stranger" and dice.random() < 0.7 else "",
        takes=frozenset(
            purpose for purpose, share in TAKES.items() if relation != "stranger" and dice.random() < share
        ),
    )


TAKES = {"sms_mkt": 0.55, "push_mkt": 0.35, "ads_audience": 0.5}


def _phone(country: str, number: int) -> str:
    """Mobile ones that nobody has."""
    return f"+49176040{number:05}" if country == "DE" else f"+4474001{number:05}"


PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ë": "e", "á": "a", "'": ""})


def _some(dice: Random) -> Sequence[str]:
    return dice.sample(list(WARES), dice.choices((1, 2, 3, 5), (45, 30, 18, 7))[0])


def after_leaving(who: Shopper) -> AfterLeaving:
    """A few buy or change their mind by themselves: those that nobody wrote to do so as well."""
    dice = who.dice("after leaving")
    kind, span = dice.random(), dice.random()
    checks_out = dice.random() < 0.15
    if kind < 0.08:
        return AfterLeaving(checks_out, buys_after=minutes(5, 50, span))
    if kind < 0.22:
        return AfterLeaving(checks_out, buys_after=minutes(90, 50 * 60, span))
    if kind < 0.30:
        return AfterLeaving(checks_out, changes_after=minutes(25, 200, span))
    if kind < 0.35:
        return AfterLeaving(checks_out, empties_after=minutes(60, 40 * 60, span))
    return AfterLeaving(checks_out)


def after_mail(who: Shopper, step: str) -> AfterMail:
    """The same for the same step, whenever it comes."""
    dice = who.dice(f"mail {step}")
    opens, clicks, buys, turns, objects = (dice.random() for _ in range(5))
    spans = [dice.random() for _ in range(4)]
    if opens > 0.62:
        return AfterMail()
    opens_after = minutes(2, 420, spans[0] ** 2)
    if objects < 0.05:
        return AfterMail(opens_after, unsubscribes_after=GRID, one_click=objects < 0.02, thinks_better=objects > 0.043)
    if clicks > 0.5:
        return AfterMail(opens_after)
    return AfterMail(
        opens_after,
        clicks_after=on_grid(timedelta(minutes=12 * spans[1])),
        link=dice.randrange(12),
        buys_after=minutes(2, 25, spans[2]) if buys < 0.42 else None,
        changes_after=minutes(2, 9, spans[3]) if buys >= 0.42 and turns < 0.2 else None,
    )


def minutes(least: int, most: int, share: float) -> timedelta:
    return max(GRID, on_grid(timedelta(minutes=least + (most - least) * share)))


def on_grid(span: timedelta) -> timedelta:
    return round(span / GRID) * GRID


def when_awake(who: Shopper, at: datetime, occasion: str) -> datetime:
    """`at`, or some time of the next morning where that is in the middle of their night."""
    local = at.astimezone(ZoneInfo(who.zone))
    first, last = AWAKE
    if first <= local.hour < last:
        return at
    day = local.date() if local.hour < first else local.date() + timedelta(days=1)
    waking = datetime(day.year, day.month, day.day, first, tzinfo=local.tzinfo)
    later = on_grid(timedelta(minutes=who.dice(f"waking {occasion}").randrange(100)))
    return (waking + later).astimezone(at.tzinfo)
