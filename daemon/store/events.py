"""Events: what comes back from a message."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from daemon.hits import Hit, Seen
from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("events")

MOST_HITS = 1000
"""Of one message, judged together. More is a flood, and its class does not depend on the rest."""


class Link(NamedTuple):
    """Where a tracked link leads."""

    target: str
    kind: str


class Kept(NamedTuple):
    """A hit that is in the database: its link, if it has one, and the shop time of now."""

    link: Link | None
    at: datetime


class Key(NamedTuple):
    """An event's key within its shop."""

    recorded_at: datetime
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Unhandled:
    key: Key
    kind: str
    message_id: int | None
    person_id: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Judged:
    """A hit with the class it has so far."""

    key: Key
    seen: Seen
    class_: str | None


async def record(db: Connection, hits: Sequence[Hit], *, again: bool = False) -> list[Kept]:
    """Write these hits in one statement; one answer each, in their order. `again`: skip those that are there."""
    rows = await sql.record(
        db,
        ids=[hit.id for hit in hits],
        kinds=[hit.kind for hit in hits],
        shops=[hit.shop_id for hit in hits],
        messages=[hit.message_id for hit in hits],
        links=[hit.link_no for hit in hits],
        methods=[hit.method for hit in hits],
        user_agents=[hit.user_agent for hit in hits],
        ip_nets=[hit.ip_net for hit in hits],
        times=[hit.at for hit in hits],
        again=again,
    )
    at: datetime = rows[0]["at"]
    kept = [Kept(None, at)] * len(hits)
    for row in rows[1:]:
        kept[row["place"] - 1] = Kept(Link(row["target"], row["kind"]), at)
    return kept


async def link(db: Connection | Pool, shop_id: int, message_id: int, no: int) -> Link | None:
    """Where this link leads, without a record."""
    row = await sql.link(db, shop_id=shop_id, message_id=message_id, no=no)
    return Link(row["target"], row["kind"]) if row else None


async def clock_speed(db: Connection | Pool) -> float:
    """Seconds of shop time a second; 1 in production."""
    return float(await sql.clock_speed(db))


async def unhandled(db: Connection, shop_id: int, limit: int) -> tuple[list[Key], set[int]]:
    """The oldest events that wait, and whose they are. Takes no lock."""
    rows = await sql.unhandled(db, shop_id=shop_id, limit=limit)
    keys = [Key(row["recorded_at"], row["id"]) for row in rows]
    return keys, {row["person_id"] for row in rows if row["person_id"] is not None}


async def reread(db: Connection, shop_id: int, keys: Sequence[Key]) -> list[Unhandled]:
    """Those of them that still wait, as they are now that their persons are locked."""
    recorded, ids = _columns(keys)
    rows = await sql.reread(db, shop_id=shop_id, recorded=recorded, ids=ids)
    return [
        Unhandled(Key(row["recorded_at"], row["id"]), row["kind"], row["message_id"], row["person_id"], row["at"])
        for row in rows
    ]


async def of_messages(
    db: Connection, shop_id: int, messages: Iterable[int], until: datetime
) -> dict[int, list[Judged]]:
    """All hits of these messages up to `until` (shop time), by message."""
    found: dict[int, list[Judged]] = {}
    for row in await sql.of_messages(db, shop_id=shop_id, messages=sorted(messages), until=until, most=MOST_HITS):
        seen = Seen(
            row["id"],
            row["kind"],
            row["at"],
            row["method"],
            row["user_agent"],
            row["link_no"],
            row["honeypot"],
            row["pushed"],
        )
        one = Judged(Key(row["recorded_at"], row["id"]), seen, row["class"])
        found.setdefault(row["message_id"], []).append(one)
    return found


async def acceptances(db: Connection, shop_id: int, messages: Iterable[int]) -> dict[int, tuple[int, datetime | None]]:
    """By message: whose it is, and when its provider took it."""
    rows = await sql.acceptances(db, shop_id=shop_id, messages=sorted(messages))
    return {row["id"]: (row["person_id"], row["at"]) for row in rows}


async def visits(db: Connection, shop_id: int, persons: Iterable[int]) -> dict[int, list[datetime]]:
    """By person: when they last did something in the shop."""
    found: dict[int, list[datetime]] = {}
    for row in await sql.visits(db, shop_id=shop_id, persons=sorted(persons)):
        found.setdefault(row["person_id"], []).append(row["at"])
    return found


async def classed(db: Connection, shop_id: int, classes: Mapping[Key, str | None], now: datetime) -> None:
    """Keep who was behind each event, and that it has been worked off."""
    keys = sorted(classes)
    recorded, ids = _columns(keys)
    await sql.classed(db, shop_id=shop_id, recorded=recorded, ids=ids, classes=[classes[key] for key in keys], now=now)


async def proven(db: Connection, shop_id: int, evidence: Mapping[int, tuple[str, datetime]]) -> list[int]:
    """The messages whose unknown outcome these events (by message: kind and time) turned into `accepted`."""
    rows = await sql.proven(
        db,
        shop_id=shop_id,
        messages=sorted(evidence),
        kinds=[evidence[message][0] for message in sorted(evidence)],
        times=[evidence[message][1] for message in sorted(evidence)],
    )
    return [row["id"] for row in rows]


async def clicked_by_nobody(
    db: Connection | Pool, shop_id: int, after: datetime, until: datetime, most: int
) -> tuple[datetime | None, list[int]]:
    """How far one round through the events of this span (machine time) came, and the messages among them with a click
    of which nobody knows whose it was."""
    row = await sql.clicked_by_nobody(db, shop_id=shop_id, after=after, until=until, most=most)
    return row["reached"], row["messages"]


def _columns(keys: Sequence[Key]) -> tuple[list[datetime], list[uuid.UUID]]:
    return [key.recorded_at for key in keys], [key.id for key in keys]
