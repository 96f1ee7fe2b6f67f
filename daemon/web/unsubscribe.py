"""The way out: GET /u/{token} shows, POST acts (RFC 8058); the page's own button can take it back."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError

from daemon import metrics
from daemon.batcher import Full
from daemon.flow import track
from daemon.hits import Kind
from daemon.store import optouts
from daemon.store.database import is_transient
from daemon.store.optouts import Letter
from daemon.tokens import Token
from daemon.web import pages
from daemon.web.edge import READ_PATIENCE, plain
from daemon.web.links import lost
from daemon.web.pages import House
from daemon.web.state import STATE, State

log = structlog.get_logger()
ONE_CLICK = ("list-unsubscribe", "one-click")
"""The whole body of a one-click request (RFC 8058 section 3.1), in either content type."""
UNREADABLE = (ValueError, LookupError, HttpProcessingError, web.RequestPayloadError)
"""What a broken body, boundary or character set raises."""
RETRY = {"Retry-After": str(Full.retry_after)}


async def show(request: web.Request) -> web.Response:
    """GET /u/{token}. A page with a button: looking at it changes nothing, so a scanner may look."""
    state = request.app[STATE]
    token = state.token(request, "unsubscribe")
    if token is None:
        return broken(request, state)
    house = house_of(state, token.shop_id)
    if token.rehearsal:
        return pages.answer(request, "rehearsal", "", house)
    letter = await read_letter(state, token)
    if request.method == "GET":
        metrics.hits.labels("viewed").inc()
        try:
            if not state.enough(token, "viewed"):
                await track.viewed(state.desk, token, state.visitor(request))
        except (Full, OSError) as error:
            lost("viewed", error)
    if letter is None:
        return pages.answer(request, "ask", "", house)
    return pages.answer(request, "done" if letter.suppressed else "ask", letter.locale, house)


async def act(request: web.Request) -> web.Response:
    """POST /u/{token}. A mailbox provider gets 200 at once, without a cookie, as often as it likes; a person a page.

    A link that nobody signed is answered 404, unlike a good one: 128 bits cannot be tried out, and nobody may be told
    that they are off a list on which they still are.
    """
    state = request.app[STATE]
    token = state.token(request, "unsubscribe")
    if token is None:
        return broken(request, state)
    wish = await read_wish(request)
    if not wish:
        return plain(400, "expected List-Unsubscribe=One-Click")
    house = house_of(state, token.shop_id)
    if token.rehearsal:
        return plain(200, "rehearsal") if wish == "one-click" else pages.answer(request, "rehearsal", "", house)
    if wish == "undo" and state.wavers(token, "undo"):
        return pages.answer(request, "busy", "", house, status=429, action=wish)
    kept = await done(state, token, wish, request)
    if wish == "one-click":
        return plain(200, "unsubscribed") if kept else plain(503, "try again", RETRY)
    letter = await read_letter(state, token)
    locale = letter.locale if letter else ""
    if not kept:
        return pages.answer(request, "busy", locale, house, status=503, action=wish)
    return pages.answer(request, "undone" if wish == "undo" else "done", locale, house)


async def done(state: State, token: Token, wish: str, request: web.Request) -> bool:
    """Whether what was asked for is in effect, or on the disk and in effect before anything else is sent. Who has left
    and says so once a second is not written down each time; that they have left is looked up, never remembered."""
    kind: Kind = "resubscribed" if wish == "undo" else "unsubscribed"
    metrics.hits.labels(kind).inc()
    noted = wish == "undo" or not state.enough(token, kind)
    if not noted and (letter := await read_letter(state, token)) is not None and letter.suppressed:
        return True
    try:
        if wish == "undo":
            await track.resubscribed(state.desk, token, state.visitor(request))
        else:
            await track.unsubscribed(state.desk, token, state.visitor(request), noted=noted)
    except (Full, OSError) as error:
        lost(kind, error)
        return False
    return True


async def read_wish(request: web.Request) -> str:
    """`one-click`, `unsubscribe`, `undo`, or nothing for a body that asks for none of them."""
    try:
        form = await request.post()
    except UNREADABLE:
        return ""
    fields = {key.casefold(): value.strip().casefold() for key, value in form.items() if isinstance(value, str)}
    if fields.get(ONE_CLICK[0]) == ONE_CLICK[1]:
        return "one-click"
    return fields["do"] if fields.get("do") in ("unsubscribe", "undo") else ""


async def read_letter(state: State, token: Token) -> Letter | None:
    """None also while the database is away: the page then speaks the browser's language."""
    if state.desk.away:
        return None
    try:
        async with asyncio.timeout(READ_PATIENCE):
            return await optouts.letter(state.context.pool, token.shop_id, token.message_id)
    except Exception as error:
        if not is_transient(error):
            raise
        return None


def broken(request: web.Request, state: State) -> web.Response:
    """A link that nobody signed, most often one that a mail program cut off."""
    if state.too_many(request):
        return plain(404, "not found")
    return pages.answer(request, "broken", "", status=404)


def house_of(state: State, shop_id: int) -> House:
    """How the shop shows itself."""
    try:
        shop = state.context.keeper.book.shops[state.context.shop_name(shop_id)]
    except (KeyError, StopIteration):
        return House()
    return House(shop.shown_as, shop.looks.accent, shop.locale)
