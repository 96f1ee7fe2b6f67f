"""Who is behind a hit: human, machine or unknown. Only thinking: hits in, classes out, at any later time again."""

from __future__ import annotations

import uuid
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from crawlerdetect import CrawlerDetect

Kind = Literal["opened", "clicked", "viewed", "unsubscribed", "resubscribed", "landed", "dismissed"]
Class = Literal["human", "machine", "unknown"]

APPLE_PRIVACY = "Mozilla/5.0"
"""Exactly this, and nothing after it: Apple Mail fetches every picture in advance, read or not."""
GOOGLE = "GoogleImageProxy"
PROXIES = (GOOGLE, "YahooMailProxy")
"""They fetch when the mail is displayed, and once: what follows from their cache tells nothing."""
MAIL_CLIENTS = ("Microsoft Outlook", "Microsoft Office", "ms-office", "Outlook-iOS", "Outlook-Android", "Thunderbird")
"""Lists of crawlers name some of them, but they show mails to people."""
SCANNERS = ("barracuda", "mimecast", "proofpoint", "safelinks", "trendmicro", "fireeye", "symantec", "sophos")
SCANNED = timedelta(seconds=10)
"""Filters look at a mail while they take it in; nobody reads that fast."""
BURST = timedelta(seconds=2)
BURST_LINKS = 3
TRAP = timedelta(seconds=60)
"""Who follows the link that nobody can see followed the others beside it."""
VISIT = timedelta(minutes=30)
SCRIPT = "SCRIPT"
"""In the place of a hit's method: told by our script on the shop's pages, in a browser that ran it and showed it."""


class Hit(NamedTuple):
    """One request, as it is kept. `at` is shop time; None: the database says it."""

    id: uuid.UUID
    kind: Kind
    shop_id: int
    message_id: int
    link_no: int | None = None
    method: str = "GET"
    user_agent: str = ""
    ip_net: str = ""
    at: datetime | None = None

    def line(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return self._asdict() | {"id": str(self.id), "at": self.at and self.at.isoformat()}


def from_line(line: Mapping[str, Any]) -> Hit:
    """The opposite of `Hit.line`."""
    at = line["at"] and datetime.fromisoformat(line["at"])
    return Hit(**{**line, "id": uuid.UUID(line["id"]), "at": at})


@dataclass(frozen=True, slots=True)
class Seen:
    """A hit as it is judged."""

    id: uuid.UUID
    kind: str
    at: datetime
    method: str
    user_agent: str
    link_no: int | None = None
    honeypot: bool = False
    pushed: bool = False
    """Its address was in a web push, which only the person's browser can read."""


def classify(
    hits: Sequence[Seen], accepted_at: datetime | None, visits: Sequence[datetime] = (), *, beacon: bool = False
) -> dict[uuid.UUID, Class]:
    """The class of each hit of one message; the more hits and visits to the shop are known, the better.

    `accepted_at` is when the provider took the message; `visits` when the person did something in the shop. `beacon`:
    the shop's pages carry our script, so a click is not a person's because the mail was opened, only because its page
    was looked at.
    """
    ordered = sorted(hits, key=lambda hit: (hit.at, hit.id))
    told = [hit for hit in ordered if hit.method == SCRIPT]
    classes: dict[uuid.UUID, Class] = {hit.id: "machine" if is_scanner(hit.user_agent) else "human" for hit in told}
    ordered = [hit for hit in ordered if hit.method != SCRIPT]
    classes |= _opens([hit for hit in ordered if hit.kind == "opened"], accepted_at)
    read = any(classes[hit.id] == "human" for hit in ordered if hit.kind == "opened")
    clicks = [hit for hit in ordered if hit.kind in ("clicked", "viewed")]
    landed = _landed(clicks, [hit for hit in told if hit.kind == "landed" and classes[hit.id] == "human"])
    swept = _swept(clicks)
    for click in clicks:
        if click.id in swept or _machine(click, accepted_at):
            classes[click.id] = "machine"
        elif not click.user_agent:
            classes[click.id] = "unknown"
        else:
            came = any(click.at <= visit <= click.at + VISIT for visit in visits)
            opener = click.pushed or (read and not (beacon and click.kind == "clicked"))
            classes[click.id] = "human" if opener or came or click.id in landed else "unknown"
    return classes


def _landed(clicks: Sequence[Seen], landings: Sequence[Seen]) -> set[uuid.UUID]:
    """The clicks, in order of time, whose page was looked at: of each landing the last one before it on its link."""
    found = set[uuid.UUID]()
    for landing in landings:
        before = [
            click.id
            for click in clicks
            if click.kind == "clicked"
            and click.link_no == landing.link_no
            and click.at <= landing.at <= click.at + VISIT
        ]
        found.update(before[-1:])
    return found


def _opens(opens: Sequence[Seen], accepted_at: datetime | None) -> dict[uuid.UUID, Class]:
    classes: dict[uuid.UUID, Class] = {}
    proxied = False
    for hit in opens:
        if any(proxy in hit.user_agent for proxy in PROXIES):
            early = GOOGLE not in hit.user_agent and _too_early(hit, accepted_at)
            classes[hit.id] = "machine" if early else "unknown" if proxied else "human"
            proxied = proxied or not early
        elif _machine(hit, accepted_at) or hit.user_agent == APPLE_PRIVACY:
            classes[hit.id] = "machine"
        else:
            classes[hit.id] = "human" if hit.user_agent else "unknown"
    return classes


def _machine(hit: Seen, accepted_at: datetime | None) -> bool:
    return hit.method == "HEAD" or _too_early(hit, accepted_at) or is_scanner(hit.user_agent)


def _too_early(hit: Seen, accepted_at: datetime | None) -> bool:
    return accepted_at is not None and hit.at <= accepted_at + SCANNED


def _swept(clicks: Sequence[Seen]) -> set[uuid.UUID]:
    """The clicks, in order of time, of who follows every link: near the hidden one, or many within two seconds."""
    traps = [click.at for click in clicks if click.honeypot]
    found = {click.id for click in clicks if any(abs(click.at - trap) <= TRAP for trap in _nearest(traps, click.at))}
    first = marked = 0
    links: Counter[int | None] = Counter()
    for last, click in enumerate(clicks):
        links[click.link_no] += 1
        while clicks[first].at < click.at - BURST:
            links[clicks[first].link_no] -= 1
            links += Counter()  # drops what fell to zero
            first += 1
        if len(links) >= BURST_LINKS:
            found.update(one.id for one in clicks[max(first, marked) : last + 1])
            marked = last + 1
    return found


def _nearest(times: Sequence[datetime], at: datetime) -> Sequence[datetime]:
    """Those of the sorted times right before and after."""
    place = bisect(times, at)
    return times[max(place - 1, 0) : place + 1]


@lru_cache(maxsize=4096)
def is_scanner(user_agent: str) -> bool:
    """A program that fetches links or pictures by itself."""
    if any(client in user_agent for client in MAIL_CLIENTS):
        return False
    low = user_agent.casefold()
    return any(name in low for name in SCANNERS) or bool(CRAWLERS.is_crawler(user_agent))


CRAWLERS = CrawlerDetect()
