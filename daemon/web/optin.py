"""Confirming a consent: GET /y/{token} shows what for, POST confirms, once."""

from __future__ import annotations

import asyncio

from aiohttp import web

from daemon.flow import optin
from daemon.flow.consents import Proof
from daemon.store import optins
from daemon.store.clock import shop_now
from daemon.store.database import is_transient
from daemon.store.optins import OptIn
from daemon.web import pages
from daemon.web.edge import READ_PATIENCE, client_address, plain, user_agent
from daemon.web.state import STATE, State
from daemon.web.unsubscribe import UNREADABLE, house_of

LATER = ("too many links that nobody was given came from your network: try again in a minute", {"Retry-After": "60"})
"""Also for a good link: which one is good only the database knows, and who guesses must not keep it busy."""


async def show(request: web.Request) -> web.Response:
    """GET /y/{token}. A page with a button: a scanner may look, and nothing is confirmed by it."""
    state = request.app[STATE]
    if state.spent(request):
        return plain(429, *LATER)
    token = request.match_info["token"]
    shop_id = optin.shop_of(token)
    try:
        async with asyncio.timeout(READ_PATIENCE):
            found = await optins.of_token(state.context.pool, shop_id, optin.token_hash(token))
            now = await shop_now(state.context.pool)
    except Exception as error:
        if not is_transient(error):
            raise
        return _page(request, state, "busy", shop_id, None, status=503)
    if found is None:
        return _broken(request, state)
    over = found.not_after < now or not found.same_address
    page: pages.Page = "opt_in_done" if found.state == "confirmed" else "opt_in_over" if over else "opt_in"
    return _page(request, state, page, shop_id, found)


async def act(request: web.Request) -> web.Response:
    """POST /y/{token} with `do=confirm`. The second time it says that it has been done."""
    state = request.app[STATE]
    if state.spent(request):
        return plain(429, *LATER)
    token = request.match_info["token"]
    if not await confirms(request):
        return plain(400, "expected do=confirm")
    address = client_address(request, state.context.settings.trusted_proxies)
    proof = Proof("button on the page", ip=address, user_agent=user_agent(request))
    shop_id = optin.shop_of(token)
    try:
        answer, found = await optin.confirm(state.context, token, proof)
    except Exception as error:
        if not is_transient(error):
            raise
        return _page(request, state, "busy", shop_id, None, status=503)
    if answer == "unknown":
        return _broken(request, state)
    return _page(request, state, "opt_in_over" if answer == "over" else "opt_in_done", shop_id, found)


async def confirms(request: web.Request) -> bool:
    """False for a body that is not the form."""
    try:
        form = await request.post()
    except UNREADABLE:
        return False
    return form.get("do") == "confirm"


def _page(
    request: web.Request, state: State, page: pages.Page, shop_id: int, found: OptIn | None, *, status: int = 200
) -> web.Response:
    locale, quote = (found.locale, found.wording) if found is not None else ("", "")
    return pages.answer(
        request, page, locale, house_of(state, shop_id), status=status, quote=quote if page == "opt_in" else "",
        action="confirm",
    )  # fmt: skip


def _broken(request: web.Request, state: State) -> web.Response:
    if state.too_many(request):
        return plain(404, "not found")
    return pages.answer(request, "opt_in_broken", "", status=404)
