"""A TCP proxy between our process and a real server: it delays, cuts, holds or swallows what it is told to.

It is run in the test's own loop (the fixture `make_proxy`), or by itself as a process, for benches:
`python tests/proxy.py HOST PORT LATENCY` prints the port it listens on and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Way = Literal["up", "down"]
"""Up: from our process to the server. Down: its answers."""
Fate = Literal["reset", "close", "half close", "silence"]
"""Of a connection: RST both ways; FIN both ways; FIN in this direction only; or it stays open and nothing comes."""
AT_ONCE = struct.pack("ii", 1, 0)
CHUNK = 1 << 16


@dataclass
class Cut:
    """The fate of the next connection that carries `after` more bytes in this direction."""

    way: Way
    after: int
    fate: Fate


@dataclass
class Meal:
    """Once `after` was said upwards (and has arrived), the answer is swallowed from `reply` on; then comes the fate."""

    after: bytes
    reply: bytes
    times: int
    fate: Fate
    sparing: int = 0
    spared: int = 0


@dataclass
class Proxy:
    """`latency` (seconds, each way) and `bytes_per_second` (each way and connection) may be changed at any time."""

    host: str
    target_port: int
    latency: float = 0.0
    bytes_per_second: float = 0.0
    port: int = 0
    accepted: int = 0
    carried: dict[Way, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    eaten: int = 0
    fired: int = 0
    """How often a cut or a meal has happened: a test asserts that its fault did."""
    pairs: set[Pair] = field(default_factory=set)
    cuts: list[Cut] = field(default_factory=list)
    meals: list[Meal] = field(default_factory=list)
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    listener: asyncio.Server | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        """Listen; after `refuse` at the same port as before."""
        self.flowing.set()
        self.listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """From now on nobody listens; what is open stays open (see `reset`)."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    def hold(self) -> None:
        """A black hole: new connections are taken, and nothing travels in any of them until `release`."""
        self.flowing.clear()

    def release(self) -> None:
        """What was held arrives now, late."""
        self.flowing.set()

    def reset(self) -> None:
        """RST on every open connection, both ways."""
        for pair in list(self.pairs):
            pair.end("reset", "up")

    def cut(self, way: Way, after: int = 0, fate: Fate = "reset") -> None:
        """The next connection to carry so many more bytes this way meets its fate, exactly behind them."""
        self.cuts.append(Cut(way, after, fate))

    def eat(
        self, after: bytes = b"", reply: bytes = b"", times: int = 1, fate: Fate = "reset", sparing: int = 0
    ) -> None:
        """Swallow an answer, `times` times. `after`: what our process says before it, delivered in full; empty: the
        meal waits for `reply` alone. `reply`: what in the answer is swallowed, with all behind it; empty: its first
        byte on. So the server has done what it was told, and we are never told so. `sparing`: so many answers, on
        whichever connection, get through after each that is swallowed."""
        self.meals.append(Meal(after, reply, times, fate, sparing))

    async def until(self, holds: Callable[[], bool], within: float = 60.0) -> None:
        """Wait for a number of this proxy: `await proxy.until(lambda: proxy.eaten == 3)`."""
        async with asyncio.timeout(within), self.changed:
            await self.changed.wait_for(holds)

    def before(self, url: str) -> str:
        """The same address of a server, by way of this proxy."""
        parts = urlsplit(url)
        account, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{account}{at}127.0.0.1:{self.port}"))

    async def close(self) -> None:
        await self.refuse()
        self.release()
        self.reset()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def note(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.accepted += 1
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._join(reader, writer)
        writer.transport.abort()
        self.tasks.discard(task)
        await self.note()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.note()
        await self.flowing.wait()
        try:
            there, onwards = await asyncio.open_connection(self.host, self.target_port)
        except OSError:
            reset(writer)
            return
        pair = Pair(self, writer, onwards)
        self.pairs.add(pair)
        try:
            await asyncio.gather(pair.carry("up", reader, onwards), pair.carry("down", there, writer))
        finally:
            self.pairs.discard(pair)
            onwards.transport.abort()


@dataclass(eq=False)
class Pair:
    """Our process's connection and the one behind it."""

    proxy: Proxy
    ours: asyncio.StreamWriter
    theirs: asyncio.StreamWriter
    heard: bytes = b""
    meal: Meal | None = None
    hungry: bool = False
    """Of this connection's next answer nothing gets through."""
    silent: bool = False

    async def carry(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the end of the stream; chunks follow each other `latency` late, as on a long line, not one by one."""
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(4096)
        loop = asyncio.get_running_loop()

        async def arrives() -> None:
            while True:
                due, chunk = await line.get()
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait)
                await self.proxy.flowing.wait()
                if not chunk:
                    writer.write_eof()
                    return
                if speed := self.proxy.bytes_per_second:
                    await asyncio.sleep(len(chunk) / speed)
                await self.passes(way, chunk, writer)

        async def leaves() -> None:
            while chunk := await reader.read(CHUNK):
                await line.put((loop.time() + self.proxy.latency, chunk))
            await line.put((loop.time() + self.proxy.latency, b""))

        departing = asyncio.create_task(leaves())
        try:
            arriving = asyncio.create_task(arrives())
            await asyncio.wait([departing, arriving], return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in (departing, arriving):
                task.cancel()
            await asyncio.gather(departing, arriving, return_exceptions=True)

    async def passes(self, way: Way, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        """Write what may pass of it, and do what was agreed."""
        if self.silent:
            return
        fate, chunk = self._fate(way, chunk)
        if chunk:
            self.proxy.carried[way] += len(chunk)
            writer.write(chunk)
            await writer.drain()
        if fate is not None:
            self.proxy.fired += 1
            self.end(fate, way)
            await self.proxy.note()

    def _fate(self, way: Way, chunk: bytes) -> tuple[Fate | None, bytes]:
        for cut in self.proxy.cuts:
            if cut.way == way:
                if len(chunk) < cut.after:
                    cut.after -= len(chunk)
                    break
                self.proxy.cuts.remove(cut)
                return cut.fate, chunk[: cut.after]
        if way == "up":
            self._listen(chunk)
            return None, chunk
        return self._eat(chunk)

    def _listen(self, chunk: bytes) -> None:
        for meal in self.proxy.meals:
            before = self.heard[-len(meal.after) + 1 :] if len(meal.after) > 1 else b""
            if meal.after and self.meal is None and meal.after in before + chunk:
                self.heard = b""
                if meal.spared:
                    meal.spared -= 1
                else:
                    self.meal, meal.spared = meal, meal.sparing
                return
        self.heard = (self.heard + chunk)[-256:]

    def _eat(self, chunk: bytes) -> tuple[Fate | None, bytes]:
        waiting = [self.meal] if self.meal else [one for one in self.proxy.meals if not one.after]
        for meal in waiting:
            if meal.times > 0 and meal.reply in chunk:
                meal.times -= 1
                if not meal.times:
                    self.proxy.meals.remove(meal)
                self.meal = None
                self.proxy.eaten += 1
                return meal.fate, chunk[: chunk.index(meal.reply)]
        return None, chunk

    def end(self, fate: Fate, way: Way) -> None:
        towards = self.theirs if way == "up" else self.ours
        if fate == "silence":
            self.silent = True
        elif fate == "half close":
            towards.write_eof()
        else:
            self.silent = True
            for writer in (self.ours, self.theirs):
                if fate == "reset":
                    reset(writer)
                else:
                    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close it so that the other end is told RST, not FIN."""
    if not writer.transport.is_closing():
        made = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        writer.transport.abort()


async def alone(host: str, port: int, latency: float) -> None:
    proxy = Proxy(host, port, latency)
    await proxy.open()
    print(proxy.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await proxy.close()


if __name__ == "__main__":
    asyncio.run(alone(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
