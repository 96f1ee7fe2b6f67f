"""SPF of the domain that mails come back to (RFC 7208): one record, sound, within ten lookups.

Whether the relay's own addresses pass cannot be seen from here: it sends from where it likes.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from daemon.doctor.reason import Reason

Texts = Callable[[str], Awaitable[list[str]]]
MOST_LOOKUPS, DEPTH = 10, 20
TERM = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?=[:/]|$)(.*)", re.IGNORECASE)
MODIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*=")
LOOKS_UP = ("include", "a", "mx", "ptr", "exists")


@dataclass(slots=True)
class Reading:
    """What one domain's policy amounts to, all that it includes read."""

    record: str = ""
    lookups: int = 0
    ends: str = ""
    """The qualifier of `all` (`-`, `~`, `?`, `+`), also where a redirect leads; empty where there is none."""
    problems: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    """What is no error, and better done otherwise."""


def is_spf(text: str) -> bool:
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


async def read(domain: str, texts: Texts) -> Reading:
    """Follow the policy of `domain` as a receiver does. Raises what `texts` raises."""
    reading = Reading()
    reading.ends = await _follow(domain, texts, reading, 0)
    return reading


async def _follow(domain: str, texts: Texts, reading: Reading, depth: int) -> str:
    """How the record of `domain` ends."""
    records = [text for text in await texts(domain) if is_spf(text)]
    if not depth and records:
        reading.record = records[0]
    if len(records) > 1:
        reading.problems.append(f"{domain} has {len(records)} SPF records where one is allowed")
    elif not records and depth:
        reading.problems.append(f"the SPF record leads to {domain}, which has none")
    if len(records) != 1:
        return ""
    redirect = ""
    for term in records[0].split()[1:]:
        match = TERM.fullmatch(term)
        if match is not None and match[2].lower() == "all":
            return match[1] or "+"
        if match is not None:
            await _mechanism(match[2].lower(), match[3].removeprefix(":"), domain, texts, reading, depth)
        elif term.lower().startswith("redirect="):
            redirect = term.partition("=")[2]
        elif not MODIFIER.match(term):
            reading.problems.append(f'"{term}" in the record of {domain} is no term of SPF')
    reading.lookups += bool(redirect)
    return await _enter(redirect, texts, reading, depth) if redirect else ""


async def _mechanism(word: str, value: str, domain: str, texts: Texts, reading: Reading, depth: int) -> None:
    reading.lookups += word in LOOKS_UP
    if word == "ptr":
        reading.advice.append(f"the record of {domain} uses ptr, which some receivers do not ask for (section 5.5)")
    if word == "include":
        await _enter(value, texts, reading, depth)


async def _enter(name: str, texts: Texts, reading: Reading, depth: int) -> str:
    """Into an include or a redirect. Names with macros depend on the sender and are not followed."""
    if "%" in name or reading.lookups > 2 * MOST_LOOKUPS or depth >= DEPTH:
        return ""
    return await _follow(name.rstrip("."), texts, reading, depth + 1)


def of_spf(domain: str, reading: Reading) -> list[Reason]:
    """What is wrong with it, with hints."""
    if not reading.record:
        hint = f'add TXT "v=spf1 include:<what your relay tells you> ~all" to {domain}'
        return [Reason("spf", f"{domain} has no SPF record", hint)]
    said = [Reason("spf", text, "write addresses (ip4:, ip6:) instead", amiss=False) for text in reading.advice]
    return said + _of_the_record(domain, reading)


def _of_the_record(domain: str, reading: Reading) -> list[Reason]:
    found = [Reason("spf", text, "receivers treat the whole record as an error") for text in reading.problems]
    if reading.lookups > MOST_LOOKUPS:
        text = f"the SPF record of {domain} costs {reading.lookups} lookups; more than {MOST_LOOKUPS} are an error"
        found.append(Reason("spf", text, "take out an include, or write addresses (ip4:, ip6:) instead"))
    if found:
        return found
    if reading.ends == "+":
        found.append(Reason("spf", f"the SPF record of {domain} ends with +all: everybody may use it", "end with ~all"))
    elif reading.ends in ("", "?"):
        end = "?all" if reading.ends else "no all"
        text = f"the SPF record of {domain} ends with {end}, so it forbids nobody anything"
        found.append(Reason("spf", text, "end with ~all or -all"))
    return found
