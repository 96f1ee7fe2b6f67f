"""Two persons that turned out to be one, and what it takes to part them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("merging")


class Evidence(NamedTuple):
    """The identity that both have, by its kind (customer, email); `hand` with an empty value: somebody said so."""

    kind: str
    value: str


HAND = Evidence("hand", "")


@dataclass(frozen=True, slots=True)
class Merge:
    """One record. `final`: what moved is not known any more, because the person was erased."""

    id: int
    older: int
    younger: int
    evidence: Evidence
    at: datetime
    undone_at: datetime | None
    final: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How a merge stands now, for whoever wants to take it back."""

    older: int
    younger: int
    undone: bool
    final: bool
    older_into: int | None
    """Who the older was merged into since."""
    younger_into: int | None
    later: int | None
    """A later merge into the same person that still holds."""


@dataclass(frozen=True, slots=True)
class Left:
    """A recovery that ended with a merge, when that is taken back."""

    recovery: int
    because: str
    """Why it stays ended; empty: it goes on."""


@dataclass(frozen=True, slots=True)
class One:
    id: int
    merged_into: int | None
    erased: bool


async def merge(
    db: Connection, shop_id: int, older: int, younger: int, evidence: Evidence, at: datetime, *, crossed: bool
) -> int:
    """The number of its record. All that the younger had is the older's. The caller holds both locks and has ended the
    younger's recovery. `crossed`: one was held out and the other not, so their recoveries leave the comparison."""
    said = [row["id"] for row in await sql.withdrawn(db, shop_id=shop_id, older=older, younger=younger, at=at)]
    number: int = await sql.merge(
        db,
        shop_id=shop_id,
        older=older,
        younger=younger,
        kind=evidence.kind,
        value=evidence.value,
        at=at,
        crossed=crossed,
    )
    await sql.add_withdrawn(db, shop_id=shop_id, id=number, consents=said)
    return number


async def undone(
    db: Connection, shop_id: int, pairs: Sequence[tuple[int, int, Evidence]]
) -> set[tuple[int, int, Evidence]]:
    """Of (older, younger, evidence): those that were one by it once, and were parted."""
    rows = await sql.undone(
        db,
        shop_id=shop_id,
        older=[a for a, _, _ in pairs],
        younger=[b for _, b, _ in pairs],
        kinds=[evidence.kind for _, _, evidence in pairs],
        values=[evidence.value for _, _, evidence in pairs],
    )
    return {(row["a"], row["b"], Evidence(row["kind"], row["value"])) for row in rows}


async def of_person(db: Connection | Pool, shop_id: int, person: int) -> list[Merge]:
    """Those by which others became this person, and those that were taken back, in their order."""
    return [_merge(row) for row in await sql.of_person(db, shop_id=shop_id, person=person)]


def _merge(row: Any) -> Merge:
    evidence = Evidence(row["kind"], row["value"])
    return Merge(row["id"], row["older"], row["younger"], evidence, row["at"], row["undone_at"], row["final"])


async def one(db: Connection | Pool, shop_id: int, number: int) -> Standing | None:
    """None: there is no such merge."""
    row = await sql.one(db, shop_id=shop_id, id=number)
    if row is None:
        return None
    return Standing(
        older=row["older"],
        younger=row["younger"],
        undone=row["undone_at"] is not None,
        final=row["final"],
        older_into=row["older_into"],
        younger_into=row["younger_into"],
        later=row["later"],
    )


async def people(db: Connection | Pool, shop_id: int, ids: Sequence[int]) -> dict[int, One]:
    """Those of them that there are."""
    rows = await sql.people(db, shop_id=shop_id, people=sorted(ids))
    return {row["id"]: One(row["id"], row["merged_into"], row["erased_at"] is not None) for row in rows}


async def give_back(db: Connection, shop_id: int, number: int, standing: Standing, at: datetime) -> list[Left]:
    """Part them: what moved goes back. What became of the younger's recovery that ended with the merge, if there was
    one. The caller holds both locks."""
    await sql.give_back(db, shop_id=shop_id, id=number, older=standing.older, younger=standing.younger, at=at)
    return [Left(row["id"], row["because"] or "") for row in await sql.go_on(db, shop_id=shop_id, id=number, at=at)]
