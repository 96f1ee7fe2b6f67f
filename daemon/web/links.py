"""The picture and the links of a mail: GET /o/{token}.gif and GET /c/{token}."""

from __future__ import annotations

import asyncio
import base64
import binascii
import struct

import structlog
from aiohttp import web
from multidict import CIMultiDict

from daemon import metrics
from daemon.batcher import Full
from daemon.clock import machine_now
from daemon.context import Context
from daemon.flow import track
from daemon.mail.links import shop_url
from daemon.store import events
from daemon.store.database import is_transient
from daemon.store.events import Link
from daemon.tokens import HEAD as TOKEN_HEAD
from daemon.tokens import Token
from daemon.web import pages
from daemon.web.edge import READ_PATIENCE, SAFE, plain
from daemon.web.landings import marked
from daemon.web.state import STATE, State

log = structlog.get_logger()

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent point."""
PIXEL_HEADERS = CIMultiDict(
    {
        **SAFE,
        "Content-Type": "image/gif",
        "Cache-Control": "no-store, no-cache, must-revalidate, max-age=0",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
)
OPENED = metrics.hits.labels("opened")
CLICKED = metrics.hits.labels("clicked")


async def open_pixel(request: web.Request) -> web.Response:
    """GET /o/{token}.gif. Always the picture, even for a token that nobody signed; 503 only if it cannot be kept."""
    state = request.app[STATE]
    token = state.token(request, "open")
    status = 200
    if token is None:
        state.too_many(request)
    elif request.method == "GET" and not token.rehearsal:
        OPENED.inc()
        try:
            if not state.enough(token, "opened"):
                await track.opened(state.desk, token, state.visitor(request))
        except (Full, OSError) as error:
            lost("opened", error)
            status = 503
    return web.Response(body=PIXEL, status=status, headers=PIXEL_HEADERS.copy())


async def click(request: web.Request) -> web.Response:
    """GET /c/{token}. To the stored target on the shop's own hosts, else to the shop: people always get somewhere."""
    state = request.app[STATE]
    token = state.token(request, "click")
    return unknown(request, state) if token is None else await followed(request, state, token)


async def followed(request: web.Request, state: State, token: Token, *, silent: bool = False) -> web.Response:
    """To where a link leads. `silent`: nobody is told that somebody was here."""
    if token.rehearsal:
        link = await looked_up(state, token)
        target = destination(state.context, token.shop_id, link)
        return pages.answer(request, "rehearsal_link" if target else "rehearsal", "", link=target)
    if silent or request.method == "HEAD":
        link = await looked_up(state, token)
    else:
        CLICKED.inc()
        link = await kept_click(request, state, token)
    target = destination(state.context, token.shop_id, link)
    trap = link is not None and link.kind == "honeypot"
    if not trap and not silent and request.method == "GET":
        target = marked(state.context, token, target, machine_now())
    return to(request, target)


async def kept_click(request: web.Request, state: State, token: Token) -> Link | None:
    """Where it leads, once the click is kept, or so many of this mail are that one more is not."""
    if state.enough(token, "clicked"):
        return remembered(state, token) or await looked_up(state, token)
    try:
        return await track.clicked(state.desk, token, state.visitor(request))
    except (Full, OSError) as error:
        lost("clicked", error)
        return remembered(state, token)


def lost(kind: str, error: Exception) -> None:
    """Neither the database nor the disk could take a hit: said loudly, and the caller is not told that it was kept."""
    metrics.hits_lost.inc()
    log.error("hit lost", kind=kind, error=type(error).__name__)


def to(request: web.Request, target: str) -> web.Response:
    """302, so that no browser remembers it. Without any page of the shop's there is nowhere to go."""
    if not target:
        return pages.answer(request, "lost", "", status=404)
    return web.Response(status=302, headers={**SAFE, "Location": target})


def unknown(request: web.Request, state: State) -> web.Response:
    """A link that nobody signed, most often one that a mail program broke: to the shop that it names, if any."""
    if state.too_many(request):
        return plain(404, "not found")
    return to(request, shop_page(state.context, claimed_shop(request.match_info["token"])))


def claimed_shop(text: str) -> int:
    """The shop's number in a token, signed or not; 0 when there is none to be read."""
    try:
        raw = base64.b64decode(text.encode("utf-8", "replace"), b"-_", validate=True)
        return int(TOKEN_HEAD.unpack_from(raw)[2])
    except (binascii.Error, struct.error):
        return 0


async def looked_up(state: State, token: Token) -> Link | None:
    """Where a link leads, without a record; None also when the database is away and it is not remembered."""
    if token.link_no > track.BIGGEST_LINK:
        return None
    try:
        async with asyncio.timeout(READ_PATIENCE):
            return await events.link(state.context.pool, token.shop_id, token.message_id, token.link_no)
    except Exception as error:
        if not is_transient(error):
            raise
        return remembered(state, token)


def remembered(state: State, token: Token) -> Link | None:
    return state.desk.links.get((token.shop_id, token.message_id, token.link_no))


def destination(context: Context, shop_id: int, link: Link | None) -> str:
    """The link's target if it is (still) on the shop's own hosts, else the shop's cart page."""
    if link is None or link.kind == "honeypot":
        return shop_page(context, shop_id)
    return shop_url(link.target, allowed_hosts(context, shop_id), ()) or shop_page(context, shop_id)


def allowed_hosts(context: Context, shop_id: int) -> frozenset[str]:
    """The hosts of this shop; links lead to them and to what is below them. Empty for a shop that is not there."""
    try:
        shop = context.keeper.book.shops[context.shop_name(shop_id)]
    except (KeyError, StopIteration):
        return frozenset()
    return frozenset(host.removeprefix("*.").removeprefix("www.") for host in shop.hosts)


def shop_page(context: Context, shop_id: int) -> str:
    """The shop's cart page, or its front page; empty for a shop that is not there."""
    try:
        shop = context.keeper.book.shops[context.shop_name(shop_id)]
    except (KeyError, StopIteration):
        return ""
    return shop_url(shop.cart_page or shop.url, allowed_hosts(context, shop_id), ())
