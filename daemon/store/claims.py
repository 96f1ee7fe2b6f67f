"""Claims whose COMMIT was not answered: which of them took effect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from daemon.store.database import Connection
from daemon.store.messages import Claim
from daemon.store.sql import load

sql = load("claims")


async def still_ours(db: Connection, shop_id: int, claims: Sequence[Claim], least: timedelta) -> set[int]:
    """Message ids of those that were committed and whose lease lasts at least so long. Waits for the transaction that
    made them to end; call inside of one of our own."""
    ids = [one.id for one in claims]
    await sql.wait_for(db, shop_id=shop_id, ids=ids)
    rows = await sql.still_ours(db, shop_id=shop_id, ids=ids, fences=[one.fence for one in claims], least=least)
    return {row["id"] for row in rows}
