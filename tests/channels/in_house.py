"""The stage of every channel that has no provider: what it accepts is taken."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from channels.base import InHouse, Message, Nothing

MOODS = ("takes everything",)


@dataclass
class Stage:
    channel: InHouse
    handed: list[str] = field(default_factory=list)

    def message(self, number: int) -> Message:
        return Message(1, number, 1000 + number, f"canary+{number}@leak.test", Nothing())

    def taken(self) -> list[str]:
        return self.handed

    async def emptied(self) -> None:
        """There is nobody to leave."""


@contextlib.asynccontextmanager
async def stage(channel: InHouse) -> AsyncIterator[Stage]:
    scene = Stage(channel)
    given = channel.send

    async def send(message, may_leave):
        receipt = await given(message, may_leave)
        scene.handed.append(message.address)
        return receipt

    channel.send = send
    try:
        yield scene
    finally:
        await channel.close()
