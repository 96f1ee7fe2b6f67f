"""Requests to addresses that strangers gave us: only to hosts that are allowed, and never to the inside.

The name is resolved once, every address it has must be public, and the connection goes to one of those addresses, with
the name in SNI and Host. No redirect is followed, no proxy of the environment asked, and of an answer little is read.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from channels import points

LONGEST_URL = 2048
MOST_READ = 64 * 1024
HOST = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
"""A name with a dot whose last part begins with a letter: so no form of a number is one."""
PLAIN = re.compile(r"[!-~]+")
USUAL = re.compile(r"https://([a-z0-9.-]+)/[A-Za-z0-9/._~:?=&%+,;@!$*()'-]*")
"""An address that can be read in one way only: behind the host, which is nothing but a host, comes a slash."""
OPEN_V6 = ipaddress.IPv6Network("2000::/3")
CLOSED_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
CLOSED_V4 = tuple(
    ipaddress.IPv4Network(net)
    for net in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
    )
)
"""What is not the public Internet: the special-purpose registries of IANA (RFC 6890)."""


class Forbidden(Exception):
    """This address must not be asked; the text does not repeat it."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be asked. `hosts`: names, or `*.name` for what lies under it, by https on port 443 and public only.
    `origins`: exactly these (`http://127.0.0.1:9090`), wherever they lie: the operator said so."""

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def names(self, host: str) -> bool:
        for one in self.hosts:  # noqa: SIM110 - asked for each push, and a generator takes as long as all the rest
            if host == one or (one[:2] == "*." and host.endswith(one[1:])):
                return True
        return False


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address."""

    url: URL
    origin: str
    """`https://push.example`: scheme, name, and port where it is not the usual one."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def allowed(words: Sequence[str]) -> Allowed:
    """From what an operator writes: names, `*.name`, and whole origins. Raises ValueError with a sentence."""
    hosts, origins = [], []
    for word in words:
        if "://" in word:
            origin = origin_of(word)
            if origin != word:
                raise ValueError(f"{word!r} is not an origin; it is written https://push.example:8443, without a path")
            origins.append(origin)
        elif HOST.fullmatch(word.removeprefix("*.")):
            hosts.append(word)
        else:
            raise ValueError(f"{word!r} is not the name of a host, such as push.example or *.push.example")
    return Allowed(tuple(hosts), tuple(origins))


def origin_of(url: str) -> str:
    """Scheme, host and port, all in small letters; empty if there is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


def target(url: str, may: Allowed) -> Target:
    """What may be asked of `url`. Raises `Forbidden`: nothing has been resolved yet."""
    usual = USUAL.fullmatch(url)
    if usual and len(url) <= LONGEST_URL and HOST.fullmatch(usual[1]) and may.names(usual[1]):
        return Target(URL(url, encoded=True), f"https://{usual[1]}")
    if len(url) > LONGEST_URL or not PLAIN.fullmatch(url) or "\\" in url or "#" in url:
        raise Forbidden("it is not an address on the web")
    origin = origin_of(url)
    if not origin:
        raise Forbidden("it is not an address on the web")
    try:
        read = URL(url, encoded=True)
        same = read.raw_user is None and read.raw_password is None and str(read.origin()) == origin
    except ValueError:
        same = False
    if not same:
        raise Forbidden("it can be read in two ways")
    if origin in may.origins:
        return Target(read, origin)
    scheme, _, host = origin.partition("://")
    if scheme != "https" or ":" in host:
        raise Forbidden("only https on port 443 is asked")
    if not HOST.fullmatch(host) or not may.names(host):
        raise Forbidden("its host is not one of those allowed")
    return Target(read, origin)


def is_public(address: str) -> bool:
    """Whether this IP address is on the public Internet, and is not another address in disguise."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.scope_id is None and ip in OPEN_V6 and not any(ip in net for net in CLOSED_V6)
    return not any(ip in net for net in CLOSED_V4)


class Checked(AbstractResolver):
    """Asks another resolver, and gives its answer only if every address in it may be asked."""

    def __init__(self, inner: AbstractResolver, may: Allowed) -> None:
        self.inner = inner
        self.inside = {urlsplit(origin).hostname for origin in may.origins}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self.inner.resolve(host, port, family)
        if host not in self.inside and not all(is_public(one["host"]) for one in found):
            raise Forbidden("its name leads to an address that is not public")
        return found

    async def close(self) -> None:
        await self.inner.close()


class Outbound:
    """A client with connections of its own. `resolver`: another one than the system's, for tests."""

    def __init__(
        self, may: Allowed, *, connections: int = 100, idle: float = 15.0, resolver: AbstractResolver | None = None
    ) -> None:
        self.may = may
        self.connections = connections
        self.idle = idle
        self.resolver = resolver
        self.session: aiohttp.ClientSession | None = None
        self.inside: set[tuple[str, int]] = set()

    def opened(self) -> aiohttp.ClientSession:
        """Made with the first request: it belongs to the loop that runs then."""
        if self.session is None:
            checked = Checked(self.resolver or aiohttp.ThreadedResolver(), self.may)
            connector = aiohttp.TCPConnector(
                resolver=checked,
                use_dns_cache=False,
                limit=self.connections,
                keepalive_timeout=self.idle,
                socket_factory=self.socket,
            )
            self.session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=None),
                max_line_size=8190,
                max_field_size=8190,
            )
        return self.session

    def socket(self, found: aiohttp.AddrInfoType) -> socket.socket:
        """The last look, at the address that is really connected to."""
        family, kind, proto, _, place = found
        host, port = str(place[0]), int(place[1])
        if not is_public(host) and not self.is_named(host, port):
            raise Forbidden("it leads to an address that is not public")
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        return made

    def is_named(self, host: str, port: int) -> bool:
        """Whether the operator named an origin by which this may be an address of: by number, or by a name."""
        for origin in self.may.origins:
            parts = urlsplit(origin)
            usual = 443 if parts.scheme == "https" else 80
            numbered = re.fullmatch(r"[0-9.]+|.*:.*", parts.hostname or "")
            if port == (parts.port or usual) and (parts.hostname == host or not numbered):
                return True
        return False

    @asynccontextmanager
    async def posted(
        self, to: Target, headers: Mapping[str, str], body: aiohttp.Payload
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """POST, once."""
        points.reached("before_connect")
        async with self.opened().post(
            to.url, data=body, headers=headers, allow_redirects=False, skip_auto_headers=("User-Agent", "Accept")
        ) as response:
            yield response

    async def close(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            await session.close()


async def read(response: aiohttp.ClientResponse, most: int = MOST_READ) -> Answer:
    """The answer, and of its body no more than `most` bytes: behind them the line is dropped. The status stands,
    whatever becomes of the body."""
    body = bytearray()
    try:
        async for part in response.content.iter_any():
            body += part
            if len(body) > most:
                response.close()
                break
    except aiohttp.ClientError:
        response.close()
    return Answer(response.status, response.headers, bytes(body[:most]))
