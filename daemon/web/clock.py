"""The stepped clock, on the private listener: shop time jumps only when all that is due at its instant is done."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal

from aiohttp import web

from daemon.context import Context
from daemon.store import clock, work
from daemon.web.edge import SAFE
from daemon.web.health import CONTEXT

LOOK_EVERY = 0.003
PATIENCE = 30.0
"""Seconds for one instant to be finished."""


def routes(context: Context) -> list[web.RouteDef]:
    """None where the clock is real."""
    if context.settings.clock == "real":
        return []
    return [web.get("/clock", read), web.post("/clock", move)]


async def read(request: web.Request) -> web.Response:
    """GET /clock[?finished=1]: {now, finished, next}; with `finished` the answer waits until this instant is done."""
    context = request.app[CONTEXT]
    finished = await is_finished(context)
    if request.query.get("finished"):
        try:
            async with asyncio.timeout(PATIENCE):
                while not finished:
                    await asyncio.sleep(LOOK_EVERY)
                    finished = await is_finished(context)
        except TimeoutError:
            pass  # the answer says so
    return await _answer(context, finished)


async def move(request: web.Request) -> web.Response:
    """POST /clock {"to": RFC 3339}: forward only; 409 for a time that has passed."""
    context = request.app[CONTEXT]
    body = await request.json()
    to = datetime.fromisoformat(str(body["to"]))
    if to.tzinfo is None or to < await clock.shop_now(context.pool):
        return web.json_response({"error": "time goes forward only"}, status=409, headers=SAFE)
    await clock.set_clock(context.pool, to, Decimal(0))
    context.bell.set()
    return await _answer(context, await is_finished(context))


async def is_finished(context: Context) -> bool:
    """Nothing runs, nothing is due at this instant."""
    shops = sorted(context.shop_ids.values())
    if not context.idle() or context.rung:
        return False
    now = await clock.shop_now(context.pool)
    due = await work.due(context.pool, shops, now)
    if due:
        context.bell.set()  # at once, not at the next tick
    return not due and not await work.busy(context.pool, shops) and context.idle() and not context.rung


async def _answer(context: Context, finished: bool) -> web.Response:
    now = await clock.shop_now(context.pool)
    following = await work.next_instant(context.pool, sorted(context.shop_ids.values()), now)
    return web.json_response(
        {"now": now.isoformat(), "finished": finished, "next": following.isoformat() if following else None},
        headers=SAFE,
    )
