"""Who is wanted in which ad audience, who is in it, and what is still to be said to its platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from daemon.logs import clean
from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("members")

Actual = Literal["out", "unsure", "in"]
Asked = Literal["add", "remove"]


@dataclass(frozen=True, slots=True)
class News:
    """An accepted message that makes somebody a member. `audience` and `seconds` are None where its content is gone.
    Who bought since the gate was asked, at `claimed_at`, is none."""

    id: int
    person_id: int
    split_key: float
    audience: str | None
    seconds: int | None
    claimed_at: datetime
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class Joining:
    """`until` None: the message arrived and makes nobody a member."""

    id: int
    person_id: int
    audience: str | None
    since: datetime
    until: datetime | None
    control: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A member about whom the platform is to be told something. `keys`: those that it has, or may have."""

    person_id: int
    op_seq: int
    actual: Actual
    keys: Mapping[str, str] | None = field(repr=False)
    email: str | None = field(repr=False)
    phone: str | None = field(repr=False)
    known_as: Sequence[bytes] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What the platform is working off."""

    request: str
    asked: Asked
    tries: int
    age: timedelta
    people: int


@dataclass(frozen=True, slots=True)
class Size:
    """An audience as it should be (`wanted`) and as it is (`actual`); `unsure` and `leaving` are on their way."""

    audience: str
    wanted: int = 0
    actual: int = 0
    unsure: int = 0
    leaving: int = 0
    control: int = 0
    members_ever: int = 0
    members_bought: int = 0
    control_ever: int = 0
    control_bought: int = 0
    problem: str | None = None
    problem_at: datetime | None = None
    note: str | None = None
    pushed_at: datetime | None = None


async def news(db: Connection, shop_id: int, most: int) -> list[News]:
    """Locked until the transaction ends; what somebody else holds is left out."""
    return [News(**row) for row in await sql.news(db, shop_id=shop_id, most=most)]


async def join(db: Connection, shop_id: int, rows: Sequence[Joining]) -> None:
    """Their messages count as arrived. Who is a member already stays one until the later of both ends."""
    ordered = sorted(rows, key=lambda row: row.id)
    await sql.join(
        db,
        shop_id=shop_id,
        ids=[row.id for row in ordered],
        persons=[row.person_id for row in ordered],
        audiences=[row.audience for row in ordered],
        sinces=[row.since for row in ordered],
        untils=[row.until for row in ordered],
        controls=[row.control for row in ordered],
    )


async def leave(
    db: Connection | Pool, shop_id: int, known: Sequence[str], holdout: float, now: datetime, *, live: bool
) -> list[tuple[str, str, int]]:
    """Who must not be a member any more, is none from now on: (audience, why, people)."""
    rows = await sql.leave(db, shop_id=shop_id, known=sorted(known), holdout=holdout, live=live, now=now)
    return [(row["audience"], row["end_reason"], row["people"]) for row in rows]


async def end(db: Connection | Pool, shop_id: int, audience: str, reason: str, now: datetime) -> None:
    await sql.end(db, shop_id=shop_id, audience=audience, reason=reason, now=now)


async def mark_stale(db: Connection | Pool, shop_id: int, audience: str) -> None:
    """Whose addresses are others by now: out under the old ones first."""
    await sql.mark_stale(db, shop_id=shop_id, audience=audience)


async def forget(db: Connection | Pool, shop_id: int, before: datetime) -> None:
    await sql.forget(db, shop_id=shop_id, before=before)


async def to_remove(db: Connection | Pool, shop_id: int, audience: str, most: int) -> list[Waiting]:
    return [Waiting(**row) for row in await sql.to_remove(db, shop_id=shop_id, audience=audience, most=most)]


async def to_add(db: Connection | Pool, shop_id: int, audience: str, most: int) -> list[Waiting]:
    return [Waiting(**row) for row in await sql.to_add(db, shop_id=shop_id, audience=audience, most=most)]


async def distinct_in(db: Connection | Pool, shop_id: int, audience: str) -> int:
    """People whom the platform has, can tell apart, and is to keep."""
    return cast(int, await sql.distinct_in(db, shop_id=shop_id, audience=audience))


async def begin(
    db: Connection | Pool,
    shop_id: int,
    audience: str,
    asked: Asked,
    rows: Sequence[tuple[Waiting, Mapping[str, str]]],
) -> set[int]:
    """Before the call: whom of (member, keys to be said) it will be about. Nobody else calls about them from now on."""
    ordered = sorted(rows, key=lambda row: row[0].person_id)
    known_as = [[*(one.known_as or ()), None, None][:2] for one, _ in ordered]
    found = await sql.begin(
        db,
        shop_id=shop_id,
        audience=audience,
        asked=asked,
        persons=[one.person_id for one, _ in ordered],
        op_seqs=[one.op_seq for one, _ in ordered],
        keys=[dict(keys) for _, keys in ordered],
        known_as_first=[pair[0] for pair in known_as],
        known_as_second=[pair[1] for pair in known_as],
    )
    return {row["person_id"] for row in found}


async def settle(db: Connection | Pool, shop_id: int, audience: str, rows: Sequence[tuple[int, int, Actual]]) -> None:
    """After the call: of (person, op_seq of the call) what is known to be true at the platform."""
    ordered = sorted(rows)
    await sql.settle(
        db,
        shop_id=shop_id,
        audience=audience,
        persons=[person for person, _, _ in ordered],
        op_seqs=[number for _, number, _ in ordered],
        actuals=[actual for _, _, actual in ordered],
    )


async def ask_later(
    db: Connection | Pool, shop_id: int, audience: str, rows: Sequence[tuple[int, int]], request: str
) -> None:
    """After the call: of (person, op_seq of the call), the platform will tell later."""
    ordered = sorted(rows)
    await sql.ask_later(
        db,
        shop_id=shop_id,
        audience=audience,
        request=request,
        persons=[person for person, _ in ordered],
        op_seqs=[number for _, number in ordered],
    )


async def requests(db: Connection | Pool, shop_id: int, audience: str) -> list[Request]:
    return [Request(**row) for row in await sql.requests(db, shop_id=shop_id, audience=audience)]


async def answered(db: Connection | Pool, shop_id: int, audience: str, request: str, actual: Actual) -> None:
    """The platform told what became of a request: what is known to be true of its people."""
    await sql.answered(db, shop_id=shop_id, audience=audience, request=request, actual=actual)


async def well(db: Connection | Pool, shop_id: int, audience: str, now: datetime, note: str = "") -> None:
    """A call was taken."""
    await sql.well(db, shop_id=shop_id, audience=audience, now=now, note=clean(note)[:300] or None)


async def trouble(
    db: Connection | Pool, shop_id: int, audience: str, problem: str, after: timedelta | None, now: datetime
) -> None:
    """A call was not taken, or nobody knows: the platform is left alone for a while, at most four minutes."""
    await sql.trouble(db, shop_id=shop_id, audience=audience, problem=clean(problem)[:300], after=after, now=now)


async def heed(db: Connection | Pool, shop_id: int, people: Sequence[int], now: datetime) -> None:
    """They bought, withdrew, objected: whether they may stay in an ad audience is asked at once. Best in the
    transaction that writes it; where none of them is in an audience it changes nothing."""
    if people:
        await sql.heed(db, shop_id=shop_id, persons=sorted(set(people)), now=now)


async def out_of_reach(db: Connection | Pool, shop_id: int, known: Sequence[str]) -> dict[str, int]:
    """People by audience, of those that are not among `known` and not empty."""
    rows = await sql.out_of_reach(db, shop_id=shop_id, known=sorted(known))
    return {row["audience"]: row["people"] for row in rows}


async def problems(db: Connection | Pool, shops: Sequence[int]) -> list[tuple[int, str, str]]:
    """(shop, audience, what is wrong with it)."""
    rows = await sql.problems(db, shops=sorted(shops))
    return [(row["shop_id"], row["name"], row["problem"]) for row in rows]


async def resting(db: Connection | Pool, shop_id: int, audience: str) -> bool:
    return cast(bool, await sql.resting(db, shop_id=shop_id, audience=audience))


async def unrest(db: Connection | Pool, shop_id: int, audience: str) -> None:
    """Ask it at once."""
    await sql.unrest(db, shop_id=shop_id, audience=audience)


async def is_anything_left(db: Connection | Pool, shop_id: int) -> bool:
    """Whether there are members, or people whom a platform still has to be told about."""
    return cast(bool, await sql.is_anything_left(db, shop_id=shop_id))


async def sizes(db: Connection | Pool, shop_id: int) -> list[Size]:
    return [Size(**row) for row in await sql.sizes(db, shop_id=shop_id)]


async def listed(db: Connection | Pool, shop_id: int, audience: str) -> list[Mapping[str, Any]]:
    """Whoever is wanted in it, with their addresses."""
    return list(await sql.listed(db, shop_id=shop_id, audience=audience))


async def drop_rows(db: Connection | Pool, shop_id: int, audience: str) -> int:
    """Forget it, whatever its platform knows; how many people were in its rows."""
    return cast(int, await sql.drop_rows(db, shop_id=shop_id, audience=audience))
