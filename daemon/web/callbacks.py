"""POST /hooks/channel/{channel}: what a channel's provider tells us, kept before the answer."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from aiohttp import web

from channels.base import Callback, Channel, Event, Forged, Junk
from daemon import metrics
from daemon.batcher import Batcher
from daemon.context import Context
from daemon.flow import callbacks
from daemon.store.inbox import Delivery
from daemon.web.bodies import Bodies
from daemon.web.hooks import AGAIN, Answer, body_of, kept

log = structlog.get_logger()

LARGEST = 64 * 1024


def routes(context: Context, batcher: Batcher[Delivery, None]) -> list[web.RouteDef]:
    """For the public listener. What is kept goes through the same inbox as the events of shops."""
    bodies = Bodies(LARGEST, 10.0)

    async def told(request: web.Request) -> web.Response:
        channel = context.channels.get(request.match_info["channel"])
        if channel is None:
            return Answer(
                404, "there is no such channel", "the name after /hooks/channel/ is one that is set up"
            ).response(request)
        try:
            async with body_of(bodies, request, LARGEST) as raw:
                rows = callbacks.deliveries(context, channel.name, _events(context, channel, request, raw))
                for row in rows:
                    await kept(batcher, row)
        except Answer as answer:
            metrics.callbacks.labels(channel.name, str(answer.status)).inc()
            return answer.response(request)
        metrics.callbacks.labels(channel.name, "204").inc()
        for shop_id in {row.shop_id for row in rows}:
            context.ring(callbacks.WORK, shop_id)
        return web.Response(status=204)

    return [web.post("/hooks/channel/{channel}", told)]


def _events(context: Context, channel: Channel, request: web.Request, raw: bytes) -> Sequence[Event]:
    """Raises Answer. The address that was signed is ours as the world knows it, whatever proxy stands before us."""
    base = context.settings.public_base_url or f"http://{context.settings.listen}"
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        return channel.events(Callback(f"{base}{request.raw_path}", headers, raw))
    except Forged:
        raise Answer(403, "the signature does not fit", "it is checked against TILLBELL_PUBLIC_BASE_URL") from None
    except Junk as error:
        raise Answer(400, str(error), AGAIN) from None
