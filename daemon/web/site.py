"""POST /site/{shop}/…: what the script on the shop's pages says and asks. docs/onsite.md tells who is believed what."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import structlog
from aiohttp import web

from daemon import metrics
from daemon.batcher import Full
from daemon.clock import machine_now, monotonic
from daemon.context import Context
from daemon.store.database import is_transient
from daemon.web import badges
from daemon.web.badges import Badge, NoBadge
from daemon.web.bodies import Bodies, BodyTooLarge, BodyTooSlow, TooManyBodies
from daemon.web.edge import client_address, network_of
from daemon.web.quota import Quota
from rules.onsite import OnsiteWords
from rules.shops import ShopWords

log = structlog.get_logger()

LARGEST = 32 * 1024
"""Bytes of a body: one cart with a hundred lines."""
PATIENCE = 5.0
"""Seconds until a body must have arrived."""
ROOM = 8 * 1024 * 1024
WEEK = "604800"
ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-:\[\]]{1,260}")


class Answer(Exception):
    """The request ends here, with this status and this sentence."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


@dataclass(slots=True)
class Limits:
    """What one network (/24, /64) may ask for in a minute, and one visitor. Memory of this process."""

    asked: Quota = field(default_factory=lambda: Quota(300))
    visitors: Quota = field(default_factory=lambda: Quota(60))
    reports: Quota = field(default_factory=lambda: Quota(60))
    subscriptions: Quota = field(default_factory=lambda: Quota(10, 3600.0))


@dataclass(frozen=True, slots=True)
class Caller:
    """A page of a shop's that asks something. `visitor` is a name that we gave, or empty."""

    context: Context
    request: web.Request
    limits: Limits
    shop_id: int
    name: str
    shop: ShopWords
    words: OnsiteWords
    origin: str
    told: Mapping[str, Any]

    @property
    def visitor(self) -> str:
        return badges.read_visitor(self.context.secrets, self.shop_id, self.text("visitor"))

    def badge(self) -> Badge:
        """What the shop signed; an empty one where the page carries none. A wrong one ends the request."""
        text = self.text("badge", badges.LONGEST)
        if not text:
            return Badge()
        try:
            return badges.read_badge(self.words.key, self.name, text, machine_now())
        except NoBadge as error:
            metrics.site_refused.labels("badge").inc()
            raise Answer(401, f"the badge is not taken: {error}") from None

    def text(self, word: str, longest: int = 300) -> str:
        value = self.told.get(word, "")
        if not isinstance(value, str) or len(value) > longest:
            raise Answer(422, f"{word}: must be a text of at most {longest} characters")
        return value

    @property
    def device(self) -> str:
        device = self.text("device")
        return device if device in ("desktop", "mobile") else ""

    def network(self) -> object:
        address = client_address(self.request, self.context.settings.trusted_proxies)
        return network_of(address, 24, 64)

    def spends(self, quota: Quota, asker: object, cost: int = 1) -> None:
        """Ends the request of who has asked for too much."""
        if quota.spent(asker, monotonic(), cost):
            metrics.site_refused.labels("quota").inc()
            raise Answer(429, "too much at once")


Ask = Callable[[Caller], Awaitable[Mapping[str, Any] | None]]
"""What a page asks for, and the answer; None where there is nothing to say."""


def routes(context: Context, asks: Mapping[str, Ask]) -> list[web.RouteDef]:
    """For the public listener: one path for each thing that may be asked."""
    bodies, limits = Bodies(LARGEST, PATIENCE, ROOM), Limits()

    def handler(ask: Ask) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            origin = ""
            try:
                shop_id, name, shop, words = _addressed(context, request)
                origin = _origin(request, shop)
                told = await _told(bodies, request)
                caller = Caller(context, request, limits, shop_id, name, shop, words, origin, told)
                caller.spends(limits.asked, caller.network())
                found = await ask(caller)
            except Answer as no:
                return _answer(request, origin, no.status, {"error": str(no)})
            except Full:
                return _answer(request, origin, 503, {"error": "too busy, try again"})
            except Exception as error:
                if not is_transient(error):
                    raise
                return _answer(request, origin, 503, {"error": "try again later"})
            return _answer(request, origin, 204 if found is None else 200, found)

        return answer

    async def preflight(request: web.Request) -> web.Response:
        try:
            origin = _origin(request, _addressed(context, request)[2])
        except Answer as no:
            return _answer(request, "", no.status, {"error": str(no)})
        response = _answer(request, origin, 204, None)
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        response.headers["Access-Control-Max-Age"] = "7200"
        return response

    posts = [web.post(f"/site/{{shop}}/{what}", handler(ask), name=f"site_{what}") for what, ask in asks.items()]
    return [*posts, *(web.options(f"/site/{{shop}}/{what}", preflight) for what in asks)]


def _addressed(context: Context, request: web.Request) -> tuple[int, str, ShopWords, OnsiteWords]:
    name = request.match_info["shop"]
    shop, shop_id = context.keeper.book.shops.get(name), context.shop_ids.get(name)
    if shop is None or shop_id is None or shop.script is None:
        raise Answer(404, "no shop of this name carries the script")
    return shop_id, name, shop, shop.script


def _origin(request: web.Request, shop: ShopWords) -> str:
    """The page that asks (RFC 6454). A browser always says it; who does not, is none."""
    origin = request.headers.get("Origin", "")
    if not ORIGIN.fullmatch(origin) or origin not in shop.page_origins:
        metrics.site_refused.labels("origin").inc()
        raise Answer(403, "pages of this origin may not ask; see onsite.hosts in shops.yaml")
    return origin


async def _told(bodies: Bodies, request: web.Request) -> Mapping[str, Any]:
    """The body, an object of JSON. It is sent as text/plain, so that no browser has to ask beforehand (Fetch § 3.2)."""
    if (request.content_length or 0) > LARGEST:
        raise Answer(413, f"at most {LARGEST} bytes")
    try:
        async with bodies.read(request.content) as raw:
            told = json.loads(raw, parse_constant=_no_number)
    except BodyTooLarge:
        raise Answer(413, f"at most {LARGEST} bytes") from None
    except BodyTooSlow:
        raise Answer(408, "the body did not arrive in time") from None
    except TooManyBodies:
        raise Answer(503, "too much is arriving at once") from None
    except (ValueError, RecursionError):
        raise Answer(400, "the body is no JSON") from None
    if not isinstance(told, dict):
        raise Answer(400, "the body is no object")
    return told


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def _answer(request: web.Request, origin: str, status: int, body: Mapping[str, Any] | None) -> web.Response:
    """With what lets this page read it, and no other (Fetch § 3.2); no cookie is taken or set."""
    response = web.Response(status=status) if body is None else web.json_response(body, status=status)
    response.headers["Vary"] = "Origin"
    if origin:
        response.headers["Access-Control-Allow-Origin"] = origin
    if status in (429, 503):
        response.headers["Retry-After"] = "60" if status == 429 else "5"
    if status >= 400 and not request.content.at_eof():
        response.force_close()
    return response
