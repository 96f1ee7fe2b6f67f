"""What every request passes: who is asking, how long it may take, what the answer may do in a browser."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import structlog
from aiohttp import web

from daemon.batcher import Full

Network = IPv4Network | IPv6Network
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger()
BODY = 16 * 1024
"""Bytes of a form; the hooks read their bodies by themselves."""
BODY_PATIENCE = 15.0
"""Seconds that a request with a body may take."""
READ_PATIENCE = 3.0
"""Seconds that looking something up for a page may take; without it the page is plainer."""
USER_AGENT = 300
"""Characters of it that are kept."""
FAILURES = 60
"""Unknown tokens a minute from one network; behind that the answer comes from memory."""
WATCHED = 10_000
"""Networks whose failures are counted at a time."""

SAFE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
    "Server": "tillbell",
}
"""For every answer: the address holds a token, so nobody may store it or be told of it."""

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy of what is no page."""
HTTPS: Mapping[str, str] = {"Strict-Transport-Security": "max-age=31536000"}
"""Where the public address is an https one (RFC 6797)."""

SILENT = logging.getLogger("tillbell.http")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
"""For aiohttp, whose lines would hold addresses and paths."""


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every end of a request that no handler foresaw, without a word of what it was about."""
    try:
        if not request.body_exists:
            return await handler(request)
        async with asyncio.timeout(BODY_PATIENCE):
            return await handler(request)
    except web.HTTPException as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return plain(error.status, error.reason, allow)
    except Full:
        return plain(503, "too busy, try again", {"Retry-After": str(Full.retry_after)})
    except TimeoutError:
        return plain(503, "too slow, try again", {"Retry-After": str(Full.retry_after)})
    except Exception as error:
        if request.transport is None:
            return plain(400, "gone")  # nobody is there to hear it
        route = request.match_info.route.name or "unnamed"
        where = traceback.extract_tb(error.__traceback__)[-1]  # not the values: they hold addresses and keys
        log.error("request failed", route=route, error=type(error).__name__, file=where.filename, line=where.lineno)
        return plain(500, "something went wrong")


def plain(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """One line of text."""
    return web.Response(status=status, text=f"{text}\n", headers={**SAFE, **(headers or {})})


def user_agent(request: web.Request) -> str:
    """What the client calls itself, fit to be kept."""
    return clean(request.headers.get("User-Agent", "")[:USER_AGENT])


def clean(text: str) -> str:
    """Without NUL, control and half characters, which no database takes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and not "\ud800" <= c <= "\udfff" else "?" for c in text)


def client_address(request: web.Request, proxies: Iterable[Network]) -> str:
    """The nearest address that none of our own proxies has; they alone are believed about X-Forwarded-For."""
    address = request.remote or ""
    forwarded = request.headers.getall("X-Forwarded-For", ())
    if not proxies or not forwarded:
        return address
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    for hop in reversed(hops):
        if not within(address, proxies) or network_of(hop, 32, 128) is None:
            break
        address = hop
    return address


@lru_cache(maxsize=8192)
def kept_network(address: str) -> str:
    """As it is kept with a hit: /24 or /48, never the address."""
    return str(network_of(address, 24, 48) or "")


class Failures:
    """Counts unknown tokens by network (/24, /64), a minute at a time, in bounded memory."""

    def __init__(self) -> None:
        self.counts: dict[Network | None, tuple[float, int]] = {}

    def too_many(self, address: str, now: float) -> bool:
        """Count one more. True from the 61st within a minute on. `now` is monotonic."""
        network = network_of(address, 24, 64)
        since, count = self.counts.get(network, (now, 0))
        if now - since >= 60:
            since, count = now, 0
        if network not in self.counts and len(self.counts) >= WATCHED:
            self.counts.pop(next(iter(self.counts)))
        self.counts[network] = (since, count + 1)
        return count >= FAILURES

    def spent(self, address: str, now: float) -> bool:
        """Whether the next one would be too many. Nothing is counted."""
        since, count = self.counts.get(network_of(address, 24, 64), (now, 0))
        return count >= FAILURES and now - since < 60


def within(address: str, networks: Iterable[Network]) -> bool:
    """Whether it is one of theirs; what is no address is not."""
    host = network_of(address, 32, 128)
    return host is not None and any(host.version == net.version and host.subnet_of(net) for net in networks)  # type: ignore[arg-type]


@lru_cache(maxsize=8192)
def network_of(address: str, bits4: int, bits6: int) -> Network | None:
    """The network of so many bits around it; None for what is no address."""
    try:
        host = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if host.version == 6 and host.ipv4_mapped is not None:
        host = host.ipv4_mapped
    return ip_network((host, bits4 if host.version == 4 else bits6), strict=False)
