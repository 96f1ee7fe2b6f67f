"""One connection to a mail relay: dialled by aiosmtplib until the login, then ours."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from channels.base import Misconfigured, NotSent, Retry, Unclear
from channels.replies import SAYS, Phase, Reply, refusal
from channels.silence import watch
from channels.wire import Wire, take_over

DIALLING: frozenset[Phase] = frozenset({"connect", "hello", "starttls", "login"})
SILENCE = 20.0
"""Seconds after which a relay whose host says nothing at all is given up, however long its answer may take. What the
system has by then and could not deliver is thrown away: without that it would go on its way when the cable is plugged
in again, up to a quarter of an hour after a purchase."""
PROBES = {"TCP_KEEPIDLE": 8, "TCP_KEEPINTVL": 4, "TCP_KEEPCNT": 3}
"""Whether it is there while we wait for its answer: tcp(7), seconds; `SILENCE` in all."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where the relay is and how to greet it. Spans in seconds."""

    name: str
    port: int
    tls: str
    context: ssl.SSLContext | None
    username: str
    password: str
    greets_as: str
    connect_within: float
    answer_within: float
    silence: float = SILENCE


class Stand(Protocol):
    """How far a dialogue has come: the phase it is in, and whether the final dot has left."""

    phase: Phase
    dotted: bool


class Line:
    """A connection, one writer at a time.

    `broken`: out of step, no further transaction. `soiled`: the relay holds an envelope that must be reset.
    `pending`: a final dot has left and its answer has not come; a relay that offers PIPELINING may be given the next
    envelope meanwhile. `proved`: it has taken an envelope.
    """

    def __init__(self, client: SMTP, host: Host) -> None:
        self.client = client
        self.host = host
        self.wire: Wire | None = None
        self.phase: Phase = "connect"
        self.dotted = self.broken = self.soiled = self.pending = self.proved = self.snubbed = False
        self.born = self.used_at = 0.0
        self.pipelines = self.eight_bit = self.sizes = self.reports = False
        self.size_limit = 0

    @property
    def usable(self) -> bool:
        return not self.broken and self.wire is not None and not self.wire.ended

    @property
    def turned_away(self) -> bool:
        return self.snubbed or (self.wire is not None and self.wire.turned_away)

    def offers(self, extension: str) -> bool:
        return self.client.supports_extension(extension)

    def begin(self) -> None:
        """After the login the dialogue is ours."""
        transport = self.client.transport
        if transport is None:
            raise SMTPServerDisconnected("closed after the greeting")
        watch(transport, PROBES, self.host.silence)
        self.wire = take_over(transport)
        self.pipelines = self.offers("pipelining")
        self.eight_bit = self.offers("8bitmime")
        self.sizes, self.reports = self.offers("size"), self.offers("dsn")
        figure = self.client.esmtp_extensions.get("size", "").strip()
        self.size_limit = int(figure) if figure.isdecimal() else 0  # RFC 1870; 0 where none is named

    def seen(self, reply: Reply) -> Reply:
        """Note what a reply does to the connection that is being dialled: after 421 it is gone."""
        self.snubbed = self.snubbed or reply.code == 421
        self.broken = self.broken or self.snubbed or not 200 <= reply.code < 600
        return reply

    async def reset(self) -> bool:
        """RSET; True when the connection may carry the next transaction."""
        return await self.quick(b"RSET")

    async def lives(self) -> bool:
        """NOOP; True when the relay still listens."""
        return await self.quick(b"NOOP")

    async def quick(self, word: bytes) -> bool:
        try:
            async with asyncio.timeout(self.host.answer_within):
                answer = await self.wire.ask(word) if self.wire else None
        except OSError:
            self.broken = True
        else:
            self.broken = self.broken or answer is None or answer.code != 250
        self.soiled = False
        return self.usable

    async def leave(self) -> None:
        """QUIT, politely but not for long, then let go."""
        try:
            if self.usable and self.wire:
                async with asyncio.timeout(min(2.0, self.host.answer_within)):
                    await self.wire.ask(b"QUIT")
        except OSError:
            pass  # leaving anyway
        finally:
            self.abort()

    def abort(self) -> None:
        """Let go at once."""
        self.broken = True
        if self.wire is not None:
            self.wire.let_go()
            return
        transport = cast("asyncio.WriteTransport | None", self.client.transport)
        self.client.close()
        if transport is not None:
            transport.abort()


async def open_line(host: Host) -> Line:
    """Connect, greet, secure and log in. Raises `Retry` or `Misconfigured`, and leaves nothing open then."""
    client = SMTP(
        hostname=host.name,
        port=host.port,
        use_tls=host.tls == "implicit",
        start_tls=False,
        tls_context=host.context,
        local_hostname=host.greets_as,
        timeout=None,
    )
    line = Line(client, host)
    line.born = asyncio.get_running_loop().time()
    try:
        with classed(line, line):
            await dial(line)
    except BaseException:
        line.abort()
        raise
    return line


async def dial(line: Line) -> None:
    """The phases before the first transaction, each within its time-out."""
    client, host = line.client, line.host
    async with asyncio.timeout(host.connect_within):
        await client.connect()
    async with asyncio.timeout(host.answer_within):
        await greet(line)
        if host.tls == "starttls":
            line.phase = "starttls"
            if not line.offers("starttls"):
                raise Misconfigured("the relay does not offer STARTTLS", code="starttls")
            await client.starttls(timeout=None)
            await greet(line)
        if host.username:
            line.phase = "login"
            await log_in(line)
    line.begin()


async def greet(line: Line) -> None:
    """EHLO, and HELO for a relay that does not know EHLO."""
    line.phase = "hello"
    try:
        await line.client.ehlo(timeout=None)
    except SMTPHeloError as error:
        if error.code not in (500, 502, 504):
            raise
        await line.client.helo(timeout=None)


async def log_in(line: Line) -> None:
    """AUTH with the best method that both sides know."""
    if not line.client.supported_auth_methods:
        raise Misconfigured("the relay offers no way to log in that we know", code="login")
    try:
        await line.client.login(line.host.username, line.host.password, timeout=None)
    except SMTPAuthenticationError as error:
        raise refusal("login", Reply(error.code, error.message), line.host.username) from None


@contextmanager
def classed(line: Line, stand: Stand, hidden: str = "") -> Iterator[None]:
    """Turn whatever a connection can raise into ours: before the dot certainly not sent, after it unclear."""
    try:
        yield
    except (NotSent, Unclear):
        raise
    except (SMTPException, OSError, asyncio.CancelledError) as error:
        line.broken = True
        at = SAYS[stand.phase]
        if stand.dotted:
            raise Unclear(f"{at}: {happened(error)}, so the mail may have been taken", code="after_dot") from None
        if isinstance(error, asyncio.CancelledError):
            if stand.phase in DIALLING:
                raise
            raise Retry(f"stopped at {at}, the final dot was not written", code="stopped") from None
        if tls_failed(error):
            raise Misconfigured(f"{at}: TLS failed, {tls_reason(error)}", code="tls") from None
        if isinstance(error, SMTPResponseException) and error.code > 0:
            reply = line.seen(Reply(error.code, error.message))
            raise refusal(stand.phase, reply, hidden) from None
        raise Retry(f"{at}: {happened(error)}", code="connection") from None


def happened(error: BaseException) -> str:
    """What went wrong with a connection, without any text of the relay or the system."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, asyncio.CancelledError):
        return "stopped while waiting for the answer"
    if isinstance(error, SMTPResponseException):
        return "an answer that is none"
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, ConnectionError) and not isinstance(cause, ConnectionRefusedError | SMTPConnectError):
        return "the connection was lost"
    return f"no connection ({type(cause).__name__})"


def tls_failed(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)


def tls_reason(error: BaseException) -> str:
    """The reason OpenSSL gives, such as CERTIFICATE_VERIFY_FAILED."""
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    return str(getattr(cause, "reason", "") or type(cause).__name__).lower().replace("_", " ")
