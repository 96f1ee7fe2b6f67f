"""Relays for the channel tests: one that says what it is told to say, aiosmtpd, and Debian's smtp-sink."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from channels.base import Mail, Message
from channels.email import Config, Email
from daemon.embedded.process import free_port

DROP, RESET, HANG = "drop", "reset", "hang"
"""Instead of an answer: close the connection, reset it, or say nothing until the test ends."""

Answer = bytes | str | tuple[bytes | str | asyncio.Event, ...]
"""What to write; several parts in turn; an event is waited for in between."""

POLITE: dict[str, Answer] = {
    "CONNECT": b"220 relay.test ESMTP\r\n",
    "EHLO": b"250-relay.test\r\n250 ENHANCEDSTATUSCODES\r\n",
    "HELO": b"250 relay.test\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "DATA": b"354 go\r\n",
    ".": b"250 2.0.0 Ok: queued as 4711\r\n",
    "RSET": b"250 2.0.0 Ok\r\n",
    "NOOP": b"250 2.0.0 Ok\r\n",
    "QUIT": b"221 2.0.0 Bye\r\n",
}


@dataclass
class Relay:
    """A relay in the test's own loop. `answers` by verb (`.` is the final dot); `lines` is all that it was told."""

    answers: dict[str, Answer] = field(default_factory=dict)
    port: int = 0
    lines: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    react: Callable[[str, str], Answer | None] = lambda verb, line: None

    def verbs(self) -> list[str]:
        return [line.split(" ")[0].upper() for line in self.lines]

    def said(self, verb: str) -> list[str]:
        return [line for line in self.lines if line.upper().startswith(verb)]

    async def told(self, verb: str, times: int = 1) -> None:
        """Wait until the client has said this verb so often."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.verbs().count(verb) >= times)

    async def emptied(self) -> None:
        """Wait until the last connection is gone."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.open == 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.converse(reader, writer)
        finally:
            self.open -= 1
            await self.note()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def note(self, line: str | None = None) -> None:
        async with self.changed:
            if line is not None:
                self.lines.append(line)
            self.changed.notify_all()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self.answer("CONNECT", "", writer):
            return
        while line := (await reader.readline()).decode("utf-8", "replace").rstrip("\r\n"):
            await self.note(line)
            verb = line.split(" ")[0].upper()
            if not await self.answer(verb, line, writer):
                return
            if verb == "DATA" and self.last.startswith(b"354"):
                self.mails.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                await self.note(".")
                if not await self.answer(".", ".", writer):
                    return
            if verb == "QUIT":
                return

    async def answer(self, verb: str, line: str, writer: asyncio.StreamWriter) -> bool:
        """Say what was agreed for this verb; False when that ended the conversation."""
        agreed = self.react(verb, line) or self.answers.get(verb) or POLITE.get(verb) or b"502 5.5.2 what?\r\n"
        self.last = b""
        for part in agreed if isinstance(agreed, tuple) else (agreed,):
            if part == HANG:
                await self.ending.wait()
            elif part == RESET:
                writer.transport.abort()
            elif isinstance(part, asyncio.Event):
                await part.wait()
            elif isinstance(part, bytes):
                self.last = part
                writer.write(part)
                await writer.drain()
            if isinstance(part, str):
                return False
        return True


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the first byte may take longer than a second. Tests of that set their own."""
    for name in ("email.FIRST_BYTE", "webpush.FIRST_BYTE", "webpush.CONNECT"):
        monkeypatch.setattr(f"channels.{name}", 30.0)


@pytest.fixture
async def make_relay() -> AsyncIterator[Callable[..., Awaitable[Relay]]]:
    """Start a relay; keywords are its answers by verb, `dot` for the final dot."""
    servers: list[tuple[Relay, asyncio.Server]] = []

    async def make(context: ssl.SSLContext | None = None, **answers: Answer) -> Relay:
        relay = Relay({(verb.upper() if verb != "dot" else "."): answer for verb, answer in answers.items()})
        server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, ssl=context)
        relay.port = server.sockets[0].getsockname()[1]
        servers.append((relay, server))
        return relay

    yield make
    for relay, server in servers:
        relay.ending.set()
        server.close()
        await asyncio.wait_for(relay.emptied(), 60)


@pytest.fixture
async def make_email() -> AsyncIterator[Callable[..., Email]]:
    """An e-mail channel to a relay's port; no TLS unless asked for; closed at the end."""
    made: list[Email] = []

    def make(port: int, **options: Any) -> Email:
        span = timedelta(seconds=30)
        plain = {"tls": "none", "to_dot": span, "from_dot": span, "connect_within": span, "helo": "sender.test"}
        made.append(Email(Config(**{"host": "127.0.0.1", "port": port, **plain, **options})))
        return made[-1]

    yield make
    for email in made:
        await email.close()


MAIL = Mail(
    subject="Ihr Warenkorb wartet",
    text="Hallo Ada,\n.\n..zwei Punkte\nBüro\n",
    html="<p>Hallo Ada</p>",
    sender="shop@shop.example",
    sender_name="Kiosk",
    message_id="1.abc@shop.example",
    envelope_sender="b+token@bounce.shop.example",
    headers=(("List-Unsubscribe", "<https://shop.example/u/" + "x" * 60 + ">"),),
)


@pytest.fixture
def make_message() -> Callable[..., Message]:
    """A claimed message; keywords change its mail."""

    def make(id: int = 1, address: str = "ada@example.org", **mail: Any) -> Message:
        return Message(7, id, id, address, replace(MAIL, **mail))

    return make


@pytest.fixture
async def make_sink(needs_program: Callable[[str], str]) -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Start Debian's smtp-sink with options; gives its port."""
    program = needs_program("smtp-sink")
    running: list[asyncio.subprocess.Process] = []

    async def make(*options: str) -> int:
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            program, "-u", "nobody", *options, f"127.0.0.1:{port}", "200", stderr=asyncio.subprocess.DEVNULL
        )
        running.append(process)
        async with asyncio.timeout(60):
            while not await listens(port):
                assert process.returncode is None, "smtp-sink ended at once"
        return port

    yield make
    for process in running:
        process.kill()
        await process.wait()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.01)  # a foreign program gives no signal when it listens
        return False
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return True
