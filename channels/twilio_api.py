"""Twilio's REST API, as far as texts need it: one POST that is never repeated, one GET, and who signed a request to us.

Of the library `twilio` only the validator of signatures is used at run time: its client for asyncio waits for ever and
repeats a POST on errors after which the text may have been taken. Paths, parameters and words are the library's; a test
holds them against it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload

PATH = "/2010-04-01/Accounts/{account}/Messages.json"
FORM = "application/x-www-form-urlencoded"
LARGEST = 64 * 1024
"""Bytes of an answer that are read; Twilio's have some two thousand."""
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

    @property
    def code(self) -> int:
        """Twilio's own number of what went wrong; 0 where it names none."""
        code = self.body.get("code")
        return code if isinstance(code, int) and not isinstance(code, bool) else 0


class Unanswered(Exception):
    """No answer that could be read. `written`: the request may have arrived. Says what happened, and no address."""

    def __init__(self, because: str, *, written: bool) -> None:
        super().__init__(because)
        self.written = written


class NotLeft(Exception):
    """`gate` said no right before the first byte; nothing has left."""


Gate = Callable[[], Awaitable[bool]]


class Asking(BytesPayload):
    """A body that asks whether it may leave. The headers wait in the writer for it, so until then no byte has left."""

    def __init__(self, value: bytes, gate: Gate) -> None:
        super().__init__(value, content_type=FORM)
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


class Api:
    """One account at Twilio, with a pool of connections. Time-outs are ours."""

    def __init__(
        self, base_url: str, account: str, login: tuple[str, str], *, connections: int, connect_within: timedelta,
        answer_within: timedelta,
    ) -> None:  # fmt: skip
        self.url = base_url.rstrip("/") + PATH.format(account=account)
        self.headers = {"Authorization": aiohttp.encode_basic_auth(*login), "Accept": "application/json"}
        self.connections = connections
        self.connect_within = connect_within.total_seconds()
        self.answer_within = answer_within.total_seconds()
        self.session: aiohttp.ClientSession | None = None
        self.closed = False

    async def create(self, form: Mapping[str, str], gate: Gate) -> Answer:
        """POST once. Raises `Unanswered`, or `NotLeft` when the gate said no, or failed (then with its error)."""
        body = Asking(urlencode(form).encode(), gate)
        try:
            async with asyncio.timeout(self.connect_within + self.answer_within):
                return await self._asked("POST", self.url, body)
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            if body.refused:
                raise NotLeft from body.broken
            raise Unanswered(_told(error), written=body.written) from None
        except asyncio.CancelledError:
            if body.written:
                raise Unanswered("stopped while waiting for the answer", written=True) from None
            raise

    async def sent_to(self, number: str, most: int = 50) -> Answer:
        """GET what was sent to this number, newest first. Raises `Unanswered`."""
        query = urlencode({"To": number, "PageSize": str(most)})
        try:
            async with asyncio.timeout(self.connect_within + self.answer_within):
                return await self._asked("GET", f"{self.url}?{query}", None)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unanswered(_told(error), written=True) from None

    async def _asked(self, method: str, url: str, body: Asking | None) -> Answer:
        async with self._session().request(
            method, url, data=body, headers=self.headers, allow_redirects=False
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


def is_signed(token: str, url: str, params: Mapping[str, list[str]] | str, signature: str, settings: str) -> bool:
    """Whether whoever knows the token asked for exactly this address with exactly this (all of its parameters, or the
    raw body where that is JSON). `settings`: the header X-Twilio-Webhooks-Signature-Settings."""
    from twilio.request_validator import RequestValidator, get_signature_algorithm  # noqa: PLC0415

    if "bodySHA256=" not in url and isinstance(params, str):
        return False
    known = params if isinstance(params, str) else Params(params)
    return bool(RequestValidator(token).validate(url, known, signature, get_signature_algorithm(settings)))


class Params(dict[str, Any]):
    """Names that come more than once keep all their values, in the form that the validator asks for."""

    def getlist(self, name: str) -> list[str]:
        return list(self[name])
