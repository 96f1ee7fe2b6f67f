"""What providers of channels told, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.store.database import Connection
from daemon.store.sql import load

sql = load("callbacks")


async def provided(db: Connection, shop_id: int, message_id: int, provider_id: str) -> None:
    """The provider's name of a message, where it is not known yet."""
    await sql.provided(db, shop_id=shop_id, id=message_id, provider_id=provider_id)


async def last_to(db: Connection, shop_id: int, people: Sequence[int], channel: str) -> dict[int, int]:
    """By person: the newest message that left to them on the channel; those who got none are not there."""
    rows = await sql.last_to(db, shop_id=shop_id, people=sorted(people), channel=channel)
    return {row["person_id"]: row["message_id"] for row in rows if row["message_id"] is not None}


async def withdraw(
    db: Connection, shop_id: int, people: Sequence[int], purpose: str, evidence: str, source: str, at: datetime
) -> None:
    """Their consent to this purpose, where they gave one. The caller holds the persons' locks."""
    await sql.withdraw(
        db, shop_id=shop_id, people=sorted(people), purpose=purpose, evidence=evidence, source=source, at=at
    )


async def lift(db: Connection, shop_id: int, address_hmac: bytes, source: str) -> bool:
    """Whether there was something of this source to lift. The caller holds the locks of its owners."""
    return bool(await sql.lift(db, shop_id=shop_id, address_hmac=address_hmac, source=source))


async def restore(
    db: Connection, shop_id: int, people: Sequence[int], purpose: str, source: str, at: datetime
) -> list[int]:
    """Whose consent counts again that this source withdrew. The caller holds the persons' locks."""
    rows = await sql.restore(db, shop_id=shop_id, people=sorted(people), purpose=purpose, source=source, at=at)
    return [row["person_id"] for row in rows]
