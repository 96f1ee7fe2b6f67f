"""One request over HTTP that is never repeated, and exactly what is known of it when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload

from channels import points

LARGEST = 64 * 1024
"""Bytes of an answer that are read."""
IDLE = 15.0
"""Seconds an unused connection is kept: less than any server does, so that no request meets a closing one."""
LONGEST_REST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is empty where it was no JSON object."""

    status: int
    body: Mapping[str, Any]
    after: timedelta | None = None
    """Retry-After (RFC 9110 section 10.2.3)."""


class Unanswered(Exception):
    """No answer that could be read. `written`: the request may have arrived. Says what happened, and no address."""

    def __init__(self, because: str, *, written: bool) -> None:
        super().__init__(because)
        self.written = written


class NotLeft(Exception):
    """The gate said no right before the first byte, or failed (then that is the cause); nothing has left."""


Gate = Callable[[], Awaitable[bool]]


class Asking(BytesPayload):
    """A body that asks whether it may leave. The headers wait in the writer for it, so until then no byte has left."""

    def __init__(self, value: bytes, content_type: str, gate: Gate) -> None:
        super().__init__(value, content_type=content_type)
        self.gate = gate
        self.written = self.refused = False
        self.broken: Exception | None = None

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        try:
            open_ = await self.gate()
        except Exception as error:
            self.broken, open_ = error, False
        if not open_:
            self.refused = True
            raise NotLeft
        self.written = True
        await super().write_with_length(writer, content_length)
        points.reached("dot_written")


class Client:
    """A pool of connections to one provider. Time-outs are ours; no redirect is followed, no cookie kept, no proxy of
    the environment asked."""

    def __init__(
        self, headers: Mapping[str, str], *, connections: int, connect_within: timedelta, answer_within: timedelta
    ) -> None:
        self.headers = {"Accept": "application/json", **headers}
        self.connections = connections
        self.connect_within = connect_within.total_seconds()
        self.answer_within = answer_within.total_seconds()
        self.session: aiohttp.ClientSession | None = None
        self.closed = False

    async def post(
        self, url: str, body: bytes, content_type: str, gate: Gate, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Once. `gate` is asked with a connection in hand. Raises `Unanswered` or `NotLeft`."""
        asking = Asking(body, content_type, gate)
        points.reached("before_connect")
        try:
            async with asyncio.timeout(self.connect_within + self.answer_within):
                return await self._asked("POST", url, asking, headers)
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            if asking.refused:
                raise NotLeft from asking.broken
            raise Unanswered(_told(error), written=asking.written) from None
        except asyncio.CancelledError:
            if asking.written:
                raise Unanswered("stopped while waiting for the answer", written=True) from None
            raise

    async def get(self, url: str) -> Answer:
        """Raises `Unanswered`."""
        try:
            async with asyncio.timeout(self.connect_within + self.answer_within):
                return await self._asked("GET", url, None, None)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unanswered(_told(error), written=True) from None

    async def _asked(self, method: str, url: str, body: Asking | None, headers: Mapping[str, str] | None) -> Answer:
        async with self._session().request(
            method, url, data=body, headers={**self.headers, **(headers or {})}, allow_redirects=False
        ) as answer:
            raw = b""
            async for piece in answer.content.iter_chunked(LARGEST):
                raw += piece
                if len(raw) > LARGEST:
                    break
            after = _after(answer.headers.get("Retry-After", ""), answer.headers.get("Date", ""))
            return Answer(answer.status, _object(raw), after)

    def _session(self) -> aiohttp.ClientSession:
        if self.closed:
            raise aiohttp.ClientConnectionError("closed")
        if self.session is None:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self.connections, keepalive_timeout=IDLE),
                timeout=aiohttp.ClientTimeout(total=None, connect=self.connect_within, sock_read=self.answer_within),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self.session

    async def close(self) -> None:
        self.closed = True
        if self.session is not None:
            await self.session.close()


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _after(text: str, date: str) -> timedelta | None:
    """Seconds, or a date, counted from the answer's own; never longer than an hour."""
    if text.strip().isdigit() and len(text) < 10:
        return min(timedelta(seconds=int(text)), LONGEST_REST)
    try:
        span = parsedate_to_datetime(text).astimezone(UTC) - parsedate_to_datetime(date).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return min(max(span, timedelta()), LONGEST_REST)


def _told(error: BaseException) -> str:
    """Its kind only: what it says may hold the address that was asked for."""
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
