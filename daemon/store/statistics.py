"""What PostgreSQL knows of our tables' sizes, kept fresh while they are young."""

from __future__ import annotations

from daemon.store.database import Pool
from daemon.store.sql import load

sql = load("statistics")


async def keep_fresh(pool: Pool) -> bool:
    """Whether statistics were renewed. Call it often, outside a transaction: mostly it is one cheap look."""
    if not await sql.outgrown(pool):
        return False
    await sql.renew(pool)
    return True
