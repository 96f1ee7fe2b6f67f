"""The links of one mail: where each leads, under which number it is stored, and how it is written into the mail."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

Kind = Literal["cart", "product", "shop", "honeypot"]
NONE: frozenset[str] = frozenset()
LONGEST = 2000
"""Longer addresses are cut or refused somewhere on the way."""
KEPT = "!#$%&'()*+,/:;=?@[]~-._"
PLAIN = re.compile(r"https?://[a-z0-9]+(?:[.-][a-z0-9]+)*(?:/[A-Za-z0-9._~/-]*)?")
"""As most addresses are: nothing in them has to be looked at, quoted or left out."""
UNFIT = re.compile(r"[\x00-\x20\x7f-\x9f\"<>\\^`{|}\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Link:
    """`no` is its number within the message, as in the click token and the link table."""

    no: int
    kind: Kind
    target: str


@dataclass(frozen=True, slots=True)
class Tracking:
    """Only with the person's consent to tracking: how a link's address is made from its number, and the pixel's."""

    link_for: Callable[[int], str]
    pixel_url: str = ""


@dataclass(slots=True)
class Links:
    """Collects the targets of one mail. Without `tracking` each link leads straight to its target."""

    hosts: frozenset[str]
    marks: tuple[tuple[str, str], ...]
    """UTM parameters that each link to the shop carries."""
    tracking: Tracking | None = None
    table: list[Link] = field(default_factory=list)

    def to(self, kind: Kind, target: str) -> str:
        """The address to write into the mail; empty when the target is none of the shop's (it is then no link)."""
        if not target or len(target) > LONGEST:
            return ""
        marked = shop_url(target, self.hosts, () if kind == "honeypot" else self.marks)
        if not marked:
            return ""
        for link in self.table:
            if link.kind == kind and link.target == marked:
                return self.written(link)
        link = Link(len(self.table), kind, marked)
        self.table.append(link)
        return self.written(link)

    def written(self, link: Link) -> str:
        return self.tracking.link_for(link.no) if self.tracking else link.target


def web_url(text: str) -> str:
    """An absolute http(s) address in plain ASCII, or nothing: no script, no credentials, no blanks."""
    return sound_url(text) if 0 < len(text) <= LONGEST else ""


@lru_cache(maxsize=4096)
def sound_url(text: str) -> str:
    text = text.strip()
    if PLAIN.fullmatch(text):
        return text
    if UNFIT.search(text):
        return ""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna").decode() if not text.isascii() else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except (ValueError, UnicodeError):
        return ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return ""
    rest = (quote(part, safe=KEPT) for part in (parts.path, parts.query, parts.fragment))
    return urlunsplit((parts.scheme, (f"[{host}]" if ":" in host else host) + port, *rest))


@lru_cache(maxsize=4096)
def shop_url(text: str, hosts: frozenset[str], marks: tuple[tuple[str, str], ...]) -> str:
    """As `web_url`, but only on the shop's own hosts and what is below them: our links lead nowhere else."""
    url = web_url(text)
    host = bare_host(url)
    return with_marks(url, marks) if any(host == own or host.endswith("." + own) for own in hosts) else ""


@lru_cache(maxsize=1024)
def query_of(marks: tuple[tuple[str, str], ...], there: frozenset[str]) -> str:
    """Those that have a value and are not there yet."""
    return urlencode([(name, value) for name, value in marks if value and name not in there])


def bare_host(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")


def with_marks(url: str, marks: tuple[tuple[str, str], ...]) -> str:
    """The address with those UTM parameters that it does not have yet."""
    parts = urlsplit(url)
    there = frozenset(name for name, _ in parse_qsl(parts.query, keep_blank_values=True)) if parts.query else NONE
    added = query_of(marks, there)
    query = "&".join(part for part in (parts.query, added) if part)
    return urlunsplit(parts._replace(query=query))
