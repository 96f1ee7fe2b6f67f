"""Connections of strangers: how long the head of a request may take, how large it may be, how many may stand open, and
how many one network may open.

aiohttp waits for a head as long as bytes trickle in, and its own answer to a broken one repeats what was sent.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import ip_network
from typing import Any

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from daemon import metrics
from daemon.web.edge import SILENT, Network, network_of, plain, within

log = structlog.get_logger()

HEAD_PATIENCE = 10.0
"""Seconds from a connection's opening, or from the first byte of a later request, until its head must be there."""
HEAD = 32 * 1024
"""Bytes of a head altogether."""
OPEN = 4096
"""Connections of one listener, where the system allows us as many."""
HONEST = 1.0
"""Seconds after which a head is late enough to make way for somebody else when all places are taken."""
A_SECOND = 150.0
"""New connections a second from one network of the world (/24, /64). A provider of mailboxes that takes thousands off
within a minute, each on a connection of its own, stays below."""
AT_ONCE = 600.0
"""So many more, if it was quiet for some seconds before."""
WATCHED = 10_000
"""Networks that are counted at a time."""
OURS: tuple[Network, ...] = tuple(
    ip_network(one) for one in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
"""Loopback and private networks (RFC 1918, RFC 4193): nobody comes from there out of the world."""
LOOK = 0.5
"""Seconds between two looks for those who are late."""
KEEP_ALIVE = 75.0
"""Seconds that an idle connection stays open."""
LINGER = 3.0
"""Seconds for which the rest of a body that nobody wants is thrown away before the connection is cut."""
BUFFER = 16 * 1024
"""Bytes of a body that wait to be read, after which the sender is held up."""


class Crowd:
    """Counts new connections by network, as a bucket that fills again, in bounded memory. Our own machines and proxies
    are never counted: behind a proxy the whole world has its address, and to hold back is its work."""

    def __init__(self, a_second: float = A_SECOND, at_once: float = AT_ONCE, ours: Iterable[Network] = ()) -> None:
        self.a_second = a_second
        self.at_once = at_once
        self.ours = tuple(ours)
        self.left: dict[Network, tuple[float, float]] = {}
        """What each may still open, and when that was said; who was heard of longest ago first."""

    def too_many(self, address: str, now: float) -> bool:
        """Count one more. `now` is monotonic."""
        network = network_of(address, 24, 64)
        if network is None or within(address, self.ours):
            return False
        left, since = self.left.pop(network, (self.at_once, now))
        left = min(self.at_once, left + (now - since) * self.a_second)
        if len(self.left) >= WATCHED:
            del self.left[next(iter(self.left))]
        self.left[network] = (max(left - 1, 0.0), now)
        return left < 1


class Doors:
    """Of one listener. The one place that knows who is inside."""

    def __init__(self, patience: float = HEAD_PATIENCE, room: int | None = None, crowd: Crowd | None = None) -> None:
        self.patience = patience
        self.crowd = crowd or Crowd()
        self.room = room or places()
        self.inside: set[Guest] = set()
        self.heads: dict[Guest, float] = {}
        """Whose head is still coming, each since when (the loop's time), earliest first."""
        self.watch: asyncio.TimerHandle | None = None

    def entered(self, guest: Guest, address: str, now: float) -> bool:
        """False: their network opens too many, or there is no room, not even when somebody who is late makes way."""
        if self.crowd.too_many(address, now):
            metrics.connections_refused.labels("flood").inc()
            return False
        if len(self.inside) >= self.room and not self._make_way(now):
            metrics.connections_refused.labels("full").inc()
            return False
        self.inside.add(guest)
        self.begun(guest, now)
        return True

    def begun(self, guest: Guest, now: float) -> None:
        """The first byte of a head, or the connection itself."""
        self.heads[guest] = now
        if self.watch is None:
            self.watch = asyncio.get_running_loop().call_later(LOOK, self._look)

    def left(self, guest: Guest) -> None:
        self.inside.discard(guest)
        self.heads.pop(guest, None)

    def _make_way(self, now: float) -> bool:
        for guest, since in self.heads.items():
            if guest.busy():
                continue
            if now - since < HONEST:
                break
            guest.shown_out()
            return True
        idle = next((guest for guest in self.inside if guest not in self.heads and not guest.busy()), None)
        if idle is not None:
            idle.shown_out()
        return idle is not None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for guest in [guest for guest, since in self.heads.items() if loop.time() - since >= self.patience]:
            del self.heads[guest]
            if not guest.busy():
                metrics.heads_late.inc()
                guest.shown_out()
        self.watch = loop.call_later(LOOK, self._look) if self.heads else None

    def close(self) -> None:
        if self.watch is not None:
            self.watch.cancel()
            self.watch = None


class Guest(RequestHandler):
    """A connection that says when it waits for a head, and answers what it cannot read without repeating it."""

    __slots__ = ("doors", "head")

    def __init__(self, doors: Doors, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.doors = doors
        self.head = 0

    def busy(self) -> bool:
        """It does not wait for a head: a request is being answered, or the rest of its body thrown away."""
        return self._waiter is None or bool(self._messages)

    def shown_out(self) -> None:
        """Without another word."""
        self.doors.left(self)
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        if self.doors.entered(self, peer[0] if peer else "", self._loop.time()):
            super().connection_made(transport)
        else:  # before anything was made for it
            transport.abort()  # type: ignore[attr-defined]

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.transport is not None:
            self.doors.left(self)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A head that is not complete yet has its time and size."""
        super().data_received(data)
        if self.busy():
            self.head = 0
            self.doors.heads.pop(self, None)
            return
        self.head += len(data)
        if self.head > HEAD:
            self.shown_out()
        elif self not in self.doors.heads and self in self.doors.inside:
            self.doors.begun(self, self._loop.time())

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002  # it would repeat what was sent
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """What is no HTTP, or too long, gets the name of its mistake and no more."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        answer = plain(status, HTTPStatus(status).phrase.lower())
        answer.force_close()
        return answer


class Site(web.TCPSite):
    """A listener with doors."""

    __slots__ = ("doors",)

    def __init__(self, runner: web.AppRunner, host: str | None, port: int, *, backlog: int, doors: Doors) -> None:
        super().__init__(runner, host, port, backlog=backlog)
        self.doors = doors

    async def start(self) -> None:
        """As its parent does; each connection is a `Guest`."""
        await web.BaseSite.start(self)
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None
        self._server = await loop.create_server(
            lambda: Guest(
                self.doors,
                server,
                loop=loop,
                access_log=None,
                logger=SILENT,
                keepalive_timeout=KEEP_ALIVE,
                lingering_time=LINGER,
                read_bufsize=BUFFER,
                max_headers=64,
            ),
            self._host,
            self._port,
            backlog=self._backlog,
        )

    async def stop(self) -> None:
        """No new ones; those inside are the runner's to see out."""
        self.doors.close()
        await super().stop()


def places() -> int:
    """How many connections a listener may hold: half of the files that this process may open, as there are two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN * 2 + 1024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return OPEN if soft == resource.RLIM_INFINITY else max(64, min(OPEN, (soft - 256) // 2))
