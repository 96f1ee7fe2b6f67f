"""A receiver of mail on this machine: enough of RFC 5321 for any client that sends, and nothing that relays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

LARGEST = 25 * 1024 * 1024
"""Octets of one mail, as told in EHLO (RFC 1870)."""
LONGEST_LINE = 64 * 1024
"""Octets. RFC 5321 section 4.5.3.1.6 asks for 1000; what is longer is cut off with its connection."""
MOST_RECIPIENTS = 100
PATIENCE = 300.0
"""Seconds until a silent client is let go (RFC 5321 section 4.5.3.2.7)."""
PATH = re.compile(r"(FROM|TO):\s*<([^<>\s]*)>((?:\s+\S+)*)\s*", re.IGNORECASE)
EXTENSIONS = ("PIPELINING", f"SIZE {LARGEST}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN")

Take = Callable[[str, tuple[str, ...], bytes], Awaitable[str]]
"""Sender, recipients and octets of a mail; the answer is the reply to its final dot, such as `250 2.0.0 taken`."""
Judge = Callable[[str], str]
"""An address; the answer is the reply to its RCPT."""


@dataclass(slots=True)
class Envelope:
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)


class Session:
    """One connection. Commands are worked off one by one in the order they came, so a client may pipeline them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: Take, judge: Judge) -> None:
        self.reader = reader
        self.writer = writer
        self.take = take
        self.judge = judge
        self.greeted = False
        self.envelope = Envelope()
        self.done = False

    async def serve(self) -> None:
        """Until QUIT, a broken line, or silence."""
        self.say("220 mailbox.localhost ESMTP of the demo")
        try:
            while not self.done:
                await self.writer.drain()
                async with asyncio.timeout(PATIENCE):
                    line = await self.reader.readuntil(b"\r\n")
                await self.obey(line)
            await self.writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            pass  # the client is gone, or out of step: what it had not finished did not arrive
        finally:
            self.writer.close()

    def say(self, *lines: str) -> None:
        *first, last = lines
        texts = [f"{line[:3]}-{line[4:]}" for line in first] + [last]
        self.writer.write("".join(f"{text}\r\n" for text in texts).encode())

    async def obey(self, line: bytes) -> None:
        """One command and its reply."""
        verb, _, words = line.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
        match verb.upper():
            case "EHLO":
                self.greet("250 mailbox.localhost", *(f"250 {extension}" for extension in EXTENSIONS))
            case "HELO":
                self.greet("250 mailbox.localhost")
            case "MAIL":
                self.say(self.mail(words))
            case "RCPT":
                self.say(self.rcpt(words))
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
                self.say("500 5.5.2 not understood")

    def greet(self, *lines: str) -> None:
        self.greeted = True
        self.envelope = Envelope()
        self.say(*lines)

    def mail(self, words: str) -> str:
        found = PATH.fullmatch(words)
        if not self.greeted or self.envelope.sender is not None:
            return "503 5.5.1 EHLO comes first, and one mail at a time"
        if found is None or found[1].upper() != "FROM":
            return "501 5.5.4 write MAIL FROM:<address>"
        size = re.search(r"\bSIZE=(\d{1,20})", found[3], re.IGNORECASE)
        if size and int(size[1]) > LARGEST:
            return "552 5.3.4 too large"
        self.envelope.sender = found[2]
        return "250 2.1.0 go on"

    def rcpt(self, words: str) -> str:
        found = PATH.fullmatch(words)
        if self.envelope.sender is None:
            return "503 5.5.1 MAIL comes first"
        if found is None or found[1].upper() != "TO" or not found[2]:
            return "501 5.5.4 write RCPT TO:<address>"
        if len(self.envelope.recipients) >= MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        reply = self.judge(found[2])
        if reply.startswith("2"):
            self.envelope.recipients.append(found[2])
        return reply

    async def data(self) -> None:
        """All up to the final dot; it counts only when the dot has come (RFC 5321 section 4.1.1.4)."""
        if not self.envelope.recipients or self.envelope.sender is None:
            self.say("503 5.5.1 RCPT comes first")
            return
        self.say("354 end with a dot on a line of its own")
        await self.writer.drain()
        octets = bytearray()
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            if len(octets) <= LARGEST:
                octets += line[1:] if line.startswith(b".") else line
        envelope, self.envelope = self.envelope, Envelope()
        if len(octets) > LARGEST:
            self.say("552 5.3.4 too large")
            return
        self.say(await self.take(envelope.sender or "", tuple(envelope.recipients), bytes(octets)))
