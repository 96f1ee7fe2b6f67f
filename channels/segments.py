"""How many parts a text message takes on its way (3GPP TS 23.038, TS 23.040): each part is paid for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import regex

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")
"""Two septets each: an escape and the sign."""

ONE = {"GSM-7": 160, "UCS-2": 70}
EACH_OF_MANY = {"GSM-7": 153, "UCS-2": 67}
"""What is left of a part once it says which part of which message it is (the concatenation header, 6 octets)."""

ALIKE = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u2007\u2009\u200a\u202f\u2002\u2003\t", " "),
        **dict.fromkeys("\u2018\u2019\u201a\u2032\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u200b\u200c\u2060\ufeff\u00ad", ""),
        "\u2026": "...",
        "\u2022": "*",
    }
)
CLUSTER = regex.compile(r"\X")
CONTROL = regex.compile(r"[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
MORE = "..."


@dataclass(frozen=True, slots=True)
class Length:
    """`units` are septets, or UTF-16 code units."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int


def plain(text: str) -> str:
    """Signs that look alike are the ones that cost nothing: one no-break space would make the whole text UCS-2, at
    twice the price. Controls and what turns the reading direction become blanks; blanks are single."""
    return " ".join(CONTROL.sub(" ", text.translate(ALIKE)).split())


def measured(text: str) -> Length:
    """As it goes over the air. A sign of two units is never parted, so a part may stay one unit short."""
    encoding: Literal["GSM-7", "UCS-2"] = "GSM-7" if all(one in BASIC or one in EXTENDED for one in text) else "UCS-2"
    if encoding == "GSM-7":
        sizes = [2 if one in EXTENDED else 1 for one in text]
    else:
        sizes = [2 if ord(one) > 0xFFFF else 1 for one in text]
    units = sum(sizes)
    if units <= ONE[encoding]:
        return Length(encoding, units, 1 if units else 0)
    segments, room = 1, EACH_OF_MANY[encoding]
    for size in sizes:
        if size > room:
            segments, room = segments + 1, EACH_OF_MANY[encoding]
        room -= size
    return Length(encoding, units, segments)


def shortened(text: str, signs: int) -> str:
    """At most so many signs as a reader counts them (grapheme clusters, UAX #29); three dots where some are missing."""
    clusters = CLUSTER.findall(text)
    if len(clusters) <= signs:
        return text
    return "".join(clusters[: max(0, signs - len(MORE))]).rstrip() + MORE if signs > len(MORE) else ""


def signs_of(text: str) -> int:
    """How many signs a reader counts."""
    return len(CLUSTER.findall(text))
