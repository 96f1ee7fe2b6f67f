"""Web push, straight to the browser's push service (RFC 8030)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import localtime, parsedate_to_datetime
from typing import ClassVar

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from channels.base import (
    Asked,
    Channel,
    Found,
    MayLeave,
    Message,
    Misconfigured,
    Push,
    Receipt,
    Refused,
    Retry,
    Unclear,
    Withheld,
)
from channels.http import Asking, NotLeft
from channels.outbound import Allowed, Answer, Forbidden, Outbound, Target, allowed, read, target
from channels.webpush_bytes import BadKey, Signer, sealed, signer

FIRST_BYTE = 1.0
"""Seconds within which a place in the line has to be free; else the message is given back."""
CONNECT = 5.0
"""Seconds for name, connection and TLS."""
LIVES = timedelta(hours=12)
"""How long a push service may believe a signature; RFC 8292 allows 24 hours."""
RENEWED = timedelta(hours=1)
"""After it an origin gets a new one."""
NO_TIME = timedelta()
ORIGINS = 1000
LONGEST_WAIT = timedelta(days=1)
HOSTS = (
    "fcm.googleapis.com",
    "*.push.services.mozilla.com",
    "*.notify.windows.com",
    "*.push.apple.com",
)
"""The push services of Chrome and its kin, Firefox, Edge, and Safari."""
LONGEST_TTL = timedelta(days=30)
GONE = {404: "the push service does not know this subscription", 410: "the subscription is over"}
OURS = {
    400: "the push service did not understand the request",
    413: "the push is too long for the push service",
}
SENDER = {401: "the push service does not believe our signature", 403: "the key is not the one they subscribed with"}
BUSY = {429: "the push service wants fewer", 503: "the push service is busy"}
TAKEN = (200, 201, 202)


class Config(BaseModel):
    """Who we are to push services, and which are asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    private_key: SecretStr = Field(description="The private key: base64url of 32 bytes.")
    contact: str = Field(
        description="Where push services reach us: mailto: or https:.", pattern="^(mailto:|https://).+$"
    )
    hosts: tuple[str, ...] = Field((), description="Names, `*.names` and origins of further push services.")
    connections: int = Field(100, description="Most requests at once, in this process.", ge=1, le=1000)
    patience: timedelta = Field(timedelta(seconds=10), description="From the first byte to the answer.")

    @field_validator("private_key")
    @classmethod
    def is_a_key(cls, value: SecretStr) -> SecretStr:
        signer(value.get_secret_value())
        return value

    @field_validator("hosts")
    @classmethod
    def are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        allowed(value)
        return value


class WebPush(Channel):
    """One message is one POST. `now` gives the signatures their end."""

    name: ClassVar[str] = "webpush"
    address: ClassVar[str] = "push"
    looks_up: ClassVar[bool] = True

    def __init__(
        self, config: Config, *, now: Callable[[], datetime] = localtime, outbound: Outbound | None = None
    ) -> None:
        self.config = config
        self.may = hosts_of(config.hosts)
        self.outbound = outbound or Outbound(self.may, connections=config.connections)
        self.identity = Identity(signer(config.private_key.get_secret_value()), config.contact, now)
        self.now = now
        self.free = asyncio.Semaphore(config.connections)
        self.under_way = 0
        self.closed = False
        self.left: set[tuple[int, int, int]] = set()

    @property
    def public_key(self) -> str:
        """What a page gives the browser as `applicationServerKey`."""
        return self.identity.signer.public

    def ready(self) -> int:
        return 0 if self.closed else self.config.connections - self.under_way

    def longest(self) -> timedelta:
        return timedelta(seconds=FIRST_BYTE + CONNECT) + self.config.patience

    def may_have_left(self, message: Message) -> bool:
        return key(message) in self.left

    async def look_up(self, asked: Asked) -> Found:  # noqa: ARG002
        """No push service can be asked. But the same Topic replaces what waits there, and the same tag what is shown:
        so to send it once more shows it once, and it counts as absent."""
        return Found("absent")

    async def close(self) -> None:
        self.closed = True
        await self.outbound.close()

    async def send(self, message: Message, may_leave: MayLeave) -> Receipt:
        """Asks `may_leave` before a connection is taken, and again with it in hand, before the body."""
        request = self.request(message)
        await self.enter()
        self.under_way += 1
        try:
            answer = await Trip(self, message, request, may_leave).made()
        finally:
            self.under_way -= 1
            self.free.release()
        return verdict(answer, self.now())

    async def enter(self) -> None:
        """A place in the line, which has to be free within a second."""
        if self.closed:
            raise Withheld("the channel is closed")
        try:
            async with asyncio.timeout(FIRST_BYTE):
                await self.free.acquire()
        except TimeoutError:
            raise Withheld("too late for the first byte") from None
        except asyncio.CancelledError:
            raise Withheld("stopped before the first byte") from None

    def request(self, message: Message) -> Request:
        """What is to be sent, before anything is asked. Raises `Refused`: nothing else could be sent there."""
        push = message.content
        assert isinstance(push, Push)
        try:
            to = target(message.address, self.may)
            body = sealed(push.payload, push.p256dh, push.auth)
        except Forbidden as error:
            raise Refused(f"the endpoint is not asked: {error}", code="endpoint", gone=True) from None
        except BadKey as error:
            raise Refused(str(error), code="keys", gone=True) from None
        headers = {
            "Authorization": self.identity.header(to.origin),
            "Content-Encoding": "aes128gcm",
            "TTL": str(int(min(max(push.ttl, NO_TIME), LONGEST_TTL).total_seconds())),
            "Urgency": push.urgency,
            **({"Topic": push.topic} if push.topic else {}),
        }
        return Request(to, headers, body)


CHANNEL = WebPush


def hosts_of(more: Sequence[str]) -> Allowed:
    """The push services that are known, and these."""
    return allowed((*HOSTS, *more))


@dataclass(slots=True, repr=False)
class Request:
    to: Target
    headers: dict[str, str]
    body: bytes


class Identity:
    """Signs for each origin once an hour: a signature costs as much as the rest of the encryption."""

    def __init__(self, own: Signer, contact: str, now: Callable[[], datetime]) -> None:
        self.signer = own
        self.contact = contact
        self.now = now
        self.made: OrderedDict[str, tuple[datetime, str]] = OrderedDict()
        self.signatures = 0

    def header(self, origin: str) -> str:
        """The Authorization field; the audience is this origin, whatever was signed before."""
        now = self.now()
        known = self.made.get(origin)
        if known is not None and NO_TIME <= now - known[0] < RENEWED:
            return known[1]
        header = self.signer.header(origin, self.contact, int((now + LIVES).timestamp()))
        self.signatures += 1
        self.made[origin] = (now, header)
        self.made.move_to_end(origin)
        if len(self.made) > ORIGINS:
            self.made.popitem(last=False)
        return header


@dataclass(slots=True)
class Trip:
    """One request, from the first question to the answer."""

    channel: WebPush
    message: Message
    request: Request
    may_leave: MayLeave

    async def made(self) -> Answer:
        limit = asyncio.timeout(CONNECT)

        async def gate() -> bool:
            limit.reschedule(asyncio.get_running_loop().time() + self.channel.config.patience.total_seconds())
            return await self.asked()

        body = Asking(self.request.body, "application/octet-stream", gate)
        try:
            async with limit:
                if not await self.asked():
                    raise NotLeft
                return await self.posted(body)
        except NotLeft:
            raise Withheld("it must not leave any more") from None
        except asyncio.CancelledError:
            raise (Unclear if body.written else Withheld)("stopped") from None
        except Forbidden as error:
            raise Refused(f"the endpoint is not asked: {error}", code="endpoint") from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise failure(error, body) from None
        except BaseException:
            if body.written:
                self.channel.left.add(key(self.message))
            raise

    async def asked(self) -> bool:
        """A gate that fails says no."""
        try:
            return await self.may_leave(self.message)
        except Exception:
            return False

    async def posted(self, body: Asking) -> Answer:
        request = self.request
        async with self.channel.outbound.posted(request.to, request.headers, body) as response:
            try:
                return await read(response)
            except (TimeoutError, asyncio.CancelledError):
                return Answer(response.status, response.headers, b"")


def failure(error: Exception, body: Asking) -> Exception:
    """What a broken connection means depends on whether the body may have been read."""
    if body.refused:
        return Withheld("it must not leave any more")
    what = type(error).__name__
    if body.written:
        return Unclear(f"no answer: {what}", code="no answer")
    return Retry(f"the push service could not be reached: {what}", code="unreachable")


def verdict(answer: Answer, now: datetime) -> Receipt:
    """What the push service said. Its own text is not repeated: it may hold the endpoint."""
    status = answer.status
    code = str(status)
    if status in TAKEN:
        return Receipt()
    if status in GONE:
        raise Refused(GONE[status], code=code, gone=True)
    if status in SENDER:
        raise Misconfigured(SENDER[status], code=code)
    if status in BUSY:
        raise Retry(BUSY[status], code=code, after=wish(answer.headers.get("Retry-After", ""), now))
    if status in OURS or 400 <= status < 500:
        raise Refused(OURS.get(status, "the push service refused it"), code=code)
    if 300 <= status < 400:
        raise Refused("the push service points elsewhere, where nothing is sent", code=code)
    raise Unclear("the push service had a fault of its own", code=code)


def wish(text: str, now: datetime) -> timedelta | None:
    """Retry-After (RFC 9110, 10.2.3): seconds or a date; at most a day. None where there is none to be read."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta()), LONGEST_WAIT)


def key(message: Message) -> tuple[int, int, int]:
    return message.shop_id, message.id, message.fence
