"""Run alone in a network of its own, with nothing but loopback in it: a name server that says one thing, then another.

`python rebinding.py FOLDER` needs the right to mount and to listen on low ports, as `unshare -Urmn` gives them. It
prints what became of each request, and how often each server was reached.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path

import aiohttp
import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from channels.http import Asking
from channels.outbound import Allowed, Forbidden, Outbound, target

OUTSIDE, INSIDE = "17.57.144.1", "127.0.0.1"
URL = "https://rebinds.push.apple.com/x"
SET_ADDRESS, SET_FLAGS, UP = 0x8916, 0x8914, 0x1


def with_loopback(alias: str, address: str) -> None:
    """An address on the loopback interface (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        where = struct.pack("16sH2s4s8x", alias.encode(), socket.AF_INET, b"", socket.inet_aton(address))
        fcntl.ioctl(line, SET_ADDRESS, where)
        fcntl.ioctl(line, SET_FLAGS, struct.pack("16sH14x", alias.encode(), UP))


class Liar(asyncio.DatagramProtocol):
    """Of two questions for an address the first is answered with the outside, the second with the inside."""

    def __init__(self) -> None:
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question, recursion_available=True)
        [about] = question.question
        if about.rdtype == dns.rdatatype.A:
            address = INSIDE if self.asked % 2 else OUTSIDE
            self.asked += 1
            answer.answer.append(dns.rrset.from_text(about.name, 0, "IN", "A", address))
        self.transport.sendto(answer.to_wire(), sender)  # type: ignore[attr-defined]


class Counted:
    """A server that counts who connected."""

    def __init__(self) -> None:
        self.hits = 0

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        writer.close()


async def yes() -> bool:
    return True


async def asked(client: Outbound) -> str:
    try:
        async with client.posted(target(URL, client.may), {}, Asking(b"x", "text/plain", yes)) as response:
            return str(response.status)
    except Forbidden:
        return "forbidden"
    except aiohttp.ClientError as error:
        return type(error).__name__


def set_up(folder: Path) -> None:
    """A network with an inside and an outside, and a resolver of the system that asks us."""
    with_loopback("lo", INSIDE)
    with_loopback("lo:1", OUTSIDE)
    (folder / "resolv.conf").write_text(f"nameserver {INSIDE}\n")
    subprocess.run(["mount", "--bind", folder / "resolv.conf", Path("/etc/resolv.conf").resolve()], check=True)


async def main() -> None:
    _, liar = await asyncio.get_running_loop().create_datagram_endpoint(Liar, local_addr=(INSIDE, 53))
    outside, inside = Counted(), Counted()
    servers = [await asyncio.start_server(count, at, 443) for at, count in ((OUTSIDE, outside), (INSIDE, inside))]
    client = Outbound(Allowed(("*.push.apple.com",)))
    told = [await asked(client) for _ in range(6)]
    await client.close()
    found = {"told": told, "asked": liar.asked, "outside": outside.hits, "inside": inside.hits}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(use_dns_cache=False)) as careless:
        for _ in range(2):
            try:
                await careless.post(URL)
            except aiohttp.ClientError:
                continue
    print(json.dumps({**found, "careless": inside.hits}))
    for server in servers:
        server.close()


if __name__ == "__main__":
    set_up(Path(sys.argv[1]))
    asyncio.run(main())
