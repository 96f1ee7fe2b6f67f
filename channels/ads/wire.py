"""One call to an ad platform: within a time and a size, never redirected, past any proxy of the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerTimeoutError,
)
from yarl import URL

from channels.base import Misconfigured, Retry, Unclear

LARGEST = 256 * 1024
"""Octets of an answer that are read."""
PATIENCE = 30.0
"""Seconds for a whole call."""
CONNECT = 10.0
LONGEST_REST = timedelta(hours=1)
"""What a platform asks for beyond that is cut: the people who have to leave do not wait longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is empty where it was no JSON object."""

    status: int
    body: Mapping[str, Any]
    after: timedelta | None = None
    """When to ask again, where the platform says so (RFC 9110 section 10.2.3, in seconds)."""


class Wire:
    """One platform's address. Connections open with the first call. No sentence of an error holds what was sent."""

    def __init__(self, name: str, patience: float = PATIENCE) -> None:
        self.name = name
        self.patience = patience
        self.session: ClientSession | None = None

    async def call(
        self,
        method: str,
        url: str,
        *,
        token: str = "",
        form: Mapping[str, str] | None = None,
        value: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any answer that came whole. Raises Retry (no connection) or Unclear (no answer to be trusted, or a 5xx)."""
        if self.session is None:
            self.session = ClientSession(cookie_jar=DummyCookieJar(), trust_env=False)
        headers = {"Accept": "application/json", "User-Agent": "tillbell"}
        data: Mapping[str, str] | BytesIO | None = form
        if value is not None:  # as a file: aiohttp takes nothing large in one piece
            headers["Content-Type"] = "application/json"
            data = BytesIO(json.dumps(value, separators=(",", ":")).encode())
        if token:
            headers["Authorization"] = f"Bearer {token}"
        wait = ClientTimeout(total=self.patience, connect=min(CONNECT, self.patience))
        try:
            async with self.session.request(
                method,
                URL(url).update_query(query or {}),
                data=data,
                headers=headers,
                timeout=wait,
                allow_redirects=False,
            ) as answer:
                return await self._read(answer)
        except ClientConnectorError as error:
            raise Retry(f"{self.name} is out of reach: {type(error).__name__}", code="away") from None
        except ServerTimeoutError:
            raise Retry(f"{self.name} is out of reach: no connection in time", code="away") from None
        except TimeoutError:
            raise Unclear(f"{self.name}: no whole answer within {self.patience:g} s", code="timeout") from None
        except (ClientError, OSError, ValueError) as error:
            raise Unclear(f"{self.name}: {type(error).__name__}", code="broken") from None

    async def _read(self, answer: ClientResponse) -> Answer:
        raw = bytearray()
        async for piece in answer.content.iter_any():
            raw += piece
            if len(raw) > LARGEST:
                raise Unclear(f"{self.name}: an answer of more than {LARGEST} octets", code="too_large")
        if 300 <= answer.status < 400:
            raise Misconfigured(
                f"{self.name}: redirected ({answer.status}); is its address right?", code=str(answer.status)
            )
        body = _object(bytes(raw))
        if answer.status >= 500:
            raise Unclear(f"{self.name}: answered {answer.status}", code=str(answer.status))
        if answer.status < 300 and body is None:
            raise Unclear(f"{self.name}: an answer that is no JSON object", code="unreadable")
        return Answer(answer.status, body or {}, _after(answer.headers.get("Retry-After", "")))

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
            self.session = None


def _object(raw: bytes) -> Mapping[str, Any] | None:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _after(text: str) -> timedelta | None:
    return min(timedelta(seconds=int(text)), LONGEST_REST) if text.isdecimal() and len(text) < 9 else None


def number(value: object, default: int) -> int:
    """A number that may have come as text, as Graph answers write ids and counts."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return default
    try:
        return int(value)
    except ValueError:
        return default
