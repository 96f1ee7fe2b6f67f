"""A push service on this machine: strict about what it is given, with pretend browsers, and with real ones (Firefox).

RFC 8030 for whoever sends, RFC 8292 for who that is, and for a real browser the websocket protocol of autopush.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import http_ece
from aiohttp import WSMsgType, web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LARGEST = 4096
DAY = 86400


def text64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Browser:
    """A pretend one: it reads what it is sent, and shows one notification for each tag, as real ones do."""

    endpoint: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    secret: bytes = field(repr=False)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def p256dh(self) -> str:
        return text64(self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    @property
    def auth(self) -> str:
        return text64(self.secret)

    def takes(self, body: bytes) -> None:
        plain = http_ece.decrypt(body, private_key=self.private, auth_secret=self.secret, version="aes128gcm")
        notice = json.loads(plain)
        self.shown[notice.get("tag") or secrets.token_hex(4)] = notice


@dataclass
class Pushed:
    """One request that was taken."""

    channel: str
    ttl: int
    topic: str
    urgency: str
    body: bytes


@dataclass
class Subscription:
    key: str
    """Who may push: the public key that the page subscribed with; empty: anybody."""
    browser: Browser | None = None
    line: web.WebSocketResponse | None = None
    waiting: dict[str, Pushed] = field(default_factory=dict)
    """What the browser could not be given yet, by topic."""


Mood = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""Answers in its own way, or None to leave it to the service."""


class PushService:
    """`taken` is what it said 201 to. `now`: seconds since 1970, for the signatures."""

    def __init__(self, now: Callable[[], float], mood: Mood | None = None) -> None:
        self.now = now
        self.mood = mood
        self.taken: list[Pushed] = []
        self.refused: list[int] = []
        self.signatures: set[str] = set()
        self.subscriptions: dict[str, Subscription] = {}
        self.ended: set[str] = set()
        self.hello = asyncio.Event()
        """A real browser has said hello: only from then on may it subscribe."""
        self.url = ""
        self.runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=LARGEST * 16)
        app.router.add_get("/", self.line)
        app.router.add_post("/push/{channel}", self.push)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def close(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()

    def endpoint(self, channel: str) -> str:
        return f"{self.url}/push/{channel}"

    def browser(self, key: str = "") -> Browser:
        """A new pretend browser that subscribed with this public key."""
        channel = uuid.uuid4().hex
        made = Browser(self.endpoint(channel), ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16))
        self.subscriptions[channel] = Subscription(key, browser=made)
        return made

    def end(self, endpoint: str) -> None:
        """This subscription is over: 410 from now on."""
        channel = endpoint.rpartition("/")[2]
        self.subscriptions.pop(channel, None)
        self.ended.add(channel)

    async def push(self, request: web.Request) -> web.StreamResponse:
        if self.mood is not None and (answer := await self.mood(request)) is not None:
            return answer
        channel = request.match_info["channel"]
        status = await self.judged(request, channel)
        if status != 201:
            self.refused.append(status)
            return web.Response(status=status)
        body = await request.read()
        headers = request.headers
        pushed = Pushed(channel, int(headers["TTL"]), headers.get("Topic", ""), headers.get("Urgency", "normal"), body)
        self.taken.append(pushed)
        await self.give(self.subscriptions[channel], pushed)
        return web.Response(status=201, headers={"Location": f"{self.url}/message/{uuid.uuid4().hex}"})

    async def judged(self, request: web.Request, channel: str) -> int:
        """The status that a push service would say."""
        known = self.subscriptions.get(channel)
        if known is None:
            return 410 if channel in self.ended else 404
        key = self.signed_by(request.headers.get("Authorization", ""))
        if not key:
            return 401
        if known.key and known.key != key:
            return 403
        body = await request.read()
        if len(body) > LARGEST:
            return 413
        headers = request.headers
        topic = headers.get("Topic", "")
        fits = headers.get("TTL", "").isdigit() and headers.get("Content-Encoding") == "aes128gcm"
        return 201 if fits and len(topic) <= 32 and set(topic) <= ALPHABET else 400

    def signed_by(self, header: str) -> str:
        """The public key of a good signature that is meant for us; empty for any other."""
        try:
            scheme, _, rest = header.partition(" ")
            parts = dict(part.strip().split("=", 1) for part in rest.split(","))
            signed, _, signature = parts["t"].rpartition(".")
            claims = json.loads(bytes64(signed.split(".")[1]))
            raw = bytes64(signature)
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes64(parts["k"]))
            both = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            public.verify(both, signed.encode(), ec.ECDSA(hashes.SHA256()))
            mine = claims["aud"] == self.url and self.now() < claims["exp"] <= self.now() + DAY
            reachable = claims["sub"].startswith(("mailto:", "https://"))
        except (ValueError, KeyError, IndexError, InvalidSignature):
            return ""
        self.signatures.add(signature)
        return parts["k"] if scheme == "vapid" and mine and reachable and len(raw) == 64 else ""

    async def give(self, to: Subscription, pushed: Pushed) -> None:
        if to.browser is not None:
            to.browser.takes(pushed.body)
        elif to.line is not None and not to.line.closed:
            await to.line.send_json(
                {
                    "messageType": "notification",
                    "channelID": str(uuid.UUID(pushed.channel)),
                    "version": uuid.uuid4().hex,
                    "data": text64(pushed.body),
                    "headers": {"encoding": "aes128gcm"},
                }
            )
        elif pushed.ttl:
            to.waiting[pushed.topic or uuid.uuid4().hex] = pushed

    async def line(self, request: web.Request) -> web.WebSocketResponse:
        """A real browser's line to us."""
        line = web.WebSocketResponse(protocols=("push-notification",))
        await line.prepare(request)
        async for said in line:
            if said.type is WSMsgType.TEXT:
                await self.answer(line, json.loads(said.data))
        return line

    async def answer(self, line: web.WebSocketResponse, said: dict[str, Any]) -> None:
        match said.get("messageType", "ping"):
            case "hello":
                known = {"uaid": said.get("uaid") or uuid.uuid4().hex, "status": 200}
                await line.send_json({"messageType": "hello", "use_webpush": True, "broadcasts": {}, **known})
                for one in [one for one in self.subscriptions.values() if one.browser is None]:
                    one.line = line
                    for pushed in [one.waiting.pop(topic) for topic in list(one.waiting)]:
                        await self.give(one, pushed)
                self.hello.set()
            case "register":
                channel = uuid.UUID(said["channelID"]).hex
                self.subscriptions[channel] = Subscription((said.get("key") or "").rstrip("="), line=line)
                told = {"channelID": said["channelID"], "status": 200, "pushEndpoint": self.endpoint(channel)}
                await line.send_json({"messageType": "register", **told})
            case "unregister":
                self.end(uuid.UUID(said["channelID"]).hex)
                told = {"channelID": said["channelID"], "status": 200}
                await line.send_json({"messageType": "unregister", **told})
            case "ping":
                await line.send_str("{}")


ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
