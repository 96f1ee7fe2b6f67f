"""Two sets of paths: those that the world may call, and those that only the operator may."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from daemon.context import Context
from daemon.flow.desk import Desk
from daemon.web import clock, health, hooks, links, unsubscribe
from daemon.web.edge import BODY, guard
from daemon.web.health import CONTEXT
from daemon.web.state import STATE, State


def public_app(context: Context) -> web.Application:
    """/o /c /u and the hooks. Its start takes over journals of dead processes; its clean-up writes out what waits."""
    app = web.Application(middlewares=[guard], client_max_size=BODY)
    desk = Desk(context)
    app[STATE] = State(context, desk)
    app.add_routes(
        [
            web.get("/o/{token}.gif", links.open_pixel, name="pixel"),
            web.get("/c/{token}", links.click, name="click"),
            web.get("/u/{token}", unsubscribe.show, name="unsubscribe"),
            web.post("/u/{token}", unsubscribe.act, name="unsubscribe_act"),
            *hooks.routes(context),
        ]
    )

    async def desk_is_open(_: web.Application) -> AsyncIterator[None]:
        await desk.start()
        context.reasons.append(desk.reasons)
        yield
        context.reasons.remove(desk.reasons)
        await desk.close()

    app.cleanup_ctx.append(desk_is_open)
    return app


def private_app(context: Context) -> web.Application:
    """/healthz /readyz /metrics, and /clock where the clock is stepped."""
    app = web.Application(middlewares=[guard], client_max_size=BODY)
    app[CONTEXT] = context
    app.add_routes(
        [
            web.get("/healthz", health.alive),
            web.get("/readyz", health.ready),
            web.get("/metrics", health.figures),
            *clock.routes(context),
        ]
    )
    return app
