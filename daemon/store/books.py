"""The books: queries that are empty when all is well, and the sums that stand beside what the relay counted.

`lately` reads what is under way and what is newest, however long the history is: it is asked each minute. A `Watch`
reads a part of the history beside it, so that each row is read once a day; `violations` reads everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("books")

OVERDUE = timedelta(seconds=60)
"""Longer than this nothing that is due may lie about."""
MOST = 1_000
NEWEST = 10_000
"""So many ids of each table are looked at each minute; what is under way and what was tried lately, all."""
STRETCH = 20_000
"""Ids that one statement reads at most: a fraction of a second."""
TRIED_LATELY = timedelta(minutes=15)
DAY = timedelta(days=1)
TURN = timedelta(minutes=5)
"""A process begins with the part of the history that came up in this time."""
KNOWN = 100
"""Contradictions of the history that are looked at again until they are gone."""
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
TABLES = ("messages", "carts", "events", "recoveries", "persons", "requests")


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """Two rows that contradict each other, named by one of them."""

    kind: str
    shop_id: int
    noun: str
    id: int


@dataclass(frozen=True, slots=True)
class Sum:
    shop: str
    rehearsal: bool
    channel: str
    state: str
    messages: int


async def violations(db: Connection | Pool, now: datetime, overdue: timedelta = OVERDUE) -> list[Violation]:
    """Of all rows there are; at most `MOST`, sorted by kind. Read in stretches: no statement is long."""
    found = await _ongoing(db, now, overdue)
    for shop_id, tops in (await _tops(db)).items():
        for after in range(0, max(tops.values()), STRETCH):
            found += await _stretch(db, shop_id, after, after + STRETCH)
    return sorted(found)[:MOST]


async def lately(
    db: Connection | Pool, now: datetime, machine: datetime, overdue: timedelta = OVERDUE
) -> list[Violation]:
    """Of what is under way, what was tried lately and what is newest. `machine`: machine time."""
    found = await _ongoing(db, now, overdue)
    for shop_id, tops in (await _tops(db)).items():
        floors = {table: top - NEWEST for table, top in tops.items()}
        found += await _read(db, shop_id, floors, max(tops.values()), machine - TRIED_LATELY)
    return sorted(found)[:MOST]


@dataclass(slots=True)
class Watch:
    """What one process has read of the history, and what it found there and still finds."""

    until: datetime | None = None
    known: list[Violation] = field(default_factory=list)

    async def look(self, db: Connection | Pool, now: datetime, machine: datetime) -> list[Violation]:
        """`lately`, and the part of the history that came up since the last look. `machine`: machine time."""
        came_up = await turn(db, self.until or machine - TURN, machine)
        self.until = machine
        self.known = sorted({*came_up, *await still(db, self.known)})[:KNOWN]
        return sorted({*self.known, *await lately(db, now, machine)})[:MOST]


async def turn(db: Connection | Pool, since: datetime, until: datetime) -> list[Violation]:
    """Of the part of the history whose turn it was between these two machine times."""
    found = []
    for shop_id, tops in (await _tops(db)).items():
        for after, last in turns(max(tops.values()), since, until):
            found += await _stretch(db, shop_id, after, last)
    return sorted(found)[:MOST]


async def still(db: Connection | Pool, known: Iterable[Violation]) -> list[Violation]:
    """Those of the known ones, found in the history, that are contradictions yet."""
    known = set(known)
    found = []
    for shop_id, number in sorted({(one.shop_id, one.id) for one in known}):
        found += await _stretch(db, shop_id, number - 1, number)
    return sorted(known.intersection(found))


async def sums(db: Connection | Pool) -> list[Sum]:
    """Messages by shop, rehearsal, channel and state."""
    return [Sum(**{name: row[name] for name in Sum.__slots__}) for row in await sql.sums(db)]


def turns(top: int, since: datetime, until: datetime) -> Iterator[tuple[int, int]]:
    """Which ids of 1 to `top` came up between two machine times: those behind the first and up to the second of each
    pair. In a day all of them do, the lowest right after midnight (UTC)."""
    last = until - until.replace(hour=0, minute=0, second=0, microsecond=0)
    first = last - min(until - since, DAY)
    spans = [(first, last)] if first >= timedelta() else [(first + DAY, DAY), (timedelta(), last)]
    for began, ended in spans:
        lowest, highest = top * began // DAY, top * ended // DAY
        for start in range(lowest, highest, STRETCH):
            yield start, min(start + STRETCH, highest)


async def _ongoing(db: Connection | Pool, now: datetime, overdue: timedelta) -> list[Violation]:
    return [Violation(**row) for row in await sql.ongoing(db, now=now, overdue=overdue, most=MOST)]


async def _tops(db: Connection | Pool) -> dict[int, dict[str, int]]:
    return {row["shop_id"]: {table: row[table] for table in TABLES} for row in await sql.tops(db)}


async def _stretch(db: Connection | Pool, shop_id: int, after: int, until: int) -> list[Violation]:
    return await _read(db, shop_id, dict.fromkeys(TABLES, after), until, NEVER)


async def _read(
    db: Connection | Pool, shop_id: int, floors: Mapping[str, int], until: int, since: datetime
) -> list[Violation]:
    rows = await sql.stretch(db, shop_id=shop_id, until=until, since=since, most=MOST, **floors)
    return [Violation(**row) for row in rows]
