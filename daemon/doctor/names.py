"""What the DNS says: text records, mail hosts, addresses. Not to be had and not there are two answers."""

from __future__ import annotations

from typing import Any

import dns.asyncresolver
import dns.exception
import dns.resolver

PATIENCE = 8.0
"""Seconds for one name, all name servers tried."""


class Offline(Exception):
    """No name server answers: nothing can be said of any name."""


class Names:
    """A resolver. `servers` empty: the system's; `port` for name servers of one's own."""

    def __init__(self, servers: tuple[str, ...] = (), port: int = 53) -> None:
        self._servers, self._port = servers, port
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def texts(self, name: str) -> list[str]:
        """The TXT records, each with its strings joined (RFC 7208 section 3.3). Empty: there are none, or no such name.
        Raises Offline."""
        answer = await self._ask(name, "TXT")
        return [b"".join(row.strings).decode("utf-8", "replace") for row in answer]

    async def hosts(self, name: str) -> list[str]:
        """The mail exchangers, best first. Raises Offline."""
        rows = sorted(await self._ask(name, "MX"), key=lambda row: row.preference)
        return [str(row.exchange).rstrip(".").lower() for row in rows]

    async def addresses(self, name: str) -> list[str]:
        """IPv4 and IPv6. Raises Offline."""
        return [row.address for kind in ("A", "AAAA") for row in await self._ask(name, kind)]

    async def _ask(self, name: str, kind: str) -> list[Any]:
        try:
            answer = await self._at_hand().resolve(name, kind, lifetime=PATIENCE, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.YXDOMAIN):
            return []
        except (dns.resolver.NoResolverConfiguration, dns.exception.DNSException, OSError) as error:
            raise Offline(f"the DNS gave no answer about {name} ({type(error).__name__})") from error
        return list(answer)

    def _at_hand(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                self._resolver.nameservers, self._resolver.port = list(self._servers), self._port
        return self._resolver
