"""A receiver of mail: LMTP (RFC 2033) for a mail server that delivers to us, SMTP (RFC 5321) for one that relays.

It knows nothing of shops: one function says whether an address is ours, another keeps a mail and returns when it is
safe; only then is the mail's sender told so. Everything a client can make us hold is bounded.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()

LONGEST_LINE = 64 * 1024
LONGEST_COMMAND = 2048
PATH = re.compile(r"(FROM|TO):\s*<([^<>\s]{0,320})>((?:\s+\S+)*)\s*", re.IGNORECASE)
EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
FINE = "250 2.1.5 go on"
NOBODY = "550 5.1.1 nobody of that name here"
LATER = "451 4.3.0 not now, come again"

Judge = Callable[[str], str]
"""An address; the answer is the reply to its RCPT."""
Keep = Callable[[str, str, bytes], Awaitable[None]]
"""Sender, recipient and octets; returns when the mail is safe. Whatever it raises, the client is to come again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client can make us hold."""

    largest: int = 10 * 1024 * 1024
    """Octets of one mail, as told in EHLO (RFC 1870)."""
    at_once: int = 40 * 1024 * 1024
    """Octets of all mails that are being received; beyond that a client is asked to come again."""
    connections: int = 20
    recipients: int = 50
    mistakes: int = 10
    patience: float = 60.0
    """Seconds that a client may be silent."""
    data_patience: float = 180.0
    """Seconds from DATA to the final dot."""
    session: float = 900.0
    """Seconds until a client has to come again."""


LIMITS = Limits()


@dataclass(slots=True)
class Envelope:
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)


class Listener:
    """`held`: octets of mails that are on their way in. `name` is what it calls itself, `more` what it can do besides
    `EXTENSIONS`."""

    def __init__(
        self,
        judge: Judge,
        keep: Keep,
        limits: Limits = LIMITS,
        *,
        name: str = "tillbell takes reports and replies",
        more: Sequence[str] = (),
    ) -> None:
        self.judge = judge
        self.keep = keep
        self.limits = limits
        self.name = name
        self.extensions = (*EXTENSIONS, f"SIZE {limits.largest}", *more)
        self.held = 0
        self.sessions: set[asyncio.Task[None]] = set()
        self.server: asyncio.Server | None = None

    async def start(self, host: str | None, port: int) -> int:
        """The port that it listens on. Raises OSError."""
        self.server = await asyncio.start_server(self._connected, host, port, limit=LONGEST_LINE)
        return int(self.server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """No mail is half taken: one that was not answered is sent again by whoever has it."""
        if self.server is not None:
            self.server.close()
        for task in self.sessions:
            task.cancel()
        await asyncio.gather(*self.sessions, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self.sessions) >= self.limits.connections:
            writer.write(b"421 4.3.2 too many connections\r\n")
            writer.close()
            return
        task = asyncio.create_task(Session(self, reader, writer).serve(), name="post")
        self.sessions.add(task)
        task.add_done_callback(self.sessions.discard)


class Session:
    """One connection. Commands are worked off one by one in the order they came, so a client may pipeline them."""

    def __init__(self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.listener = listener
        self.limits = listener.limits
        self.reader = reader
        self.writer = writer
        self.protocol = ""
        self.envelope = Envelope()
        self.mistakes = 0
        self.done = False

    async def serve(self) -> None:
        """Until QUIT, silence, or too many mistakes."""
        try:
            async with asyncio.timeout(self.limits.session):
                self.say(f"220 {self.listener.name}")
                while not self.done:
                    await self.writer.drain()
                    async with asyncio.timeout(self.limits.patience):
                        line = await self.reader.readuntil(b"\r\n")
                    await self.obey(line)
                await self.writer.drain()
        except asyncio.LimitOverrunError:
            self.say("500 5.5.2 line too long")
        except TimeoutError:
            self.say("421 4.4.2 too slow")
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client is gone: what it had not finished did not arrive
        finally:
            self.writer.close()

    def say(self, *lines: str) -> None:
        *first, last = lines
        texts = [f"{line[:3]}-{line[4:]}" for line in first] + [last]
        self.writer.write("".join(f"{text}\r\n" for text in texts).encode())

    def refuse(self, text: str) -> None:
        self.mistakes += 1
        if self.mistakes >= self.limits.mistakes:
            self.done = True
            text = "421 4.7.0 too many mistakes"
        self.say(text)

    async def obey(self, line: bytes) -> None:
        """One command and its reply."""
        verb, _, words = line[:LONGEST_COMMAND].decode("utf-8", "replace").rstrip("\r\n").partition(" ")
        match verb.upper():
            case "LHLO" | "EHLO" | "HELO" as hello:
                self.protocol, self.envelope = hello, Envelope()
                extensions = () if hello == "HELO" else self.listener.extensions
                self.say(f"250 {self.listener.name}", *(f"250 {extension}" for extension in extensions))
            case "MAIL":
                self.mail(words)
            case "RCPT":
                self.rcpt(words)
            case "DATA":
                await self.data()
            case "RSET":
                self.envelope = Envelope()
                self.say("250 2.0.0 forgotten")
            case "NOOP":
                self.say("250 2.0.0 here")
            case "VRFY":
                self.say("252 2.5.0 send, and see")
            case "QUIT":
                self.done = True
                self.say("221 2.0.0 bye")
            case _:
                self.refuse("500 5.5.2 not understood")

    def mail(self, words: str) -> None:
        found = PATH.fullmatch(words)
        if not self.protocol or self.envelope.sender is not None:
            return self.refuse("503 5.5.1 LHLO or EHLO comes first, and one mail at a time")
        if found is None or found[1].upper() != "FROM":
            return self.refuse("501 5.5.4 write MAIL FROM:<address>")
        size = re.search(r"\bSIZE=(\d{1,20})", found[3], re.IGNORECASE)
        if size and int(size[1]) > self.limits.largest:
            return self.refuse("552 5.3.4 too large")
        self.envelope.sender = found[2]
        return self.say("250 2.1.0 go on")

    def rcpt(self, words: str) -> None:
        found = PATH.fullmatch(words)
        if self.envelope.sender is None:
            return self.refuse("503 5.5.1 MAIL comes first")
        if found is None or found[1].upper() != "TO" or not found[2]:
            return self.refuse("501 5.5.4 write RCPT TO:<address>")
        if len(self.envelope.recipients) >= self.limits.recipients:
            return self.say("452 4.5.3 too many recipients")
        reply = self.listener.judge(found[2])
        if not reply.startswith("2"):
            return self.refuse(reply)
        self.envelope.recipients.append(found[2])
        return self.say(reply)

    async def data(self) -> None:
        """All up to the final dot; it counts only when the dot has come (RFC 5321 section 4.1.1.4)."""
        envelope, self.envelope = self.envelope, Envelope()
        if envelope.sender is None or not envelope.recipients:
            return self.refuse("503 5.5.1 no recipient was taken")
        self.say("354 end with a dot on a line of its own")
        await self.writer.drain()
        octets, wrong = bytearray(), ""
        try:
            async with asyncio.timeout(self.limits.data_patience):
                while (line := await self.line()) != b".\r\n":
                    wrong = wrong or self.too_much(octets, line)
                    if not wrong:
                        line = line.removeprefix(b".")
                        octets += line
                        self.listener.held += len(line)
            await self.answer(envelope, bytes(octets), wrong)
        finally:
            self.listener.held -= len(octets)
        return None

    async def line(self) -> bytes:
        async with asyncio.timeout(self.limits.patience):
            return await self.reader.readuntil(b"\r\n")

    def too_much(self, octets: bytearray, line: bytes) -> str:
        if len(octets) + len(line) > self.limits.largest:
            return "552 5.3.4 too large"
        return "452 4.3.1 too much is arriving at once" if self.listener.held + len(line) > self.limits.at_once else ""

    async def answer(self, envelope: Envelope, octets: bytes, wrong: str) -> None:
        """One reply for each recipient in LMTP (RFC 2033 section 4.2), in SMTP one for all of them."""
        replies = [wrong or await self.kept(envelope.sender or "", to, octets) for to in envelope.recipients]
        if self.protocol == "LHLO":
            for reply in replies:
                self.say(reply)
        else:
            self.say(next((reply for reply in replies if not reply.startswith("2")), replies[0]))

    async def kept(self, sender: str, recipient: str, octets: bytes) -> str:
        try:
            await self.listener.keep(sender, recipient, octets)
        except Exception as error:
            log.warning("tracked", post="not kept", problem=type(error).__name__)
            return LATER
        return "250 2.0.0 kept"
