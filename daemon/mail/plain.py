"""Text from outside, made fit for a mail: one line, no controls, no tricks with direction, of a length that fits."""

from __future__ import annotations

import re
import unicodedata

import regex

UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)
"""Controls, line and paragraph separators, direction marks and overrides, invisible blanks, lone surrogates."""
GRAPHEME = regex.compile(r"\X")
"""What a reader takes for one letter: with its accents, or an emoji of several."""
LOOKS_LIKE_AN_ADDRESS = re.compile(r"[/:@<>{}\[\]()=$%#*|\\]|www\.|\w\.\w\w|\d{3}", re.IGNORECASE)


def clean(text: str, limit: int) -> str:
    """At most `limit` characters on one line; cut ones end in an ellipsis, never inside a letter."""
    if len(text) > limit * 8:
        text = text[: limit * 8]  # what is cut away is not worth looking at: names of 64 KB exist
    if not text.isascii() or not text.isprintable():
        text = unicodedata.normalize("NFC", UNFIT.sub(" ", text))
    text = " ".join(text.split())
    return text if len(text) <= limit else cut(text, limit)


def cut(text: str, limit: int) -> str:
    end = 0
    for grapheme in GRAPHEME.finditer(text, 0, limit):
        if grapheme.end() >= limit:
            break
        end = grapheme.end()
    return text[:end].rstrip() + "…"


def first_name(text: str) -> str:
    """A name to greet by, or nothing: sign-up forms are abused to send strangers a link as their "name"."""
    name = clean(text, 40)
    return "" if LOOKS_LIKE_AN_ADDRESS.search(name) or name.endswith("…") else name
