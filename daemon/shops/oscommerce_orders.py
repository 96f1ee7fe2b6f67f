"""Where a reading of orders stands, so that none that changes is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

Row = Mapping[str, Any]

WINDOW = 2000
"""So many of the newest order numbers are compared at each reading."""
GROUP = 20
"""Orders in one checksum, as in the query; a change brings its whole group along."""


class Reads(Protocol):
    async def all(self, name: str, **values: Any) -> Sequence[Row]: ...
    async def one(self, name: str, **values: Any) -> Row: ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """`last` is the newest order handed out, `history` the newest line of the history looked at, `sums` the checksums
    of the newest groups, `again` the orders that are to be handed out once more."""

    last: int = 0
    history: int = -1
    sums: Mapping[int, int] = field(default_factory=dict)
    again: tuple[int, ...] = ()

    def dump(self) -> str:
        groups = {str(group): checksum for group, checksum in self.sums.items()}
        return json.dumps([self.last, self.history, groups, self.again], separators=(",", ":"))

    @staticmethod
    def load(text: str) -> Cursor:
        """From the beginning for an empty text, and for one that an older release wrote."""
        try:
            last, history, groups, again = json.loads(text)
            return Cursor(int(last), int(history), {int(k): int(v) for k, v in groups.items()}, tuple(map(int, again)))
        except (ValueError, TypeError, AttributeError):
            return Cursor()


async def page(db: Reads, cursor: Cursor, limit: int, language: int) -> tuple[Sequence[Row], Cursor, bool]:
    """At most `limit` orders, where the next page begins, and whether it may have something.

    Changed ones first, then new ones by number. The history is an index on changes, but payment modules write a status
    without it, and a total arrives a moment after its order: so the newest orders are compared by checksum as well.
    A checksum is always taken before its orders are read: what changes in between is seen the next time."""
    if cursor.history < 0:
        cursor = replace(cursor, history=int((await db.one("newest_history"))["id"]))
    if cursor.last and not cursor.again:
        cursor = await look_for_changes(db, cursor, limit)
    if cursor.again:
        these, rest = cursor.again[:limit], cursor.again[limit:]
        rows = await db.all("orders_between", after=0, upto=0, these=these, language=language)
        return rows, replace(cursor, again=rest), True
    upto = (await db.one("page_end", after=cursor.last, limit=limit))["id"]
    if upto is None:
        return (), cursor, False
    fresh = await checksums(db, cursor.last, upto)
    rows = await db.all("orders_between", after=cursor.last, upto=upto, these=(), language=language)
    return rows, replace(cursor, last=int(upto), sums=within(upto, added(cursor.sums, fresh))), len(rows) >= limit


async def look_for_changes(db: Reads, cursor: Cursor, limit: int) -> Cursor:
    """Which of the orders handed out before are to be handed out again."""
    sums = await checksums(db, first_group(cursor.last) * GROUP - 1, cursor.last)
    grown = await db.all("history_above", after=cursor.history, limit=max(limit, 1000))
    changed = {int(row["orders_id"]) for row in grown if row["orders_id"] <= cursor.last}
    for group, checksum in sums.items():
        if checksum != cursor.sums.get(group):
            changed.update(range(group * GROUP, min((group + 1) * GROUP, cursor.last + 1)))
    history = int(grown[-1]["id"]) if grown else cursor.history
    return replace(cursor, history=history, sums=sums, again=tuple(sorted(changed)))


async def checksums(db: Reads, above: int, upto: int) -> dict[int, int]:
    rows = await db.all("order_sums", above=above, upto=upto)
    return {int(row["bucket"]): int(row["checksum"]) for row in rows}


def first_group(last: int) -> int:
    return max(0, last - WINDOW) // GROUP


def within(last: int, sums: Mapping[int, int]) -> dict[int, int]:
    return {group: checksum for group, checksum in sums.items() if group >= first_group(last)}


def added(old: Mapping[int, int], fresh: Mapping[int, int]) -> dict[int, int]:
    """Checksums are sums, so a group grows by the orders that joined it, without looking at the others again."""
    return {group: old.get(group, 0) + fresh.get(group, 0) for group in old.keys() | fresh.keys()}
