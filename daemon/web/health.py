"""The private paths: is this process alive, can it serve, how is it doing."""

from __future__ import annotations

import asyncio
import hmac

from aiohttp import web

from daemon import metrics
from daemon.context import Context
from daemon.logs import clean
from daemon.store.clock import machine_now
from daemon.web.edge import SAFE, plain

CONTEXT = web.AppKey("context", Context)
PATIENCE = 1.0
"""Seconds for the database to answer the question whether it is there."""


async def alive(_: web.Request) -> web.Response:
    """GET /healthz. The event loop turns."""
    return plain(200, "ok")


async def ready(request: web.Request) -> web.Response:
    """GET /readyz. 503 only when this process cannot serve; degraded is 200 with its reasons."""
    context = request.app[CONTEXT]
    reasons = [reason for part in context.reasons for reason in part()]
    if not await database_answers(context) and not any("PostgreSQL" in reason for reason in reasons):
        reasons.append("PostgreSQL is out of reach")
    if context.stopping.is_set():
        return answer("stopping", ["this process is ending"], 503)
    return answer("degraded" if reasons else "ready", [clean(reason) for reason in reasons], 200)


async def figures(request: web.Request) -> web.Response:
    """GET /metrics, in the Prometheus text format; with a bearer token where one is set."""
    token = request.app[CONTEXT].settings.metrics_token.get_secret_value()
    said = request.headers.get("Authorization", "")
    if token and not hmac.compare_digest(said.encode("utf-8", "replace"), f"Bearer {token}".encode()):
        return plain(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
    return web.Response(body=metrics.text(), headers={**SAFE, "Content-Type": metrics.CONTENT_TYPE})


async def database_answers(context: Context) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await machine_now(context.pool)
    except Exception:  # whatever it is: it did not answer
        return False
    return True


def answer(status: str, reasons: list[str], code: int) -> web.Response:
    return web.json_response({"status": status, "reasons": reasons}, status=code, headers=SAFE)
