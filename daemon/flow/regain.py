"""After a claim whose COMMIT was not answered: what was committed is ours and leaves once; nothing else leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from daemon.clock import monotonic
from daemon.context import Context
from daemon.store import claims
from daemon.store.database import Connection, Unanswered, again, is_transient
from daemon.store.messages import Claim

log = structlog.get_logger()

WITHIN = 5.0
"""Seconds. Later the gate's word is too old, and what was claimed is given back instead."""
PAUSE = 0.1


async def committed(
    context: Context, shop_id: int, made: Sequence[Claim], longest: timedelta, lost: Unanswered
) -> set[int]:
    """Message ids of the claims that took effect, by fence, read on another connection. Raises `lost` when the database
    does not say so in time: then nobody may send them."""
    until = monotonic() + WITHIN

    async def body(db: Connection) -> set[int]:
        return await claims.still_ours(db, shop_id, made, longest)

    while monotonic() < until:
        try:
            async with asyncio.timeout(until - monotonic()):
                return _told(shop_id, made, await again(context.pool, body))
        except Unanswered as error:  # it only read: what it read holds
            return _told(shop_id, made, error.result)
        except Exception as error:
            if not is_transient(error):
                raise
            await asyncio.sleep(PAUSE)
    raise lost


def _told(shop_id: int, made: Sequence[Claim], ours: set[int]) -> set[int]:
    log.warning("claimed", shop_id=shop_id, unanswered=len(made), committed=len(ours))
    return ours
