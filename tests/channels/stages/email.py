"""The e-mail channel's stage: a real SMTP server in each mood that the contract knows."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiosmtpd.smtp import SMTP

from channels.base import Mail, Message
from channels.email import Config, Email

ANSWERS = {
    "is busy": ("RCPT", "450 4.2.0 greylisted, {address}"),
    "refuses the address": ("RCPT", "550 5.2.2 <{address}> is full"),
    "does not know the address": ("RCPT", "550 5.1.1 <{address}>: no such user"),
    "turns the sender away": ("RCPT", "550 5.7.26 <{address}>: not from you"),
    "refuses the content": ("DATA", "554 5.6.0 not for {address}"),
}


@dataclass
class Handler:
    """Answers as its mood is, and keeps what it took."""

    mood: str
    taken: list[tuple[tuple[str, ...], bytes]] = field(default_factory=list)

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        phase, answer = ANSWERS.get(self.mood, ("", ""))
        if phase == "RCPT":
            return answer.format(address=address)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        phase, answer = ANSWERS.get(self.mood, ("", ""))
        if phase == "DATA":
            return answer.format(address=envelope.rcpt_tos[0])
        self.taken.append((tuple(envelope.rcpt_tos), envelope.content))
        if self.mood == "hangs up after taking it":
            server.transport.abort()
        return "250 2.0.0 Ok"


@dataclass
class Stage:
    """What the contract may ask of a channel's stage."""

    channel: Email
    handler: Handler
    open: set[SMTP]
    gone: asyncio.Event

    def message(self, number: int) -> Message:
        mail = Mail(
            subject="geheim",
            text="geheim\n",
            html="<p>geheim</p>",
            sender="shop@shop.example",
            sender_name="Kiosk",
            message_id=f"{number}.abc@shop.example",
            envelope_sender=f"b+{number}@shop.example",
        )
        return Message(1, number, 1000 + number, f"canary+{number}@leak.test", mail)

    def taken(self) -> list[str]:
        """The recipient of each message that the provider took, one entry a message."""
        return [recipient for recipients, _ in self.handler.taken for recipient in recipients]

    async def emptied(self) -> None:
        """Wait until the provider has seen the last connection go."""
        if self.open:
            await asyncio.wait_for(self.gone.wait(), 60)


@contextlib.asynccontextmanager
async def stage(mood: str) -> AsyncIterator[Stage]:
    """A provider in this mood and a channel that talks to it."""
    handler = Handler(mood)
    opened: set[SMTP] = set()
    gone = asyncio.Event()

    class Counting(SMTP):
        def connection_made(self, transport: Any) -> None:
            opened.add(self)
            gone.clear()
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            opened.discard(self)
            super().connection_lost(error)
            if not opened:
                gone.set()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Counting(handler, hostname="relay.test", loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    nobody = socket.socket()  # has a port, and does not listen
    nobody.bind(("127.0.0.1", 0))
    if mood == "is out of reach":
        server.close()
        port = nobody.getsockname()[1]
    span = timedelta(seconds=20)
    config = Config(host="127.0.0.1", port=port, tls="none", helo="sender.test", connections=3, to_dot=span)
    channel = Email(config)
    scene = Stage(channel, handler, opened, gone)
    try:
        yield scene
    finally:
        await channel.close()
        nobody.close()
        server.close()
        for connection in [*opened]:
            connection.transport.abort()
        await scene.emptied()
