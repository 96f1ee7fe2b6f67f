"""A Twilio on this machine: takes texts, lists them, tells of them by signed callbacks, and has every mood."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

ACCOUNT, TOKEN = "AC" + "0" * 32, "loopback-token"
STATUSES = ("queued", "sending", "sent", "delivered")
REFUSALS: Mapping[str, tuple[int, int]] = {
    "unauthorised": (401, 20003),
    "forbidden": (403, 20403),
    "bad number": (400, 21211),
    "landline": (400, 21635),
    "said stop": (400, 21610),
    "no route": (400, 21612),
    "too long": (400, 21617),
    "bad sender": (400, 21606),
    "something new": (400, 21999),
    "server error": (500, 20500),
    "overloaded": (503, 20503),
}
TAKES_ANYHOW = frozenset({"hangs", "resets after", "half an answer", "garbage", "wrong sid", "takes and fails"})
"""Moods in which the text is taken and nobody learns it from the answer."""


@dataclass(slots=True)
class Text:
    """One text that was taken."""

    sid: str
    to: str
    sender: str
    body: str
    form: Mapping[str, str]
    status: str = "queued"
    told: list[int] = field(default_factory=list)
    """What our callbacks were answered with."""

    def as_json(self, account: str) -> dict[str, Any]:
        return {
            "sid": self.sid, "account_sid": account, "to": self.to, "from": self.sender, "body": self.body,
            "status": self.status, "direction": "outbound-api", "num_segments": "1", "error_code": None,
            "messaging_service_sid": self.form.get("MessagingServiceSid"), "date_sent": None,
        }  # fmt: skip


@dataclass(slots=True)
class Twilio:
    """`moods` are those of the next requests, in turn; then `mood` counts."""

    account: str = ACCOUNT
    token: str = TOKEN
    mood: str = "takes it"
    moods: deque[str] = field(default_factory=deque)
    lists: bool = True
    """Whether the list can be read."""
    asked: int = 0
    """How often a text was asked for, also where nothing of it was read."""
    posts: list[Mapping[str, str]] = field(default_factory=list)
    """Every POST that arrived whole, whatever became of it."""
    texts: list[Text] = field(default_factory=list)
    tells: bool = False
    """Whether each text that is taken is told of by callbacks until it is delivered."""
    retry_after: str = "2"
    port: int = 0
    _sids: Any = field(default_factory=lambda: count(1))
    _runner: web.AppRunner | None = None
    _ending: asyncio.Event = field(default_factory=asyncio.Event)
    _http: aiohttp.ClientSession | None = None
    _telling: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        path = f"/2010-04-01/Accounts/{self.account}/Messages.json"
        app.add_routes([web.post(path, self._create), web.get(path, self._list)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._http = aiohttp.ClientSession()

    async def stop(self) -> None:
        self._ending.set()
        for task in [*self._telling]:
            task.cancel()
        if self._http is not None:
            await self._http.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def settled(self) -> None:
        """Until all that is to be told has been told."""
        while self._telling:
            await asyncio.wait([*self._telling])

    def to(self, number: str) -> list[Text]:
        """What was taken for this number, oldest first."""
        return [text for text in self.texts if text.to.removeprefix("whatsapp:") == number]

    async def tell(self, text: Text, status: str, *, code: str = "", token: str = "", **more: str) -> int:
        """A status callback; the status of our answer. `token`: another key, as a forger would have."""
        form = {"AccountSid": self.account, "MessageSid": text.sid, "MessageStatus": status, "SmsSid": text.sid,
                "SmsStatus": status, "To": text.to, "From": text.sender, "ApiVersion": "2010-04-01",
                **({"ErrorCode": code} if code else {}), **more}  # fmt: skip
        answer = await self.call(text.form["StatusCallback"], form, token=token)
        text.told.append(answer)
        return answer

    async def writes(self, url: str, number: str, body: str, *, to: str, token: str = "", **more: str) -> int:
        """Somebody writes to one of our senders; the status of our answer."""
        sid = self._sid()
        form = {"AccountSid": self.account, "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "From": number,
                "To": to, "Body": body, "NumMedia": "0", "NumSegments": "1", "SmsStatus": "received",
                "ApiVersion": "2010-04-01", "FromCountry": "", **more}  # fmt: skip
        return await self.call(url, form, token=token)

    async def call(self, url: str, form: Mapping[str, str], *, token: str = "") -> int:
        from twilio.request_validator import RequestValidator  # noqa: PLC0415

        signature = RequestValidator(token or self.token).compute_signature(url, dict(form))
        assert self._http is not None
        async with self._http.post(url, data=form, headers={"X-Twilio-Signature": signature}) as answer:
            await answer.read()
            return answer.status

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        mood = self.moods.popleft() if self.moods else self.mood
        if mood == "resets before":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        form = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        self.posts.append(form)
        if not self._knows(request):
            return _refusal(401, 20003)
        if mood == "busy":
            return _refusal(429, 20429, {"Retry-After": self.retry_after})
        if mood == "busy until":
            return _refusal(
                429, 20429, {"Date": formatdate(0, usegmt=True), "Retry-After": formatdate(90, usegmt=True)}
            )
        if mood in REFUSALS:
            return _refusal(*REFUSALS[mood])
        if not form.get("To"):
            return _refusal(400, 21604)
        text = self._taken(form)
        return (
            await self._moody(mood, request, text)
            if mood in TAKES_ANYHOW
            else web.json_response(text.as_json(self.account), status=201)
        )

    async def _moody(self, mood: str, request: web.Request, text: Text) -> web.StreamResponse:
        assert request.transport is not None
        if mood == "hangs":
            await self._ending.wait()
        if mood in ("hangs", "resets after"):
            request.transport.abort()
            return web.Response()
        if mood == "half an answer":
            whole = json.dumps(text.as_json(self.account)).encode()
            response = web.StreamResponse(status=201, headers={"Content-Length": str(len(whole))})
            await response.prepare(request)
            await response.write(whole[: len(whole) // 2])
            request.transport.close()
            return response
        if mood == "garbage":
            return web.Response(text="<html>created</html>", status=201, content_type="text/html")
        if mood == "wrong sid":
            return web.json_response({**text.as_json(self.account), "sid": "CA" + text.sid[2:]}, status=201)
        return _refusal(500, 20500)

    def _taken(self, form: Mapping[str, str]) -> Text:
        sender = form.get("From") or form.get("MessagingServiceSid", "")
        body = form.get("Body") or " ".join(json.loads(form.get("ContentVariables", "{}")).values())
        text = Text(self._sid(), form["To"], sender, body, form)
        self.texts.append(text)
        if self.tells and form.get("StatusCallback"):
            task = asyncio.create_task(self._tell_all(text))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
        return text

    async def _tell_all(self, text: Text) -> None:
        for status in STATUSES[1:]:
            text.status = status
            await self.tell(text, status)

    def _sid(self) -> str:
        return f"SM{next(self._sids):032x}"

    async def _list(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return _refusal(401, 20003)
        if not self.lists:
            return _refusal(503, 20503)
        size = int(request.query.get("PageSize", "50"))
        found = [text for text in reversed(self.texts) if text.to == request.query.get("To", text.to)]
        return web.json_response({"messages": [one.as_json(self.account) for one in found[:size]], "page": 0})

    def _knows(self, request: web.Request) -> bool:
        login = base64.b64encode(f"{self.account}:{self.token}".encode()).decode()
        return request.headers.get("Authorization", "") == f"Basic {login}"


def _refusal(status: int, code: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """In Twilio's form; as there, the sentence names the number."""
    told = {"code": code, "message": f"refused ({code})", "more_info": "", "status": status}
    return web.json_response(told, status=status, headers=headers)
