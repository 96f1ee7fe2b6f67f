"""What stands on the shop's pages: our words in each language, under the shop's own, under those of a step."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rules.onsite import About, OnsiteWords, TextWords

FOLDER = Path(__file__).parent / "templates"
PARTS = ("title", "text", "button", "later")
FALLBACK = "en"

Said = Mapping[str, str]
"""title, text, button, later and close, in one language."""


@cache
def shipped() -> Mapping[str, Mapping[str, Any]]:
    """By language."""
    files = sorted(FOLDER.glob("notices.*.toml"))
    return {path.name.split(".")[1]: tomllib.loads(path.read_text("utf-8")) for path in files}


def said(about: About, shop: str, words: OnsiteWords, step: TextWords | None = None) -> dict[str, Said]:
    """By language, in all that are known: ours, and those in which the shop or the step has words of its own."""
    own = [one for one in (step, words.texts.get(about)) if one is not None]
    tongues = {tongue for one in own for part in PARTS for tongue in getattr(one, part) or {} if tongue}
    return {tongue: _said(about, tongue, shop, own) for tongue in sorted(tongues | set(shipped()))}


def _said(about: About, tongue: str, shop: str, own: list[TextWords]) -> Said:
    base = shipped().get(tongue) or shipped().get(tongue.split("-", 1)[0]) or shipped()[FALLBACK]
    told = {part: _part(own, part, tongue) or str(base[about][part]) for part in PARTS}
    return {part: text.replace("{shop}", shop) for part, text in told.items()} | {"close": str(base["close"])}


def _part(own: list[TextWords], part: str, tongue: str) -> str:
    for one in own:
        texts: Mapping[str, str] = getattr(one, part) or {}
        for key in (tongue, tongue.split("-", 1)[0], ""):
            if key in texts:
                return texts[key]
    return ""


def in_language(texts: Mapping[str, Said], *wishes: str) -> tuple[str, Said]:
    """The first wish that is there, by its language if not by its region; else English, else any."""
    for wish in wishes:
        for tongue in (wish, wish.replace("_", "-").split("-", 1)[0].lower()):
            if tongue in texts:
                return tongue, texts[tongue]
    tongue = FALLBACK if FALLBACK in texts else next(iter(texts))
    return tongue, texts[tongue]
