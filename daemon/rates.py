"""What an operator allows a relay: so many mails in a span, to everybody or to the mailboxes of one provider."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

UNITS = {"s": 1, "m": 60, "h": 3600}
EVERYBODY_ELSE = "*"
DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
MOST = 100_000
"""A second: above it a rate bounds nothing, and is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many mails in each second, minute or hour."""

    count: int
    unit: str = "s"

    @property
    def per_second(self) -> float:
        return self.count / UNITS[self.unit]

    @property
    def each(self) -> timedelta:
        """The time that belongs to one mail."""
        return timedelta(seconds=1 / self.per_second)

    @property
    def tokens(self) -> int:
        """At most so many within any `span`: the rate by the second, or one at a time where it is lower."""
        return max(1, int(self.per_second))

    @property
    def span(self) -> float:
        """Seconds in which `tokens` may be used once."""
        return self.tokens / self.per_second

    def __str__(self) -> str:
        return f"{self.count}/{self.unit}"


@dataclass(frozen=True, slots=True)
class DomainRate:
    """One rate for the domains of one provider together; `*`: for each other domain by itself."""

    domains: tuple[str, ...]
    rate: Rate

    def __str__(self) -> str:
        return f"{'+'.join(self.domains)}={self.rate}"


def read_rate(text: str) -> Rate:
    """`500/s`, `90/m`, `1000/h`. Raises ValueError."""
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*([smh])\s*", text)
    if not found:
        raise ValueError(f'"{text}" is not a rate; write it like 500/s, 90/m or 1000/h')
    rate = Rate(int(found[1]), found[2])
    if not 0 < rate.per_second <= MOST:
        raise ValueError(f'"{text}" is out of bounds: more than nothing, at most {MOST}/s')
    return rate


def read_domain_rates(text: str) -> tuple[DomainRate, ...]:
    """`gmail.com+googlemail.com=20/s, *=5/s`. Raises ValueError; no domain may stand twice."""
    found: list[DomainRate] = []
    seen: set[str] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        names, equals, rate = part.partition("=")
        if not equals:
            raise ValueError(f'"{part}" has no rate; write it like gmail.com+googlemail.com=20/s')
        domains = tuple(name.strip().casefold() for name in names.split("+"))
        for name in domains:
            if name != EVERYBODY_ELSE and not DOMAIN.fullmatch(name):
                raise ValueError(f'"{name}" is not a domain; write it like gmail.com, or * for each other one')
            if name in seen:
                raise ValueError(f'"{name}" has two rates')
            seen.add(name)
        if EVERYBODY_ELSE in domains and len(domains) > 1:
            raise ValueError('"*" stands for each other domain by itself: it cannot share a rate')
        found.append(DomainRate(domains, read_rate(rate)))
    return tuple(found)


def rate_of(domain: str, rates: tuple[DomainRate, ...]) -> tuple[str, Rate] | None:
    """The name that a domain is counted under, and its rate; None: it has none."""
    for one in rates:
        if domain in one.domains:
            return one.domains[0], one.rate
    other = next((one.rate for one in rates if EVERYBODY_ELSE in one.domains), None)
    return (domain, other) if other and domain else None
