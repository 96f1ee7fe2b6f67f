"""Many strangers at once, in a process of their own: `besiegers.py PORT COUNT OLD_HEADERS [floods]`, until stdin ends.

They come from a network of their own, 127.0.1.0/24; who floods comes again the moment that they are answered or cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter

FORGED = {"webhook-id": "forged", "webhook-timestamp": "{now}", "webhook-signature": "v1," + "A" * 43 + "="}
PAUSE = 2.0
Answers = Counter[str]


def head(headers: dict[str, str], length: int | None) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    return ("POST /hooks/shop/main HTTP/1.1\r\nHost: t\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()


async def trickles_a_head(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
    writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
    while True:
        await send(writer, b"a")


async def trickles_a_body(writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
    writer.write(head({**headers, **FORGED, "webhook-timestamp": headers["now"]}, 200_000))
    while True:
        await send(writer, b" " * 1024)


async def forges(writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
    while True:
        body = b'{"type": "cart.updated"}'
        writer.write(head({**headers, **FORGED, "webhook-timestamp": headers["now"]}, len(body)))
        await send(writer, body)


async def replays(writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
    body = headers["body"].encode()
    while True:
        writer.write(head({key: headers[key] for key in FORGED}, len(body)))
        await send(writer, body)


async def sends_too_much(writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
    writer.write(head({**headers, **FORGED, "webhook-timestamp": headers["now"]}, None))
    while True:
        await send(writer, b"2000\r\n" + b"x" * 8192 + b"\r\n", pause=0.2)


async def send(writer: asyncio.StreamWriter, data: bytes, pause: float = PAUSE) -> None:
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(pause)


async def floods(writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
    body = b'{"type": "cart.updated"}'
    writer.write(head({**headers, **FORGED, "webhook-timestamp": headers["now"]}, len(body)) + body)
    await writer.drain()


KINDS = (trickles_a_head, trickles_a_body, forges, replays, sends_too_much)


async def besieger(number: int, port: int, headers: dict[str, str], answers: Answers) -> None:
    """One stranger, who comes again whenever they are cut off."""
    do = KINDS[number % len(KINDS)]
    await asyncio.sleep(number / 500)
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.1.1", 0))
            ears = asyncio.create_task(hears(reader, do.__name__, answers))
            try:
                await do(writer, headers)
            except OSError:
                answers[f"{do.__name__} cut"] += 1
            finally:
                ears.cancel()
                writer.transport.abort()
        await asyncio.sleep(PAUSE)


async def flooder(number: int, port: int, headers: dict[str, str], answers: Answers) -> None:
    """One connection for each forgery, as many as there is time for."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.1.{number % 200}", 0))
            try:
                await floods(writer, headers)
                answers[(await reader.readline()).decode().strip() or "cut"] += 1
            finally:
                writer.transport.abort()
            continue
        answers["cut"] += 1
        await asyncio.sleep(0)


async def hears(reader: asyncio.StreamReader, kind: str, answers: Answers) -> None:
    with contextlib.suppress(OSError):
        while line := await reader.readline():
            if line.startswith(b"HTTP/1.1 "):
                answers[f"{kind} {line.split()[1].decode()}"] += 1


async def main(port: int, count: int, headers: dict[str, str], *how: str) -> None:
    answers: Answers = Counter()
    does = flooder if "floods" in how else besieger
    tasks = [asyncio.create_task(does(number, port, headers, answers)) for number in range(count)]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(answers))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), *sys.argv[4:]))
