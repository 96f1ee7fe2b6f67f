"""What may no longer be kept is forgotten, a batch at a time, from where the last round ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import structlog

from daemon.context import Context
from daemon.flow import site as visits
from daemon.store import clock, inbox, retention, site, subscriptions

log = structlog.get_logger()

MOST = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def what_is_old(context: Context, shop_id: int, state: dict[str, Any], now: datetime) -> dict[str, Any]:
    """One batch each of hits, messages, mails and pushed events; the state to go on from."""
    machine = await clock.machine_now(context.pool)
    after = datetime.fromisoformat(state["hits"]) if "hits" in state else EPOCH
    hits = await retention.forget_hits(context.pool, shop_id, after, machine - context.settings.keep_hits, MOST)
    letters = await retention.forget_content(
        context.pool, shop_id, int(state.get("content", 0)), now - context.settings.keep_content, MOST
    )
    mails = await inbox.forget_mails(context.pool, shop_id, now - context.settings.keep_hits, MOST)
    pushed = await inbox.forget_pushed(
        context.pool, shop_id, int(state.get("pushed", 0)), now - context.settings.keep_events, MOST
    )
    browsers = await subscriptions.forget_unseen(context.pool, shop_id, now - context.settings.keep_browsers, MOST)
    visitors = await site.unseen(context.pool, shop_id, now - context.settings.keep_browsers, MOST)
    await visits.forget(context, shop_id, visitors)
    if hits.forgotten or letters.forgotten or mails or pushed.forgotten or browsers or visitors:
        texts = letters.forgotten + mails + pushed.forgotten
        log.info(
            "stopped",
            shop=context.shop_called(shop_id),
            hits=hits.forgotten,
            texts=texts,
            browsers=browsers + len(visitors),
            kept="no more",
        )
    return {
        **state,
        **({"hits": hits.reached.isoformat()} if hits.reached else {}),
        **({"content": letters.reached} if letters.reached else {}),
        **({"pushed": pushed.reached} if pushed.reached else {}),
    }
