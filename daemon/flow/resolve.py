"""A person says what became of a message that was unknown, and how they know."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import structlog

from daemon.store import persons, post, recoveries
from daemon.store.database import Connection, Pool, again

log = structlog.get_logger()


async def resolve(
    pool: Pool, shop_id: int, message_id: int, state: Literal["accepted", "failed"], reason: str, now: datetime
) -> bool:
    """False: there is no such message, or its fate is known."""

    async def once(db: Connection) -> bool:
        before = await post.unknown(db, shop_id, message_id)
        if before is None:
            return False
        await persons.lock(db, shop_id, [before.person_id])
        said = f"resolved by hand: {reason}"[:300]
        if not await post.resolve(db, shop_id, message_id, state, said, now):
            return False
        await persons.raise_facts(db, shop_id, [before.person_id])
        await recoveries.wake(db, shop_id, [before.person_id], now)
        return True

    done = await again(pool, once)
    if done:
        log.info("recorded", message=message_id, state=state, by="hand")
    return done
