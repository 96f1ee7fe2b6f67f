"""Where a reading stands, as a text that survives a restart, and whether it goes round in circles."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any

from daemon.shops.base import ShopUnavailable

MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Place:
    """`cursor` is the shop's own. The other fields remember one earlier page of this reading, ever further on:
    Brent's way to find a cycle of any length with two values."""

    cursor: str = ""
    etag: str = ""
    """Of the answer to this very cursor, where it may be asked for again."""
    whole: bool = True
    """The reading started from nothing."""
    page: int = 0
    kept_cursor: str = ""
    kept_content: str = ""
    next_kept: int = 1

    def text(self) -> str:
        """Empty for a reading that starts from nothing."""
        changed = {name: value for name, value in asdict(self).items() if value != getattr(START, name)}
        return json.dumps(changed, ensure_ascii=False, separators=(",", ":")) if changed else ""

    def turned(self, cursor: str, content: str) -> Place:
        """The next page. Raises ShopUnavailable when an earlier one comes again, or no end is in sight."""
        if cursor in (self.cursor, self.kept_cursor):
            raise ShopUnavailable(f"page {self.page + 1} leads back to an earlier one; its cursor must move on")
        if content and content == self.kept_content:
            raise ShopUnavailable(f"page {self.page + 1} repeats an earlier one; is the cursor ignored?")
        if self.page + 1 >= MOST_PAGES:
            raise ShopUnavailable(f"more than {MOST_PAGES} pages in one reading")
        here = replace(self, cursor=cursor, etag="", page=self.page + 1)
        if here.page < self.next_kept:
            return here
        return replace(here, kept_cursor=cursor, kept_content=content, next_kept=2 * self.next_kept)


START = Place()


def place(text: str) -> Place:
    """What `text` said; a text that is none starts from nothing."""
    try:
        return Place(**json.loads(text)) if text else START
    except (ValueError, TypeError):
        return START


def content_of(items: list[Any]) -> str:
    """Short, and the same for the same items in the same order; empty for an empty page."""
    return blake2b(repr(items).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest() if items else ""
