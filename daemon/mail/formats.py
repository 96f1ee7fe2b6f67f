"""Money, numbers and dates as the reader writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

BEYOND = Decimal(10) ** 12
"""No cart costs that much; a larger number is garbage, and printing 1e999999 would take all the memory there is."""
CURRENCY = re.compile(r"[A-Z]{3}")


@lru_cache(maxsize=512)
def locale_of(tag: str) -> Locale | None:
    """The locale of a BCP 47 tag (or of `de_DE`), as far as CLDR knows it."""
    try:
        return Locale.parse(tag.strip().replace("_", "-"), sep="-") if 2 <= len(tag) <= 35 else None
    except (ValueError, UnknownLocaleError, TypeError):
        return None


def tag_of(locale: Locale) -> str:
    """BCP 47: language, script where it is written, territory."""
    return "-".join(part for part in (locale.language, locale.script, locale.territory) if part)


@lru_cache(maxsize=512)
def zone_of(name: str) -> ZoneInfo:
    """The zone, UTC for a name that nobody knows."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Formats:
    """How one reader writes: a locale tag that `locale_of` knows, a zone and the cart's currency (ISO 4217)."""

    tag: str
    zone: str
    currency: str

    def money(self, amount: Decimal | None) -> str:
        """Empty where there is no price, or none that could be one."""
        return "" if amount is None or not sane(amount) else money(amount, self.currency, self.tag)

    def number(self, amount: Decimal) -> str:
        return number(amount, self.tag) if sane(amount) else ""

    def date(self, at: datetime | None) -> str:
        """The day at the reader's place."""
        return "" if at is None else date(at, self.zone, self.tag)


def sane(amount: Decimal) -> bool:
    return amount.is_finite() and abs(amount) < BEYOND


@lru_cache(maxsize=8192)
def money(amount: Decimal, currency: str, tag: str) -> str:
    locale = locale_of(tag)
    if not CURRENCY.fullmatch(currency):
        return format_decimal(amount, locale=locale, format="#,##0.00")
    return format_currency(amount, currency, locale=locale)


@lru_cache(maxsize=1024)
def number(amount: Decimal, tag: str) -> str:
    return format_decimal(amount, locale=locale_of(tag))


@lru_cache(maxsize=1024)
def date(at: datetime, zone: str, tag: str) -> str:
    return format_date(at.astimezone(zone_of(zone)), format="long", locale=locale_of(tag))
