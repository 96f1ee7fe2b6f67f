"""Addresses that are not written to, kept as keyed hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("suppressions")


@dataclass(frozen=True, slots=True)
class Entry:
    hmac: bytes
    reason: str
    since: datetime


async def add(db: Connection, shop_id: int, channel: str, entries: Sequence[Entry], source: str) -> int:
    """How many were new. The caller holds the locks of `owners`."""
    rows = sorted({one.hmac: one for one in entries}.values(), key=lambda one: one.hmac)
    made = await sql.add(
        db,
        shop_id=shop_id,
        channel=channel,
        source=source,
        hmacs=[one.hmac for one in rows],
        reasons=[one.reason for one in rows],
        times=[one.since for one in rows],
    )
    return len(made)


async def remove(db: Connection, shop_id: int, channel: str, hmacs: Sequence[bytes]) -> int:
    """How many were there. The caller holds the locks of `owners`."""
    return len(await sql.remove(db, shop_id=shop_id, channel=channel, hmacs=list(hmacs)))


async def owners(db: Connection | Pool, shop_id: int, hmacs: Sequence[bytes]) -> list[int]:
    """The persons who have one of these addresses now."""
    return [row["id"] for row in await sql.owners(db, shop_id=shop_id, hmacs=list(hmacs))]


async def of_addresses(db: Connection | Pool, shops: Sequence[int], hmacs: Sequence[bytes]) -> list[dict[str, Any]]:
    """What keeps these addresses from being written to: shop, channel, reason, source, since."""
    return [dict(row) for row in await sql.of_addresses(db, shops=list(shops), hmacs=list(hmacs))]


async def every(db: Connection | Pool, shop_id: int) -> list[Mapping[str, Any]]:
    """All of a shop: channel, address (hash as hex), reason, source, since, person_id."""
    return [dict(row) for row in await sql.all(db, shop_id=shop_id)]
