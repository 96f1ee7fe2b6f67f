"""The small values of rule files: spans with a unit, money with its currency, caps, shares, windows of the day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pytimeparse.timeparse import timeparse

LONGEST = timedelta(days=366)


def read_span(text: object) -> timedelta:
    """`45m`, `24h`, `7d`. Raises ValueError: without a unit, negative, zero or longer than a year."""
    if isinstance(text, timedelta):
        return text
    hint = 'write a span with its unit, like "45m", "24h" or "7d"'
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError(hint)
    if not isinstance(text, str) or not re.fullmatch(r"\s*(\d+(\.\d+)?\s*[a-z]+\s*)+", text):
        raise ValueError(f'"{text}" is not a span of time; {hint}')
    seconds = timeparse(text)
    if seconds is None:
        raise ValueError(f'"{text}" is not a span of time; {hint}')
    span = timedelta(seconds=round(seconds))
    if not timedelta(0) < span <= LONGEST:
        raise ValueError(f'"{text}" is out of bounds: longer than nothing, at most a year')
    return span


def write_span(span: timedelta) -> str:
    """The shortest exact form: `45m`, `36h`, `7d`."""
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0 and not (unit == "d" and seconds <= 3 * size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def spoken(span: timedelta) -> str:
    """For sentences: `45 min`, `1 h 30 min`, `7 days`."""
    seconds = int(span.total_seconds())
    if seconds % 86400 == 0 and seconds > 3 * 86400:
        return f"{seconds // 86400} days"
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes), f"{seconds} s" * bool(seconds)]
    return " ".join(part for part in parts if part) or "0 s"


@dataclass(frozen=True, slots=True)
class Money:
    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


def read_money(text: object) -> Money:
    """`20 EUR`: an amount with a point for decimals, then the ISO 4217 code."""
    if isinstance(text, Money):
        return text
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,4})?)\s*([A-Z]{3})\s*", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'"{text}" is not an amount of money; write it with its currency, like "20 EUR"')
    return Money(Decimal(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `count` messages in any span of this length."""

    count: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.count} per {write_span(self.per)}"


def read_cap(text: object) -> Cap:
    """`4 per 7d`."""
    if isinstance(text, Cap):
        return text
    match = re.fullmatch(r"\s*(\d{1,4})\s+per\s+(\S.*)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'"{text}" is not a cap; write it like "4 per 7d"')
    if int(match[1]) == 0:
        raise ValueError(f'"{text}" would never let a message out; leave the step away instead')
    return Cap(int(match[1]), read_span(match[2]))


def read_caps(value: object) -> tuple[Cap, ...]:
    """One cap, or a list of caps that all hold."""
    return tuple(read_cap(one) for one in value) if isinstance(value, list | tuple) else (read_cap(value),)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day by the wall clock, start included and end not; over midnight when the end is the earlier."""

    start: time
    end: time

    def holds(self, at: time) -> bool:
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def read_window(text: object) -> Window:
    """`22:00-07:00`. Raises ValueError where start and end are the same."""
    if isinstance(text, Window):
        return text
    hint = f'"{text}" is not a part of the day; write it like "22:00-07:00"'
    match = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(hint)
    hours = [int(part) for part in match.groups()]
    if max(hours[0], hours[2]) > 24 or max(hours[1], hours[3]) > 59 or hours[0] == 24 or (hours[2], hours[3]) > (24, 0):
        raise ValueError(hint)
    start, end = time(hours[0], hours[1]), time(hours[2] % 24, hours[3])
    if start == end:
        raise ValueError(f'"{text}" starts and ends at the same minute')
    return Window(start, end)


def read_share(value: object) -> float:
    """`10%` as 0.1; from none to half."""
    match = re.fullmatch(r"\s*(\d{1,2}(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    if match is None or not 0 <= float(match[1]) <= 50:
        raise ValueError(f'"{value}" is not a share; write it like "10%", at most 50%')
    return float(match[1]) / 100


def read_subject(value: object) -> dict[str, str]:
    """One subject for all languages (kept under ""), or one for each language."""
    if isinstance(value, str) and value.strip():
        return {"": value}
    if isinstance(value, dict) and value and all(isinstance(t, str) and t.strip() for t in value.values()):
        return {str(locale): text for locale, text in value.items()}
    raise ValueError('write a subject as a text, or one for each language: {de: "…", en: "…"}')


def read_amount(value: Any) -> Decimal:
    """A plain number. Raises ValueError."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f'"{value}" is not a number') from None


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


_CAP = {"type": "string", "pattern": r"^\d+ per .+$", "examples": ["4 per 7d"]}

Span = Annotated[
    timedelta,
    PlainValidator(read_span),
    PlainSerializer(write_span, return_type=str),
    _text(r"^(\d+(\.\d+)?\s*[a-z]+\s*)+$", "45m"),
]
Amount = Annotated[
    Money,
    PlainValidator(read_money),
    PlainSerializer(str, return_type=str),
    _text(r"^\d+(\.\d+)? [A-Z]{3}$", "20 EUR"),
]
Caps = Annotated[
    tuple[Cap, ...],
    PlainValidator(read_caps),
    PlainSerializer(lambda caps: [str(cap) for cap in caps], return_type=list[str]),
    WithJsonSchema({"anyOf": [_CAP, {"type": "array", "items": _CAP}]}),
]
DayPart = Annotated[
    Window,
    PlainValidator(read_window),
    PlainSerializer(str, return_type=str),
    _text(r"^\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2}$", "22:00-07:00"),
]
Share = Annotated[
    float,
    PlainValidator(read_share),
    PlainSerializer(lambda share: f"{share:.4%}".replace("%", "").rstrip("0").rstrip(".") + "%", return_type=str),
    _text(r"^\d+(\.\d+)?\s*%$", "10%"),
]
Subject = Annotated[
    dict[str, str],
    PlainValidator(read_subject),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}),
]
