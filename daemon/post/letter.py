"""A reply as a person reads it."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass

from daemon.post import mime
from daemon.post.mime import Part, words

LONGEST = 20_000
"""Letters; behind them stands what the customer quotes."""
HIDDEN = ("script", "style", "head")
BREAKS = ("br", "p", "div", "tr", "li", "/p", "/div", "/tr", "/li")


@dataclass(frozen=True, slots=True)
class Letter:
    author: str
    """As they wrote their name and address."""
    subject: str
    text: str


def read(raw: bytes) -> Letter:
    """Never raises. Control characters are left out: it may be shown on a terminal. What came by a channel has no
    subject."""
    if (event := event_of(raw)) is not None:
        return Letter(harmless(event.get("address", "")), "", harmless_lines(event.get("text", "")))
    mail = mime.read(raw)
    parts = [
        part for part in mail.walk() if not part.parts and not part.first("content-disposition").startswith("attach")
    ]
    part = next((part for part in parts if part.kind == "text/plain"), None)
    if part is None:
        part = next((part for part in parts if part.kind == "text/html"), None)
    return Letter(harmless(words(mail.first("from"))), harmless(words(mail.first("subject"))), text_of(part))


def event_of(raw: bytes) -> dict[str, str] | None:
    """The event of a channel that it was kept as; None for a mail."""
    try:
        found = json.loads(raw) if raw.startswith(b'{"kind":') else None
    except ValueError:
        return None
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else None


def harmless_lines(text: str) -> str:
    return "\n".join(harmless(line) for line in text[:LONGEST].splitlines())


def text_of(part: Part | None) -> str:
    if part is None:
        return ""
    text = bare(part.text(LONGEST)) if part.kind == "text/html" else part.text(LONGEST)
    return "\n".join(harmless(line).rstrip() for line in text.splitlines())


def bare(markup: str) -> str:
    """HTML without its tags, in one pass from front to end."""
    found, at = [], 0
    while (start := markup.find("<", at)) >= 0:
        found.append(markup[at:start])
        end = markup.find(">", start)
        if end < 0:
            return html.unescape("".join(found))
        name = markup[start + 1 : end].strip().lower().partition(" ")[0].rstrip("/")
        if name in BREAKS:
            found.append("\n")
        at = end + 1
        if name in HIDDEN:
            at = markup.find(f"</{name}", at)
            if at < 0:
                return html.unescape("".join(found))
    return html.unescape("".join([*found, markup[at:]]))


def harmless(line: str) -> str:
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else "" for sign in line)
