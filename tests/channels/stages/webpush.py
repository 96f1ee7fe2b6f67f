"""The web push channel's stage: a push service on this machine in each mood that the contract knows."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from channels.base import Message, Push
from channels.webpush import Config, WebPush
from channels.webpush_bytes import made
from daemon.demo.push_service import Browser, PushService

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANSWERS = {
    "is busy": (503, {"Retry-After": "90"}),
    "refuses the address": (400, {}),
    "refuses the content": (413, {}),
    "does not know the address": (410, {}),
    "turns the sender away": (403, {}),
    "has a fault of its own": (500, {}),
}


@dataclass
class Stage:
    """What the contract may ask of a channel's stage."""

    channel: WebPush
    service: PushService
    browsers: dict[int, Browser]
    kept: list[str]

    def message(self, number: int) -> Message:
        browser = self.browsers.setdefault(number, self.service.browser(self.channel.public_key))
        notice = json.dumps({"title": "geheim", "tag": str(number)}).encode()
        push = Push(notice, browser.p256dh, browser.auth, timedelta(hours=1), f"t{number}", "normal")
        return Message(1, number, 1000 + number, browser.endpoint, push)

    def taken(self) -> list[str]:
        """The recipient of each message that the provider took, one entry a message."""
        return [self.service.endpoint(one.channel) for one in self.service.taken] + self.kept

    async def emptied(self) -> None:
        """Wait until the provider has seen the last connection go."""
        async with asyncio.timeout(60):
            while self.service.runner is not None and self.service.runner.server.connections:
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def stage(mood: str) -> AsyncIterator[Stage]:
    """A provider in this mood and a channel that talks to it."""
    kept: list[str] = []

    async def answers(request: web.Request) -> Any:
        if mood == "hangs up after taking it":
            await request.read()
            kept.append(f"{service.url}{request.path}")
            request.transport.abort()
            return web.Response(status=201)
        if mood in ANSWERS:
            status, headers = ANSWERS[mood]
            return web.Response(status=status, headers=headers, text=f"not {request.url}")
        return None

    service = PushService(AT.timestamp, answers)
    await service.start()
    url = service.url
    nobody = socket.socket()  # has a port, and does not listen
    nobody.bind(("127.0.0.1", 0))
    if mood == "is out of reach":
        service.url = url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    config = Config(private_key=made(), contact="mailto:push@shop.example", hosts=(url,), connections=5)
    scene = Stage(WebPush(config, now=lambda: AT), service, {}, kept)
    try:
        yield scene
    finally:
        await scene.channel.close()
        await service.close()
        nobody.close()
