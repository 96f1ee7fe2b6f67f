"""Shops, processes, and what this database belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("shops")


@dataclass(frozen=True, slots=True)
class ShopRow:
    shop_id: int
    name: str
    mode: str
    left_at: datetime | None = None
    """Since when it is no longer in shops.yaml, shop time."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A process as it last reported."""

    process: str
    kind: str
    version: str
    journal_lines: int
    silent_for: timedelta
    held: str
    """Why it claims nothing; empty when it does."""


async def register(db: Connection, name: str, now: datetime) -> ShopRow:
    """The shop's row; a new one is a rehearsal."""
    row = await sql.register(db, name=name, now=now)
    return ShopRow(row["shop_id"], name, row["mode"])


async def set_mode(db: Connection, shop_id: int, mode: str, now: datetime) -> None:
    await sql.set_mode(db, shop_id=shop_id, mode=mode, now=now)


async def every(db: Connection | Pool) -> Sequence[ShopRow]:
    """All shops that were ever here."""
    return [ShopRow(row["shop_id"], row["name"], row["mode"], row["left_at"]) for row in await sql.all(db)]


async def take_out(db: Connection | Pool, names: Sequence[str], now: datetime) -> tuple[dict[str, int], list[str]]:
    """All shops but these, by name, as no longer in shops.yaml; and the names of those that were until now."""
    rows = await sql.take_out(db, names=sorted(names), now=now)
    return {row["name"]: row["shop_id"] for row in rows}, [row["name"] for row in rows if row["is_new"]]


async def pepper_fingerprint(db: Connection | Pool, fingerprint: bytes) -> bytes:
    """The one that this database was made with."""
    return cast(bytes, await sql.pepper_fingerprint(db, fingerprint=fingerprint))


async def known_fingerprint(db: Connection | Pool) -> bytes | None:
    """The one that this database was made with, None if nothing has acted on it yet. It changes nothing."""
    return cast("bytes | None", await sql.known_fingerprint(db))


async def beat(
    db: Connection | Pool, process: str, kind: str, version: str, journal_lines: int, held: str = ""
) -> None:
    """This process is alive; it also says how many hits its journal holds, and why it claims nothing."""
    await sql.beat(db, process=process, kind=kind, version=version, journal_lines=journal_lines, held=held)


async def leave(db: Connection | Pool, process: str) -> None:
    """This process ends; rows of those that vanished long ago go too."""
    await sql.leave(db, process=process)


async def journals_waiting(db: Connection | Pool, since: datetime | None) -> int:
    """Web processes that may hold opt-outs which the database does not have. `since`: when our way to it came back."""
    return int(await sql.journals_waiting(db, since=since))


async def beats(db: Connection | Pool) -> list[Beat]:
    rows = await sql.beats(db)
    return [Beat(**{name: row[name] for name in Beat.__slots__}) for row in rows]
