"""Where a person is, as far as the law of a channel asks: time zones and American states, also by telephone number."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo

from rules.facts import Person
from rules.law.areas import AREA_CODES

MOST_ZONES = 4
"""A number whose prefix spans more zones tells nothing, like +1 800 or a Russian mobile."""
UNKNOWN = "Etc/Unknown"


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """None for a name that is not in the time zone database."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def zones_of(person: Person) -> tuple[ZoneInfo, ...]:
    """Of the address that goods are sent to, and of the number's prefix: all that are known, each once."""
    names = (person.zone, *_zones_of_number(person.addresses.get("phone", "")))
    return tuple(dict.fromkeys(found for name in names if (found := zone(name)) is not None))


def states_of(person: Person) -> tuple[str, ...]:
    """ISO 3166-2 codes: of the address that goods are sent to, and of the number's area code."""
    number = person.addresses.get("phone", "")
    by_number = AREA_CODES.get(number[2:5], "") if number.startswith("+1") and len(number) == 12 else ""
    return tuple(dict.fromkeys(code for code in (person.region, by_number) if code))


@lru_cache(maxsize=4096)
def _zones_of_number(number: str) -> tuple[str, ...]:
    """IANA names by the longest known prefix; none for a number that is unreadable or could be anywhere."""
    if not number:
        return ()
    from phonenumbers import NumberParseException, parse  # noqa: PLC0415  half a second that mails need not wait for
    from phonenumbers.timezone import time_zones_for_number  # noqa: PLC0415

    try:
        names = time_zones_for_number(parse(number))
    except NumberParseException:
        return ()
    return tuple(names) if len(names) <= MOST_ZONES and UNKNOWN not in names else ()
