"""Asks a shop for JSON: within a time and a size, signed, never redirected, past any proxy of the environment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar
from standardwebhooks import Webhook
from yarl import URL

from daemon.clock import machine_now
from daemon.shops.base import ShopUnavailable
from daemon.shops.wire import json_value

LARGEST = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` is None when nothing changed since `etag` (304)."""

    value: Any
    etag: str
    date: datetime | None
    """The server's clock, from its Date header."""


class Fetch:
    """One shop's base address with what it takes to be let in. Connections open at the first question."""

    def __init__(self, url: str, token: str, signer: Webhook | None, patience: float) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.signer = signer
        self.patience = patience
        self.session: ClientSession | None = None

    async def get(self, path: str, query: Mapping[str, str], etag: str = "") -> Answer:
        """GET. `etag`: what an earlier answer to this very question carried. Raises ShopUnavailable."""
        url = URL(self.url + path).with_query(query)
        return await self._ask("GET", url, b"", {"If-None-Match": etag} if etag else {})

    async def post(self, path: str, value: Mapping[str, Any]) -> Answer:
        """POST, for questions with addresses in them: they belong in no access log. Raises ShopUnavailable."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return await self._ask("POST", URL(self.url + path), body, {"Content-Type": "application/json"})

    async def close(self) -> None:
        """Let go of connections."""
        if self.session is not None:
            await self.session.close()
            self.session = None

    async def _ask(self, method: str, url: URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self.session is None:
            self.session = ClientSession(cookie_jar=DummyCookieJar(), trust_env=False)
        sent = {"Accept": "application/json", "User-Agent": "tillbell", **headers, **self._entitled(method, url, body)}
        wait = ClientTimeout(total=self.patience, connect=min(self.patience, 5.0))
        where = f"{method} {url.path}"
        try:
            async with self.session.request(
                method, url, data=body or None, headers=sent, timeout=wait, allow_redirects=False
            ) as answer:
                return await _read(answer, where, asked_etag=headers.get("If-None-Match", ""))
        except TimeoutError:
            raise ShopUnavailable(f"{where}: no whole answer within {self.patience:g} s") from None
        except (ClientError, OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise ShopUnavailable(f"{where}: {type(error).__name__}: {str(error)[:200]}") from error

    def _entitled(self, method: str, url: URL, body: bytes) -> dict[str, str]:
        """Bearer token (RFC 6750), or a Standard Webhooks signature over `METHOD path?query`, a line feed, the body."""
        if self.signer is None:
            return {"Authorization": f"Bearer {self.token}"}
        id, now = uuid4().hex, machine_now()
        signed = f"{method} {url.raw_path_qs}\n{body.decode()}"
        return {
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self.signer.sign(id, now, signed),
        }


async def _read(answer: ClientResponse, where: str, asked_etag: str) -> Answer:
    etag, date = answer.headers.get("ETag", ""), _date(answer.headers.get("Date", ""))
    if answer.status == 304 and asked_etag:
        return Answer(None, asked_etag, date)
    if 300 <= answer.status < 400:
        raise ShopUnavailable(f"{where}: redirected ({answer.status}); write the address that it leads to")
    if answer.status in (401, 403):
        raise ShopUnavailable(f"{where}: not let in ({answer.status}); is the token or the signing key the shop's?")
    if answer.status != 200:
        raise ShopUnavailable(f"{where}: answered {answer.status} {answer.reason or ''}".rstrip())
    if answer.content_type != "application/json" and not answer.content_type.endswith("+json"):
        raise ShopUnavailable(f"{where}: answered {answer.content_type} instead of application/json")
    if (answer.content_length or 0) > LARGEST:
        raise ShopUnavailable(f"{where}: more than {LARGEST} bytes in one answer; give smaller pages")
    raw = bytearray()
    async for part in answer.content.iter_any():
        raw += part
        if len(raw) > LARGEST:
            raise ShopUnavailable(f"{where}: more than {LARGEST} bytes in one answer; give smaller pages")
    try:
        return Answer(json_value(bytes(raw)), etag if len(etag) <= 200 else "", date)
    except ValueError as error:
        raise ShopUnavailable(f"{where}: {error}") from None


def _date(text: str) -> datetime | None:
    """RFC 9110 section 6.6.1; None where there is none."""
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else None


def checked_base(url: str) -> str:
    """An address to which tokens and carts may travel. Raises ValueError with a hint."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a whole address, such as https://shop.example/tillbell")
    if parts.username or parts.query or parts.fragment:
        raise ValueError("must hold no user, query or fragment: paths such as /carts are put behind it")
    if parts.scheme == "http" and not _is_near(parts.hostname):
        raise ValueError("must begin with https:// unless the shop is on this machine or in a private network")
    return url.rstrip("/")


def _is_near(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".internal", ".local", ".test"))
    return address.is_private or address.is_loopback
