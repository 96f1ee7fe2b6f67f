"""The SMS channel's stage: a loopback Twilio in each mood that the contract knows."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from pydantic import SecretStr

from channels.base import Message, Text
from channels.sms import Config, Sms
from daemon.demo.twilio import ACCOUNT, TOKEN, Twilio

MOODS = {
    "takes everything": "takes it",
    "is busy": "busy",
    "refuses the address": "no route",
    "refuses the content": "too long",
    "does not know the address": "bad number",
    "turns the sender away": "unauthorised",
    "hangs up after taking it": "resets after",
}


@dataclass
class Stage:
    """What the contract may ask of a channel's stage."""

    channel: Sms
    twilio: Twilio

    def message(self, number: int) -> Message:
        text = Text("geheim https://s.example/s/abcdefghijklmno", timedelta(minutes=10))
        return Message(1, number, 1000 + number, f"+4915123450{number:03}", text)

    def taken(self) -> list[str]:
        """The recipient of each message that the provider took, one entry a message."""
        return [text.to for text in self.twilio.texts]

    async def emptied(self) -> None:
        """Wait until the provider has seen the last connection go."""
        session = self.channel.api.client.session
        async with asyncio.timeout(60):
            while session is not None and not session.closed:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def stage(mood: str) -> AsyncIterator[Stage]:
    """A provider in this mood and a channel that talks to it."""
    twilio = Twilio(mood=MOODS.get(mood, "takes it"))
    await twilio.start()
    url = twilio.url
    nobody = socket.socket()  # has a port, and does not listen
    nobody.bind(("127.0.0.1", 0))
    if mood == "is out of reach":
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    span = timedelta(seconds=20)
    channel = Sms(
        Config(
            account=ACCOUNT,
            token=SecretStr(TOKEN),
            sender="+4930123456",
            base_url=url,
            connections=3,
            connect_within=span,
            answer_within=span,
        )
    )
    try:
        yield Stage(channel, twilio)
    finally:
        await channel.close()
        await twilio.stop()
        nobody.close()
