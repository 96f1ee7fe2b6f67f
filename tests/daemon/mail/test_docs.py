"""docs/mails.md shows what there is: its pictures, the values of a template, the mistakes as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

from daemon.mail.sandbox import KNOWN, LINE, LISTS
from daemon.mail.template import load
from daemon.mail.words import PLACES

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS.joinpath("mails.md").read_text()
PICTURES = DOCS / "pictures" / "mails"


def test_every_picture_is_shown_and_they_stay_small():
    shown = set(re.findall(r"\(pictures/mails/([^)]+)\)", PAGE))
    there = {file.name for file in PICTURES.iterdir()}
    assert shown == there
    assert sum(file.stat().st_size for file in PICTURES.iterdir()) < 1_500_000


def test_every_value_of_a_template_is_told():
    told = set(re.findall(r"`((?:mail|shop|person|cart|line)\.[a-z_]+)`", PAGE))
    there = {f"{head}.{name}" for head, names in KNOWN.items() for name in names} | {f"line.{name}" for name in LINE}
    assert told == there
    assert all(f"| `{name}` |" in PAGE for name in LISTS)


def test_every_place_and_template_is_told():
    assert all(f"`{place}`" in PAGE for place in PLACES)
    assert all(f"| `{name}` |" in PAGE for name in load())
