"""One connection to a mail relay, driven phase by phase, so that we always know whether the final dot has left."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from channels import points
from channels.base import Misconfigured, NotSent, Retry, Unclear, Withheld
from channels.replies import SAYS, Phase, Reply, refusal

FRESH = 0.05
"""Seconds for which an answer of the gate holds; before the dot an older one is asked for again."""

Gate = Callable[[], Awaitable[bool]]

DIALLING: frozenset[Phase] = frozenset({"connect", "hello", "starttls", "login"})

LONE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


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


@dataclass(frozen=True, slots=True)
class Envelope:
    """One mail for one recipient, ready to be written: `octets` with CRLF lines, not yet dot-stuffed."""

    sender: str
    recipient: str
    octets: bytes
    needs_smtputf8: bool = False
    mail_parameters: tuple[str, ...] = ()
    rcpt_parameters: tuple[str, ...] = ()


class Line:
    """An open and greeted connection. It carries one transaction at a time.

    `usable` turns False with the first thing that leaves the dialogue out of step; `soiled` is True while the relay
    holds an envelope that must be reset; `dotted` is True from the final dot to its answer.
    """

    def __init__(self, client: SMTP, host: Host) -> None:
        self.client = client
        self.host = host
        self.phase: Phase = "connect"
        self.dotted = False
        self.soiled = False
        self.broken = False
        self.turned_away = False
        self.born = self.used_at = 0.0

    @property
    def usable(self) -> bool:
        return not self.broken and self.client.is_connected

    def offers(self, extension: str) -> bool:
        return self.client.supports_extension(extension)

    @property
    def size_limit(self) -> int:
        """The relay's limit in octets (RFC 1870); 0 when it names none."""
        figure = self.client.esmtp_extensions.get("size", "").strip()
        return int(figure) if figure.isdecimal() else 0

    async def command(self, phase: Phase, *words: str) -> Reply:
        """One command and its reply, whatever that is. Raises what the connection raises."""
        self.phase = phase
        response = await self.client.execute_command(*(word.encode() for word in words), timeout=None)
        return self.seen(Reply(response.code, response.message))

    def seen(self, reply: Reply) -> Reply:
        """Note what a reply does to the connection: after 421 it is gone, after one that is none we are out of step."""
        if reply.code == 421:
            self.turned_away = self.broken = True
        elif not 200 <= reply.code < 600:
            self.broken = True
        return reply

    async def body(self, octets: bytes) -> None:
        """Write all but the final dot, and wait until it has gone to the operating system."""
        protocol = self.client.protocol
        if protocol is None:
            raise SMTPServerDisconnected("closed before the body")
        protocol.write(stuffed(octets))
        await protocol._drain_helper()  # aiosmtplib has the flow control, but no public way to wait for it

    async def dot(self) -> Reply:
        """Write the final dot and wait for its answer. From here on the mail may have been taken."""
        protocol = self.client.protocol
        if protocol is None or not protocol.is_connected:
            raise SMTPServerDisconnected("closed before the final dot")
        self.phase = "dot"
        self.dotted = True
        protocol.write(b".\r\n")
        points.reached("dot_written")
        response = await protocol.read_response(timeout=None)
        return self.seen(Reply(response.code, response.message))

    async def reset(self) -> bool:
        """RSET; True when the connection may carry the next transaction."""
        return await self.quick("RSET")

    async def lives(self) -> bool:
        """NOOP; True when the relay still listens."""
        return await self.quick("NOOP")

    async def quick(self, word: str) -> bool:
        try:
            async with asyncio.timeout(self.host.answer_within):
                answer = await self.client.execute_command(word.encode(), timeout=None)
        except (SMTPException, OSError):
            self.broken = True
        else:
            self.broken = self.broken or answer.code != 250
        self.soiled = False
        return self.usable

    async def leave(self) -> None:
        """QUIT, politely but not for long, then let go."""
        try:
            if self.usable:
                async with asyncio.timeout(min(2.0, self.host.answer_within)):
                    await self.client.execute_command(b"QUIT", timeout=None)
        except (SMTPException, OSError):
            pass  # leaving anyway
        finally:
            self.abort()

    def abort(self) -> None:
        """Let go at once: what the operating system has not got yet is thrown away."""
        self.broken = True
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
        with classed(line):
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
    transport = cast("asyncio.WriteTransport | None", client.transport)
    if transport is not None:
        transport.set_write_buffer_limits(high=1, low=0)  # so that "written" means: the system has it


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
def classed(line: Line, hidden: str = "") -> Iterator[None]:
    """Turn whatever a connection can raise into ours: before the dot certainly not sent, after it unclear."""
    try:
        yield
    except (NotSent, Unclear):
        raise
    except (SMTPException, OSError, asyncio.CancelledError) as error:
        line.broken = True
        at = SAYS[line.phase]
        if line.dotted:
            raise Unclear(f"{at}: {happened(error)}, so the mail may have been taken", code="after_dot") from None
        if isinstance(error, asyncio.CancelledError):
            if line.phase in DIALLING:
                raise
            raise Retry(f"stopped at {at}, the final dot was not written", code="stopped") from None
        if tls_failed(error):
            raise Misconfigured(f"{at}: TLS failed, {tls_reason(error)}", code="tls") from None
        if isinstance(error, SMTPResponseException) and error.code > 0:
            reply = line.seen(Reply(error.code, error.message))
            raise refusal(line.phase, reply, hidden) from None
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


async def transact(line: Line, envelope: Envelope, gate: Gate, until: float, patience: float) -> Reply:
    """One mail, one recipient. The reply that accepted it; raises the contract's exceptions.

    `gate` has just been asked by the caller: it is asked again before the body, and before the dot if that took longer
    than `FRESH`. `until`: loop time by which the final dot must have left; `patience`: seconds from it to its answer.
    """
    with classed(line, envelope.recipient):
        async with asyncio.timeout_at(until):
            await address(line, envelope)
            await ask(gate)
            await upload(line, envelope, gate)
        async with asyncio.timeout(patience):
            answer = await line.dot()
    if not (answer.good or answer.temporary or answer.permanent):
        raise Unclear("final dot: an answer that is none, so the mail may have been taken", code=answer.number)
    line.dotted = line.soiled = False
    line.broken = line.turned_away
    if not answer.good:
        raise refusal("dot", answer, envelope.recipient)
    return answer


async def address(line: Line, envelope: Envelope) -> None:
    """MAIL FROM and the one RCPT TO, exactly as given."""
    line.soiled = True
    options = (*envelope.mail_parameters, *(["SMTPUTF8"] if envelope.needs_smtputf8 else []))
    await wanted(line, envelope, "mail", "MAIL", f"FROM:<{envelope.sender}>", *options)
    await wanted(line, envelope, "rcpt", "RCPT", f"TO:<{envelope.recipient}>", *envelope.rcpt_parameters)


async def upload(line: Line, envelope: Envelope, gate: Gate) -> None:
    """DATA and the body without its dot. A gate that shuts now costs the connection, as there is no other way back."""
    loop = asyncio.get_running_loop()
    asked = loop.time()
    reply = await line.command("data", "DATA")
    if reply.code != 354:
        raise refusal("data", reply, envelope.recipient)
    line.broken = True  # from here on only the answer to the dot leads back
    await line.body(envelope.octets)
    if loop.time() - asked > FRESH:
        await ask(gate)


async def wanted(line: Line, envelope: Envelope, phase: Phase, *words: str) -> None:
    """A command that must be answered with 2xx."""
    reply = await line.command(phase, *words)
    if not reply.good:
        raise refusal(phase, reply, envelope.recipient)


async def ask(gate: Gate) -> None:
    """Raises `Withheld` unless the gate says that the message may leave; a gate that fails says no."""
    try:
        open_ = await gate()
    except Exception as error:
        raise Withheld(f"could not ask whether it may still leave ({type(error).__name__})") from None
    if not open_:
        raise Withheld("it may not leave any more")


def stuffed(octets: bytes) -> bytes:
    """CRLF lines only, dots at a line's start doubled (RFC 5321 section 4.5.2), CRLF at the end."""
    if not octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r"):
        octets = LONE.sub(b"\r\n", octets)
    if not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    octets = octets.replace(b"\r\n.", b"\r\n..")
    return b"." + octets if octets.startswith(b".") else octets
