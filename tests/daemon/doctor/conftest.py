"""A name server of our own on a loopback port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from daemon.doctor.names import Names

Zone = Mapping[tuple[str, str], list[str]]


class Responder(asyncio.DatagramProtocol):
    """Answers from a mapping of (name, type); anything else does not exist."""

    def __init__(self, zone: Zone, silent: bool) -> None:
        self.zone, self.silent = zone, silent
        self.asked: list[tuple[str, str]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: object) -> None:
        question = dns.message.from_wire(data)
        name, kind = question.question[0].name, dns.rdatatype.to_text(question.question[0].rdtype)
        self.asked.append((name.to_text(omit_final_dot=True), kind))
        if self.silent:
            return
        answer = dns.message.make_response(question)
        rows = self.zone.get(self.asked[-1])
        if rows:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *rows))
        elif not any(known == self.asked[-1][0] for known, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)


@pytest.fixture
async def make_names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., object]]:
    """`await make_names({("shop.example", "TXT"): ['"v=spf1 -all"']})`: (names, what was asked)."""
    monkeypatch.setattr("daemon.doctor.names.PATIENCE", 60.0)
    async with AsyncExitStack() as stack:

        async def make(zone: Zone, *, silent: bool = False) -> tuple[Names, Responder]:
            loop = asyncio.get_running_loop()
            made, protocol = await loop.create_datagram_endpoint(
                lambda: Responder(zone, silent), local_addr=("127.0.0.1", 0)
            )
            stack.callback(made.close)
            return Names(("127.0.0.1",), made.get_extra_info("sockname")[1]), protocol

        yield make
