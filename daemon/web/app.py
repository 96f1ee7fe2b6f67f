"""Two sets of paths: those that the world may call, and those that only the operator may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from daemon.context import Context
from daemon.flow.desk import Desk
from daemon.web import (
    callbacks,
    clock,
    health,
    hooks,
    joining,
    links,
    optin,
    preferences,
    sdk,
    short,
    site,
    unsubscribe,
    visitors,
)
from daemon.web.edge import BODY, HTTPS, NOTHING, SAFE, guard
from daemon.web.health import CONTEXT
from daemon.web.quota import Quota
from daemon.web.state import STATE, State


def public_app(context: Context) -> web.Application:
    """/o /c /s /u, the hooks, the script and what it asks. Its start takes over journals of dead processes; its
    clean-up writes out what waits."""
    app = web.Application(middlewares=[guard], client_max_size=BODY)
    desk, inbox = Desk(context), hooks.keeper(context)
    app[STATE] = State(context, desk)
    app[joining.ASKED] = Quota(joining.A_MINUTE)
    app.add_routes(
        [
            web.get("/o/{token}.gif", links.open_pixel, name="pixel"),
            web.get("/c/{token}", links.click, name="click"),
            web.get("/s/{token}", short.follow, name="short"),
            web.get("/u/{token}", unsubscribe.show, name="unsubscribe"),
            web.post("/u/{token}", unsubscribe.act, name="unsubscribe_act"),
            web.get("/p/{token}", preferences.show, name="preferences"),
            web.post("/p/{token}", preferences.act, name="preferences_act"),
            web.get("/y/{token}", optin.show, name="opt_in"),
            web.post("/y/{token}", optin.act, name="opt_in_act"),
            web.get("/join/{shop}/{form}", joining.show, name="join"),
            web.post("/join/{shop}/{form}", joining.act, name="join_act"),
            *hooks.routes(context, inbox),
            *callbacks.routes(context, inbox),
            *sdk.routes(),
            *site.routes(context, visitors.asks(context, desk, inbox)),
        ]
    )

    async def desk_is_open(_: web.Application) -> AsyncIterator[None]:
        await desk.start()
        context.reasons.append(desk.reasons)
        yield
        context.reasons.remove(desk.reasons)
        await desk.close()

    app.cleanup_ctx.append(desk_is_open)
    app.on_response_prepare.append(dressed(https=context.settings.public_base_url.startswith("https:")))
    return app


def dressed(*, https: bool = False) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Every answer carries what keeps a browser from doing more with it; a page's own words are left as they are."""
    wear = {**SAFE, "Content-Security-Policy": NOTHING, **(HTTPS if https else {})}

    async def dress(_: web.Request, response: web.StreamResponse) -> None:
        for name, value in wear.items():
            if name not in response.headers:
                response.headers[name] = value
        response.headers["Server"] = SAFE["Server"]  # aiohttp has put its own there

    return dress


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
    app.on_response_prepare.append(dressed())
    return app
