"""Everything that was kept about one cart, person or message, for `why`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.store.database import Connection, Pool
from daemon.store.decisions import spelled
from daemon.store.sql import load

sql = load("story")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What a word led to."""

    shop_id: int
    cart_id: int | None = None
    person_id: int | None = None
    recovery_id: int | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """Rows as they are, in the order of what happened."""

    person: Row | None
    carts: Sequence[Row]
    recoveries: Sequence[Row]
    decisions: Sequence[Row]
    messages: Sequence[Row]
    events: Sequence[Row]


async def find(db: Connection | Pool, shops: Sequence[int], noun: str, word: str) -> list[Found]:
    """`noun`: cart, person, message, or empty for the first that fits. Numbers are ours, other words the shop's."""
    number = word if word.isdigit() else ""
    at = {"shops": sorted(shops)}
    if noun in ("", "cart"):
        rows = await sql.find_cart(db, **at, word=word, number=number if noun else "")
        if rows or noun:
            return [Found(row["shop_id"], cart_id=row["id"]) for row in rows]
    if noun in ("", "person"):
        rows = await sql.find_person(db, **at, word=word.casefold() if "@" in word else word, number=number)
        if rows or noun:
            return [Found(row["shop_id"], person_id=row["id"]) for row in rows]
    rows = await sql.find_message(db, **at, number=number)
    return [Found(row["shop_id"], recovery_id=row["recovery_id"]) for row in rows]


async def tell(db: Connection | Pool, found: Found) -> Story:
    """All that is kept of it."""
    shop_id = found.shop_id
    carts = await sql.carts(
        db, shop_id=shop_id, cart_id=found.cart_id, person_id=found.person_id, recovery_id=found.recovery_id
    )
    recoveries = await sql.recoveries(db, shop_id=shop_id, carts=[row["id"] for row in carts])
    if found.recovery_id is not None:
        recoveries = [row for row in recoveries if row["id"] == found.recovery_id]
    ids = [row["id"] for row in recoveries]
    messages = await sql.messages(db, shop_id=shop_id, recoveries=ids)
    people = [row["person_id"] for row in carts if row["person_id"] is not None]
    person_id = found.person_id or (people[0] if people else None)
    return Story(
        person=await sql.person(db, shop_id=shop_id, person_id=person_id) if person_id else None,
        carts=carts,
        recoveries=recoveries,
        decisions=[
            {**row, "questions": spelled(row["questions"])}
            for row in await sql.decisions(db, shop_id=shop_id, recoveries=ids)
        ],
        messages=messages,
        events=await sql.events(db, shop_id=shop_id, messages=[row["id"] for row in messages]),
    )
