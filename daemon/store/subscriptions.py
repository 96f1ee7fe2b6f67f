"""The browsers that take pushes, each somebody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("subscriptions")


@dataclass(frozen=True, slots=True, repr=False)
class Browser:
    """One that takes pushes; the keys are base64url, as the browser gave them (RFC 8291)."""

    id: int
    endpoint: str
    p256dh: str
    auth: str
    device: str
    """desktop, mobile, or empty where it is not known."""
    since: datetime
    seen_at: datetime


async def owner(db: Connection | Pool, shop_id: int, hmac: bytes) -> int | None:
    """Whose browser this is now."""
    return cast("int | None", await sql.owner(db, shop_id=shop_id, hmac=hmac))


async def keep(
    db: Connection,
    shop_id: int,
    person: int,
    endpoint: str,
    hmac: bytes,
    p256dh: str,
    auth: str,
    public_key: str,
    device: str,
    now: datetime,
) -> int:
    """Its number. `public_key` is the one of ours that it subscribed with. The caller holds the locks of the person and
    of whoever had it before."""
    return cast(
        int,
        await sql.keep(
            db,
            shop_id=shop_id,
            person=person,
            endpoint=endpoint,
            hmac=hmac,
            p256dh=p256dh,
            auth=auth,
            public_key=public_key,
            device=device,
            now=now,
        ),
    )


async def trim(db: Connection, shop_id: int, person: int, most: int) -> int:
    """How many of the person's browsers were one too many. The caller holds the lock."""
    return len(await sql.trim(db, shop_id=shop_id, person=person, most=most))


async def remove(db: Connection, shop_id: int, hmacs: Sequence[bytes]) -> list[int]:
    """Whose browsers they were. The caller holds the owners' locks."""
    return [row["person_id"] for row in await sql.remove(db, shop_id=shop_id, hmacs=sorted(hmacs))]


async def of_person(db: Connection | Pool, shop_id: int, person: int) -> list[Browser]:
    """Their browsers, seen last first."""
    return [Browser(**row) for row in await sql.of_person(db, shop_id=shop_id, person=person)]


async def forget_unseen(db: Connection | Pool, shop_id: int, until: datetime, most: int) -> int:
    """How many were not seen since then (shop time) and are gone now."""
    return len(await sql.forget_unseen(db, shop_id=shop_id, until=until, most=most))
