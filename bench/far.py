"""A relay that is far away: whatever is said to it arrives half a round trip later, and so does each answer.

Arguments: port, seconds one way. It remembers when it accepted each mail, and tells it to whoever says XTAKEN.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import psutil

from bench.post import ANSWERS, Relay, answers, free_port

END = b"\r\n.\r\n"
taken: list[float] = []


class Guest(asyncio.Protocol):
    """One client; commands may come many at a time (RFC 2920)."""

    def __init__(self, one_way: float) -> None:
        self.one_way = one_way
        self.loop = asyncio.get_running_loop()
        self.coming: deque[bytes] = deque()
        self.going: deque[bytes] = deque()
        self.heard = b""
        self.in_mail = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.say(b"220 far\r\n")

    def data_received(self, data: bytes) -> None:
        self.coming.append(data)
        self.loop.call_later(self.one_way, self.hear)

    def say(self, answer: bytes) -> None:
        self.going.append(answer)
        self.loop.call_later(self.one_way, self.leave)

    def leave(self) -> None:
        self.transport.write(self.going.popleft())

    def hear(self) -> None:
        self.heard += self.coming.popleft()
        answer = b""
        while True:
            mark = END if self.in_mail else b"\r\n"
            line, found, rest = self.heard.partition(mark)
            if not found:
                break
            self.heard = rest
            answer += self.answer(line)
        if answer:
            self.say(answer)

    def answer(self, line: bytes) -> bytes:
        if self.in_mail:
            self.in_mail = False
            taken.append(monotonic())
            return b"250 taken\r\n"
        verb = line[:4].upper()
        self.in_mail = verb == b"DATA"
        if line == b"XTAKEN":
            return json.dumps(taken).encode() + b"\r\n"
        return ANSWERS.get(verb, b"250 ok\r\n")


@asynccontextmanager
async def open_far_relay(round_trip: float) -> AsyncIterator[Relay]:
    """On a loopback port, so many seconds away."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.far", str(port), str(round_trip / 2))
    try:
        await answers(port)
        yield Relay(port, f"{round_trip * 1000:.0f} ms away", psutil.Process(process.pid))
    finally:
        process.terminate()
        await process.wait()


async def taken_by(relay: Relay) -> list[float]:
    """The instants of all mails that it has accepted, in order; seconds of its machine's monotonic clock."""
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, limit=2**24)
    await reader.readline()
    writer.write(b"XTAKEN\r\n")
    found = json.loads(await reader.readline())
    writer.close()
    return sorted(found)


async def serve(port: int, one_way: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Guest(one_way), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
