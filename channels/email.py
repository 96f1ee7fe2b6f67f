"""E-mail through any SMTP relay."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import localtime
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from channels import points
from channels.address import Address, BadAddress, one
from channels.base import (
    Channel,
    Mail,
    MayLeave,
    Message,
    Misconfigured,
    NotSent,
    Receipt,
    Refused,
    Unclear,
    Withheld,
)
from channels.compose import BadContent
from channels.letter import Draft, draft
from channels.line import SILENCE, Host, Line, open_line
from channels.pool import Pool
from channels.replies import Reply, said
from channels.smtp import Envelope, Gate, ask, transact
from channels.suspicion import ByPolicy, Suspicion

FIRST_BYTE = 1.0
"""Seconds from the hand-over within which the first byte has to leave; else the message is given back."""

NOTIFY = {"failure": "NOTIFY=FAILURE", "always": "NOTIFY=SUCCESS,FAILURE"}


class Config(BaseModel):
    """How the relay is reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(description="Name or address of the SMTP relay.", min_length=1)
    port: int = Field(587, description="Port of the relay: 587 (submission), 465 (implicit TLS), 25.", ge=1, le=65535)
    tls: Literal["none", "starttls", "implicit"] = Field(
        "starttls", description="Encryption. With starttls or implicit a relay that cannot do it gets no mail."
    )
    ca_file: Path | None = Field(None, description="PEM file of authorities to trust. Empty: those of the system.")
    username: str = Field("", description="Account at the relay. Empty: no login.")
    password: SecretStr = Field(SecretStr(""), description="Password for the account at the relay.")
    helo: str = Field(
        "",
        description="Name we greet the relay with. Empty: this machine's full name.",
        pattern=r"^[A-Za-z0-9.:\[\]-]*$",
        max_length=255,
    )
    connections: int = Field(10, description="Most connections open at once, in this process.", ge=1, le=200)
    idle: timedelta = Field(timedelta(seconds=30), description="How long an unused connection is kept open.")
    connect_within: timedelta = Field(timedelta(seconds=30), description="Time for a connection and its greeting.")
    answer_within: timedelta = Field(timedelta(seconds=30), description="Time for EHLO, TLS and login together.")
    to_dot: timedelta = Field(
        timedelta(seconds=30),
        description="From the last check to the final dot; after that the connection is dropped without it.",
    )
    from_dot: timedelta = Field(
        timedelta(seconds=600), description="Time for the answer to the final dot (RFC 5321 4.5.3.2.6: ten minutes)."
    )
    dsn: Literal["never", "failure", "always"] = Field(
        "failure", description="Delivery reports to ask for from a relay that offers DSN (RFC 3461)."
    )

    @model_validator(mode="after")
    def keeps_the_password_secret(self) -> Self:
        """A password may travel in clear on this machine only."""
        if self.username and self.tls == "none" and not is_loopback(self.host):
            raise ValueError("a login needs tls: starttls or tls: implicit, else anybody can read the password")
        return self


class Email(Channel):
    """One message is one transaction with one recipient. `now` gives the mails their Date."""

    name: ClassVar[str] = "email"
    address: ClassVar[str] = "email"

    def __init__(self, config: Config, *, now: Callable[[], datetime] = localtime) -> None:
        self.config = config
        self.now = now
        self.host: Host | None = None
        self.pool = Pool(self.open, config.connections, config.idle.total_seconds())
        self.dotted: set[tuple[int, int, int]] = set()
        self.suspicion: Suspicion[tuple[int, int]] = Suspicion()

    def ready(self) -> int:
        return self.pool.ready(asyncio.get_running_loop().time())

    def longest(self) -> timedelta:
        return self.config.to_dot + self.config.from_dot

    def may_have_left(self, message: Message) -> bool:
        return key(message) in self.dotted

    async def close(self) -> None:
        await self.pool.close()

    async def send(self, message: Message, may_leave: MayLeave) -> Receipt:
        """Asks `may_leave` with a connection in hand, and again before the body and the dot if 50 ms have passed; in
        any case before the body where the relay does not offer PIPELINING."""
        start = asyncio.get_running_loop().time()
        letter = self.letter(message)

        async def gate() -> bool:
            return await may_leave(message)

        line, looked_at = await self.line(gate, start + FIRST_BYTE)
        trip = Trip(self, message, line)
        try:
            envelope = fitted(letter, line, mail_of(message), self.config)
            answer = await trip.made(envelope, gate, start, looked_at)
        except ByPolicy as error:
            raise self.suspicion.judged(key(message)[:2], error) from None
        finally:
            trip.ended()
        self.suspicion.lifted()
        return Receipt(said(answer, envelope.recipient))

    def letter(self, message: Message) -> Letter:
        """What is to be written, before any connection is needed. Raises `Refused` or `Misconfigured`."""
        mail = mail_of(message)
        sender = ours("bounce", mail.envelope_sender)
        ours("sender", mail.sender)
        if mail.reply_to:
            ours("reply", mail.reply_to)
        try:
            to = one(message.address)
            return Letter(sender, to, draft(mail, to, self.now()))
        except BadAddress as error:
            raise Refused(str(error), code="address") from None
        except BadContent as error:
            raise Refused(str(error), code="content") from None

    async def line(self, gate: Gate, until: float) -> tuple[Line, float]:
        """A connection, and since when it has been known that the message may leave; until then being stopped means:
        nothing was sent."""
        try:
            line = await self.pool.take(until)
            try:
                looked_at = asyncio.get_running_loop().time()
                with self.pool.patience.until(until):
                    await ask(gate)
            except BaseException:
                self.pool.give_back(line)
                raise
        except asyncio.CancelledError:
            raise Withheld("stopped before the first byte") from None
        except TimeoutError:
            raise Withheld("too late for the first byte") from None
        return line, looked_at

    async def open(self) -> Line:
        """One more connection, for the pool."""
        if self.host is None:
            self.host = await asyncio.to_thread(host_of, self.config)
        points.reached("before_connect")
        return await open_line(self.host)


CHANNEL = Email


@dataclass(slots=True)
class Trip:
    """One message's time on a line, which may carry the next one from the final dot on."""

    email: Email
    message: Message
    line: Line
    dotted: bool = False

    async def made(self, envelope: Envelope, gate: Gate, start: float, looked_at: float) -> Reply:
        """From the first byte to the answer; remembers whether an error that nobody foresaw came after the dot."""
        config = self.email.config
        until, patience = start + config.to_dot.total_seconds(), config.from_dot.total_seconds()
        try:
            return await transact(
                self.line, envelope, gate, until, patience, looked_at=looked_at, on_dot=self.over_the_dot
            )
        except (NotSent, Unclear):
            raise
        except BaseException:
            if self.dotted:
                self.email.dotted.add(key(self.message))
            raise

    def over_the_dot(self) -> None:
        self.dotted = True
        if self.line.pipelines:
            self.email.pool.release(self.line)

    def ended(self) -> None:
        """The line goes back, or has gone back already."""
        if self.line.proved:
            self.email.pool.proved(self.line)
        if self.dotted and self.line.pipelines:
            self.email.pool.answered(self.line)
        else:
            self.email.pool.give_back(self.line)


@dataclass(frozen=True, slots=True)
class Letter:
    """A drafted mail with its two envelope addresses."""

    sender: Address
    to: Address
    draft: Draft


def mail_of(message: Message) -> Mail:
    if not isinstance(message.content, Mail):
        raise TypeError("an e-mail's content is a Mail")
    return message.content


def fitted(letter: Letter, line: Line, mail: Mail, config: Config) -> Envelope:
    """The letter with the parameters that this relay understands. Raises `Refused` when it cannot carry it."""
    if letter.to.needs_smtputf8 and not line.offers("smtputf8"):
        raise Refused("the address needs SMTPUTF8, which the relay does not offer", code="smtputf8")
    octets = letter.draft.octets(eight_bit=line.eight_bit)
    if 0 < line.size_limit < len(octets):
        raise Refused("the mail is bigger than the relay allows", code="size")
    size = (f"SIZE={len(octets)}",) if line.sizes else ()
    body = () if not line.eight_bit or octets.isascii() else ("BODY=8BITMIME",)
    reports = config.dsn != "never" and line.reports
    envid = ("RET=HDRS", f"ENVID={xtext(mail.message_id)[:100]}") if reports else ()
    return Envelope(
        sender=str(letter.sender),
        recipient=str(letter.to),
        octets=octets,
        sound=True,
        needs_smtputf8=letter.to.needs_smtputf8,
        mail_parameters=size + body + envid,
        rcpt_parameters=(NOTIFY[config.dsn],) if reports else (),
    )


def ours(which: str, text: str) -> Address:
    """One of the operator's own addresses; a wrong one is the operator's to mend, so the channel rests."""
    try:
        address = one(text)
    except BadAddress as error:
        raise Misconfigured(f"the {which} address is not valid: {error}", code="sender") from None
    if address.needs_smtputf8:
        raise Misconfigured(f"the {which} address is not plain ASCII", code="sender")
    return address


def key(message: Message) -> tuple[int, int, int]:
    return message.shop_id, message.id, message.fence


def xtext(text: str) -> str:
    """RFC 3461 section 4: anything but printable ASCII, and `+` and `=`, as +HEX."""
    octets = text.encode()
    return "".join(chr(octet) if 33 <= octet <= 126 and octet not in b"+=" else f"+{octet:02X}" for octet in octets)


def host_of(config: Config) -> Host:
    """Reads files and asks the resolver, so it belongs in a thread. Raises `Misconfigured`."""
    try:
        context = None if config.tls == "none" else ssl.create_default_context(cafile=config.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise Misconfigured(f"ca_file cannot be used ({type(error).__name__})", code="ca_file") from None
    return Host(
        name=config.host,
        port=config.port,
        tls=config.tls,
        context=context,
        username=config.username,
        password=config.password.get_secret_value(),
        greets_as=config.helo or own_name(),
        connect_within=config.connect_within.total_seconds(),
        answer_within=config.answer_within.total_seconds(),
        silence=max(5.0, min(SILENCE, config.to_dot.total_seconds())),
    )


def own_name() -> str:
    """This machine's full name, or an address literal when it has none (RFC 5321 section 4.1.4)."""
    name = socket.getfqdn()
    return name if "." in name and name.isascii() and not name.endswith(".arpa") else "[127.0.0.1]"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
