"""A relay that takes every mail and keeps none: Postfix's smtp-sink where it is installed, else one of our own."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
GREETING = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
ANSWERS = {b"EHLO": GREETING, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


@dataclass(frozen=True, slots=True)
class Relay:
    port: int
    program: str
    process: psutil.Process


@asynccontextmanager
async def open_relay(*, eight_bit: bool = True) -> AsyncIterator[Relay]:
    """On a loopback port that nobody else has: smtp-sink would share one without a word. `eight_bit`: what smtp-sink
    offers."""
    port = free_port()
    found = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
    own = [sys.executable, "-m", "bench.post", str(port)]
    account = ["-u", "nobody"] if os.geteuid() == 0 else []
    offers = [] if eight_bit else ["-8"]
    command = [found, *account, *offers, f"127.0.0.1:{port}", "512"] if found else own
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await answers(port)
        yield Relay(port, "smtp-sink" if found else "the bench's own sink", psutil.Process(process.pid))
    finally:
        process.terminate()
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answers(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One client, until it leaves."""
    writer.write(b"220 sink\r\n")
    try:
        while line := await reader.readline():
            verb = line[:4].upper()
            writer.write(ANSWERS.get(verb, b"250 ok\r\n"))
            if verb == b"DATA":
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                return
    except (OSError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def serve(port: int) -> None:
    server = await asyncio.start_server(take, "127.0.0.1", port, limit=2**24)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
