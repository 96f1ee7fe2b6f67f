"""The values of a shop's JSON, cleaned at the edge: references, texts, money, times and addresses."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, WithJsonSchema

LONGEST_REF = 200
LARGEST_SUM = Decimal(10) ** 12
LARGEST_QUANTITY = Decimal(10) ** 6
FOUR_PLACES, TWO_PLACES = Decimal("0.0001"), Decimal("0.01")

NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,25})?")
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}")
COUNTRY = re.compile(r"[A-Z]{2}")
REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
EMAIL = re.compile(r"[^@\s<>(),;:\"\\\x00-\x1f]{1,64}@[^@\s<>(),;:\"\\\x00-\x1f]{1,253}")
BAD_IN_URL = re.compile(r"[\s\"'<>\\^`{|}\x00-\x1f\x7f]")
NOT_SHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Controls, and the marks that turn the direction of the text around them."""
SURROGATE = re.compile("[\ud800-\udfff]")
SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    """One line that PostgreSQL and a mail can hold: no NUL or other control, no half of a surrogate pair."""
    if text.isascii() and text.isprintable():
        return text.strip()
    return SPACES.sub(" ", NOT_SHOWN.sub("", SURROGATE.sub("\ufffd", text))).strip()


def _text(value: object) -> str:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("must be a text")


def _label(longest: int) -> Callable[[object], str]:
    """Text that is only shown: too much of it is cut."""

    def read(value: object) -> str:
        return _text(value)[:longest].rstrip()

    return read


def _ref(value: object) -> str:
    """A reference is never cut: two could become one."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError("must be a text or a whole number")
    text = str(value)
    if clean(text) != text.strip():
        raise ValueError("must not hold control characters, line breaks or doubled spaces")
    if not 1 <= len(text.strip()) <= LONGEST_REF:
        raise ValueError(f"must have 1 to {LONGEST_REF} characters")
    return text.strip()


def _optional_ref(value: object) -> str:
    return "" if value == "" else _ref(value)


def tidy(number: Decimal) -> Decimal:
    """Four places at most, two where they do: what a float adds (19.989999999999998) is rounded away."""
    four = number.quantize(FOUR_PLACES)
    two = four.quantize(TWO_PLACES)
    return (two if two == four else four) + 0  # + 0: no negative zero


def _number(value: object, largest: Decimal) -> Decimal:
    if isinstance(value, str):
        if not NUMBER.fullmatch(value.strip()):
            raise ValueError('must be written like "1234.50": with a point, no thousands separator and no currency')
        number = Decimal(value.strip())
    elif isinstance(value, Decimal | int) and not isinstance(value, bool):
        number = Decimal(value)
    elif isinstance(value, float):
        number = Decimal(repr(value))
    else:
        raise ValueError("must be a number, or a text with a number in it")
    if not number.is_finite() or abs(number) >= largest:
        raise ValueError(f"must be less than {largest:f}")
    return tidy(number)


def _price(value: object) -> Decimal:
    return _number(value, LARGEST_SUM)


def _sum(value: object) -> Decimal:
    number = _number(value, LARGEST_SUM)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _quantity(value: object) -> Decimal:
    number = _number(value, LARGEST_QUANTITY)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _time(value: object) -> datetime:
    """RFC 3339 section 5.6; a leap second counts as the second before it."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    found = TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a time with its zone as in RFC 3339, such as 2026-03-01T12:30:05.123Z")
    day, clock, fraction, zone = found.groups()
    clock = clock[:-2] + "59" if clock.endswith("60") else clock
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{zone.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is no time of the calendar") from None
    if not 2000 <= at.year < 2100:
        raise ValueError("must lie between the years 2000 and 2100")
    return at


def _matching(pattern: re.Pattern[str], turn: Callable[[str], str], hint: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        text = turn(_text(value))
        if text and not pattern.fullmatch(text):
            raise ValueError(f"must be {hint}")
        return text

    return read


def _zone(value: object) -> str:
    text = _text(value)
    if not text:
        return ""
    try:
        ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise ValueError("must be a time zone such as Europe/Berlin") from None
    return text


def _email(value: object) -> str:
    text = _text(value)
    if text and (len(text) > 254 or not EMAIL.fullmatch(text)):
        raise ValueError("must be one e-mail address")
    return text


def _url(value: object) -> str:
    """Links end up in mails: http or https, and nothing that could break out of an attribute."""
    text = value.strip() if isinstance(value, str) else "?"
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good or len(text) > 2000 or BAD_IN_URL.search(text) or SURROGATE.search(text):
        raise ValueError("must be a whole address that begins with https://, at most 2000 characters long")
    return text


def _shown(kind: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **more})


_NUMBERS = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,25})?$"}]}
_REFS = [{"type": "string", "maxLength": LONGEST_REF}, {"type": "integer"}]

Ref = Annotated[str, BeforeValidator(_ref), WithJsonSchema({"anyOf": [{**_REFS[0], "minLength": 1}, _REFS[1]]})]
OptionalRef = Annotated[str, BeforeValidator(_optional_ref), WithJsonSchema({"anyOf": _REFS})]
Name = Annotated[str, BeforeValidator(_label(300)), _shown("string")]
Word = Annotated[str, BeforeValidator(_label(100)), _shown("string")]
Proof = Annotated[str, BeforeValidator(_label(4000)), _shown("string")]
Price = Annotated[Decimal, BeforeValidator(_price), WithJsonSchema(_NUMBERS)]
Sum = Annotated[Decimal, BeforeValidator(_sum), WithJsonSchema(_NUMBERS)]
Quantity = Annotated[Decimal, BeforeValidator(_quantity), WithJsonSchema(_NUMBERS)]
Time = Annotated[datetime, BeforeValidator(_time), _shown("string", format="date-time")]
Url = Annotated[str, BeforeValidator(_url), _shown("string", format="uri", maxLength=2000)]
Email = Annotated[str, BeforeValidator(_email), _shown("string", format="email", maxLength=254)]
Currency = Annotated[
    str,
    BeforeValidator(_matching(CURRENCY, str.upper, "three letters of ISO 4217, such as EUR")),
    _shown("string", pattern="^[A-Za-z]{3}$"),
]
Country = Annotated[
    str,
    BeforeValidator(_matching(COUNTRY, str.upper, "two letters of ISO 3166, such as DE")),
    _shown("string", pattern="^[A-Za-z]{2}$"),
]
Region = Annotated[
    str,
    BeforeValidator(_matching(REGION, str.upper, "a code of ISO 3166-2, such as US-TX")),
    _shown("string", pattern="^[A-Za-z]{2}-[A-Za-z0-9]{1,3}$"),
]
Locale = Annotated[
    str,
    BeforeValidator(_matching(LOCALE, lambda text: text.replace("_", "-"), "a language tag such as de or de-AT")),
    _shown("string"),
]
Zone = Annotated[str, BeforeValidator(_zone), _shown("string")]
