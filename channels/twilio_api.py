"""Twilio's REST API, as far as texts need it: one POST that is never repeated, one GET, and who signed a request to us.

Of the library `twilio` only the validator of signatures is used at run time: its client for asyncio waits for ever and
repeats a POST on errors after which the text may have been taken. Paths, parameters and words are the library's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp

from channels.http import Answer, Client, Gate

PATH = "/2010-04-01/Accounts/{account}/Messages.json"
FORM = "application/x-www-form-urlencoded"


def code_of(answer: Answer) -> int:
    """Twilio's own number of what went wrong; 0 where it names none."""
    code = answer.body.get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) else 0


class Api:
    """One account at Twilio."""

    def __init__(
        self, base_url: str, account: str, login: tuple[str, str], *, connections: int, connect_within: timedelta,
        answer_within: timedelta,
    ) -> None:  # fmt: skip
        self.url = base_url.rstrip("/") + PATH.format(account=account)
        self.client = Client(
            {"Authorization": aiohttp.encode_basic_auth(*login)},
            connections=connections,
            connect_within=connect_within,
            answer_within=answer_within,
        )

    async def create(self, form: Mapping[str, str], gate: Gate) -> Answer:
        """POST once. Raises `Unanswered`, or `NotLeft` when the gate said no, or failed (then with its error)."""
        return await self.client.post(self.url, urlencode(form).encode(), FORM, gate)

    async def sent_to(self, number: str, most: int = 50) -> Answer:
        """GET what was sent to this number, newest first. Raises `Unanswered`."""
        return await self.client.get(f"{self.url}?{urlencode({'To': number, 'PageSize': str(most)})}")

    @property
    def closed(self) -> bool:
        return self.client.closed

    async def close(self) -> None:
        await self.client.close()


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
