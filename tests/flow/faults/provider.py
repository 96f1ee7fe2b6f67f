"""Twilio, or a push service, in a process of its own: it answers late, and remembers what it took.

Arguments: sms or webpush, its port, control port. On the control port it is talked to as the relay is.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from aiohttp import web

from daemon.demo.push_service import PushService
from daemon.demo.twilio import Twilio

LINK = re.compile(r"/s/([0-9A-Za-z]+)")


def machine_time() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


PULSE = 0.005


class Texts(Twilio):
    """What a text is known by is the link in it."""

    delay = 0.0
    at_work = 0
    beat = 0.0
    """When this process last ran, at most 5 ms ago unless the machine was busy elsewhere."""
    begun: ClassVar[list[tuple[str, float]]] = []
    """(to whom, when the request came)."""
    late: ClassVar[list[float]] = []
    """By how many seconds each beat came late: what the machine leaves to a process that has next to nothing to do."""

    async def beats(self) -> None:
        while True:
            before, self.beat = self.beat, machine_time()
            self.late.append(self.beat - before - PULSE if before else 0.0)
            await asyncio.sleep(PULSE)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        came_at = self.beat
        self.at_work += 1
        try:
            self.begun.append((dict(parse_qsl((await request.read()).decode()))["To"], came_at))
            await asyncio.sleep(self.delay)
            return await super()._create(request)
        finally:
            self.at_work -= 1

    def lines(self) -> int:
        assert self._runner is not None
        assert self._runner.server is not None
        return len(self._runner.server.connections)

    def knows(self) -> dict[str, Any]:
        found = [LINK.search(text.body) for text in self.texts]
        keys = [one[1] for one in found if one]
        taken = [[key, text.to, 0.0] for key, text in zip(keys, self.texts, strict=True)]
        return {"taken": taken, "begun": self.begun, "late": self.late}


class Pushes(PushService):
    """What a push is known by is its topic. Each of its browsers is a pretend one."""

    delay = 0.0
    at_work = 0

    async def beats(self) -> None:
        """Nobody asks when a push came."""

    async def push(self, request: web.Request) -> web.StreamResponse:
        self.at_work += 1
        try:
            await asyncio.sleep(self.delay)
            return await super().push(request)
        finally:
            self.at_work -= 1

    def lines(self) -> int:
        assert self.runner is not None
        assert self.runner.server is not None
        return len(self.runner.server.connections)

    def open(self, count: int, key: str) -> None:
        """So many browsers, which subscribe with this public key."""
        for _ in range(count):
            self.browser(key)

    def knows(self) -> dict[str, Any]:
        browsers = [one.browser for one in self.subscriptions.values() if one.browser]
        return {
            "taken": [[one.topic, self.endpoint(one.channel), 0.0] for one in self.taken],
            "browsers": [[one.endpoint, one.p256dh, one.auth] for one in browsers],
            "shown": [len(one.shown) for one in browsers],
        }


async def control(provider: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        asked = json.loads(line)
        words = asked.get("set", {})
        provider.delay = words.get("delay", provider.delay)
        if "open" in words:
            provider.open(*words["open"])
        told = {**provider.knows(), "under_way": {"": provider.lines() + provider.at_work}}
        writer.write(json.dumps({key: told[key] for key in asked.get("tell", [])}).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main(kind: str, port: int, control_port: int) -> None:
    provider = Texts() if kind == "sms" else Pushes(machine_time)
    await provider.start(port)
    server = await asyncio.start_server(lambda *ends: control(provider, *ends), "127.0.0.1", control_port)
    beating = asyncio.create_task(provider.beats())
    print("ready", flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)  # until whoever started us is gone
    beating.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
