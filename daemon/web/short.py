"""The links of a text: GET /s/{token}. As short as a signature allows, since every letter of a text is paid for."""

from __future__ import annotations

from aiohttp import web

from daemon import tokens
from daemon.tokens import Token
from daemon.web import links, pages
from daemon.web.edge import SAFE, plain
from daemon.web.state import STATE

CART = 0
"""A text has one link to follow."""


async def follow(request: web.Request) -> web.Response:
    """To the cart, or to the page with the way out; that page asks first, so a scanner may look at it."""
    state = request.app[STATE]
    short = tokens.read_short(state.context.secrets, request.match_info["token"])
    if short is None:
        return plain(404, "not found") if state.too_many(request) else pages.answer(request, "lost", "", status=404)
    token = Token(short.purpose, short.shop_id, short.message_id, CART, short.rehearsal)
    if short.purpose == "click":
        return await links.followed(request, state, token, silent=short.silent)
    out = Token("unsubscribe", short.shop_id, short.message_id, rehearsal=short.rehearsal)
    return web.Response(status=302, headers={**SAFE, "Location": f"/u/{tokens.make(state.context.secrets, out)}"})
