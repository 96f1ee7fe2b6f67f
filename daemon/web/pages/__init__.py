"""The pages that people see when they follow a link of ours: one template, words in each language."""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiohttp import web
from babel import Locale, negotiate_locale
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from daemon.web.edge import SAFE

Page = Literal[
    "ask", "done", "undone", "rehearsal", "rehearsal_link", "broken", "lost", "busy",
    "opt_in", "opt_in_done", "opt_in_over", "opt_in_broken",
]  # fmt: skip

JoinPage = Literal["join", "join_email", "join_sms", "join_slow"]

FOLDER = Path(__file__).parent
WORDS: dict[str, dict[str, Any]] = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.toml"))
}
FALLBACK = "en"
ACTIONS = {"ask": "unsubscribe", "done": "undo", "undone": "unsubscribe"}
TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
TEMPLATE = TEMPLATES.get_template("page.html")
PREFERENCES = TEMPLATES.get_template("preferences.html")
JOIN = TEMPLATES.get_template("join.html")
ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")


@dataclass(frozen=True, slots=True)
class House:
    """The shop whose page it is; empty where it is not known."""

    name: str = ""
    accent: str = "#1f6f54"
    locale: str = ""


def answer(
    request: web.Request,
    page: Page,
    locale: str,
    house: House | None = None,
    *,
    status: int = 200,
    link: str = "",
    action: str = "",
    quote: str = "",
) -> web.Response:
    """This page in the person's language: `locale`, else what the browser asks for, else the shop's, else English.

    `action`: what the button asks for, where that is not the page's own. `quote`: a sentence that it is about.
    """
    house = house or House()
    lang = language(locale, request.headers.get("Accept-Language", ""), house.locale)
    values = {"action": action or ACTIONS.get(page, ""), "quiet": page in ("done", "undone"), "link": link}
    return _drawn(TEMPLATE, lang, WORDS[lang][page], house, {**values, "quote": quote}, status)


def preferences(
    request: web.Request, locale: str, house: House, values: Mapping[str, Any], *, ways: Mapping[str, bool], kept: str
) -> web.Response:
    """What a person may choose, as it stands. `kept`: the day until which they are left alone, already spelled."""
    lang = language(locale, request.headers.get("Accept-Language", ""), house.locale)
    words = WORDS[lang]["preferences"]
    shown = {
        **values,
        "ways": [(channel, words[channel], on) for channel, on in ways.items()],
        "kept": words["pause_kept"].replace("{day}", kept) if kept else "",
        "languages": [(tag, str(Locale(tag).get_display_name(tag)).capitalize()) for tag in WORDS],
    }
    return _drawn(PREFERENCES, lang, words, house, shown, 200)


def joining(
    request: web.Request, page: JoinPage, house: House, values: Mapping[str, Any], *, status: int = 200
) -> web.Response:
    """A form by which somebody asks to be written to, or what comes after it, in the browser's language."""
    lang = language("", request.headers.get("Accept-Language", ""), house.locale)
    return _drawn(JOIN, lang, WORDS[lang][page], house, {**values, "page": page}, status)


def looks_like_address(text: str) -> bool:
    """One plain address in ASCII, as a mail may go to."""
    return ADDRESS.fullmatch(text) is not None


def _drawn(
    template: Template, lang: str, words: Mapping[str, str], house: House, values: Mapping[str, Any], status: int
) -> web.Response:
    nonce = secrets.token_urlsafe(12)
    shop = house.name or WORDS[lang]["unnamed"]
    text = template.render(
        {key: value.replace("{shop}", shop) for key, value in words.items()} | dict(values),
        lang=lang,
        shop=house.name,
        accent=house.accent,
        on_accent=readable_on(house.accent),
        nonce=nonce,
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {**SAFE, "Content-Security-Policy": policy, "Content-Language": lang, "Vary": "Accept-Language"}
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status, headers=headers)


def language(*wishes: str) -> str:
    """The first wish that we speak; each is a locale or an Accept-Language header (RFC 9110 section 12.5.4)."""
    for wish in wishes:
        ranked = [tag.replace("_", "-") for tag in _ranked(wish)]
        found = negotiate_locale(ranked, list(WORDS), sep="-")
        if found:
            return found
    return FALLBACK


def _ranked(wish: str) -> list[str]:
    """Language tags by their weight, dearest first."""
    weighted = []
    for place, part in enumerate(wish[:200].split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), place, tag.strip()))
        except ValueError:
            continue
    return [tag for weight, _, tag in sorted(weighted) if weight < 0]


def readable_on(colour: str) -> str:
    """Black or white, whichever has more contrast on `#rrggbb` (WCAG 2 relative luminance)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if luminance > 0.179 else "#ffffff"
