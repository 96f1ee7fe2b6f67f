"""A mail server brings us reports: what it is told, and what it cannot do to us."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from daemon.post.listener import FINE, LIMITS, NOBODY, Listener

MAIL = b"Subject: hello\r\n\r\nworld\r\n"


class Door:
    """A listener for addresses at ours.example, and what it has kept. `trouble` is raised instead of keeping."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, bytes]] = []
        self.trouble: dict[str, Exception] = {}
        self.listener = Listener(self.judge, self.keep)
        self.port = 0
        self.lines: list[Line] = []

    def judge(self, address: str) -> str:
        return FINE if address.endswith("@ours.example") else NOBODY

    async def keep(self, sender: str, recipient: str, octets: bytes) -> None:
        if recipient in self.trouble:
            raise self.trouble[recipient]
        self.kept.append((sender, recipient, octets))

    async def open(self) -> Line:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.lines.append(Line(reader, writer))
        return self.lines[-1]


class Line:
    """A client that says whatever a test likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def says(self, *lines: bytes) -> list[str]:
        """The replies to these, which are written at once; of one with several lines the last."""
        self.writer.write(b"".join(line + b"\r\n" for line in lines))
        return [await self.reply() for _ in lines]

    async def reply(self) -> str:
        async with asyncio.timeout(60):
            while (line := (await self.reader.readline()).decode())[3:4] == "-":
                pass
        return line.strip()

    async def is_shut(self) -> bool:
        async with asyncio.timeout(60):
            return await self.reader.read() == b""


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    made.port = await made.listener.start("127.0.0.1", 0)
    yield made
    for line in made.lines:
        line.writer.close()
        with suppress(OSError):
            await line.writer.wait_closed()
    await made.listener.close()


async def greeted(door: Door, hello: bytes = b"LHLO x") -> Line:
    line = await door.open()
    assert (await line.reply()).startswith("220")
    assert (await line.says(hello))[0].startswith("250")
    return line


async def test_each_recipient_of_lmtp_has_a_reply_of_its_own(door):
    door.trouble["b@ours.example"] = TimeoutError()
    line = await greeted(door)
    said = await line.says(b"MAIL FROM:<>", b"RCPT TO:<a@ours.example>", b"RCPT TO:<b@ours.example>",
                           b"RCPT TO:<c@theirs.example>", b"DATA")  # fmt: skip
    assert [reply[:3] for reply in said] == ["250", "250", "250", "550", "354"]
    first = (await line.says(MAIL + b"."))[0]
    assert first == "250 2.0.0 kept"
    assert (await line.reply())[:3] == "451"
    assert door.kept == [("", "a@ours.example", MAIL)]


async def test_smtp_has_one_reply_and_it_is_the_worst(door):
    door.trouble["b@ours.example"] = OSError()
    line = await greeted(door, b"EHLO x")
    await line.says(b"MAIL FROM:<>", b"RCPT TO:<a@ours.example>", b"RCPT TO:<b@ours.example>", b"DATA")
    assert (await line.says(b"x\r\n."))[0][:3] == "451"
    assert (await line.says(b"NOOP"))[0][:3] == "250"


async def test_what_cannot_be_kept_now_is_sent_again(door):
    door.trouble["a@ours.example"] = RuntimeError("ours")
    line = await greeted(door)
    for expected in ("451", "250"):
        await line.says(b"MAIL FROM:<>", b"RCPT TO:<a@ours.example>", b"DATA")
        assert (await line.says(b"x\r\n."))[0][:3] == expected
        door.trouble.clear()
    assert len(door.kept) == 1


async def test_the_clients_of_the_standard_library_are_understood(door):
    def send(client: Callable[..., Any]) -> None:
        with client("127.0.0.1", door.port) as one:
            one.sendmail("", ["a@ours.example"], "Subject: x\n\n.dotted\n")

    await asyncio.to_thread(send, smtplib.SMTP)
    await asyncio.to_thread(send, smtplib.LMTP)
    assert [octets for _, _, octets in door.kept] == [b"Subject: x\r\n\r\n.dotted\r\n"] * 2


async def test_a_mail_is_not_taken_without_its_dot(door):
    line = await greeted(door)
    await line.says(b"MAIL FROM:<>", b"RCPT TO:<a@ours.example>", b"DATA")
    line.writer.write(b"half\r\n")
    line.writer.close()
    await line.writer.wait_closed()
    other = await greeted(door)
    await other.says(b"NOOP")
    assert door.kept == []


async def test_only_a_whole_line_with_a_dot_ends_a_mail(door):
    """Else a mail could carry another one behind it (smuggling)."""
    line = await greeted(door)
    await line.says(b"MAIL FROM:<>", b"RCPT TO:<a@ours.example>", b"DATA")
    assert (await line.says(b"one\n.\nMAIL FROM:<evil@x.example>\n.\r\n..two\r\n."))[0][:3] == "250"
    assert door.kept[0][2] == b"one\n.\nMAIL FROM:<evil@x.example>\n.\r\n.two\r\n"


async def test_a_mail_that_is_too_large_is_refused(door):
    door.listener.limits = replace(LIMITS, largest=1000)
    line = await greeted(door)
    assert (await line.says(b"MAIL FROM:<> SIZE=1001"))[0][:3] == "552"
    await line.says(b"MAIL FROM:<>", b"RCPT TO:<a@ours.example>", b"DATA")
    assert (await line.says(b"x" * 600 + b"\r\n" + b"x" * 600 + b"\r\n."))[0][:3] == "552"
    assert door.kept == []
    assert door.listener.held == 0


async def test_many_at_once_are_asked_to_come_again(door):
    door.listener.limits = replace(LIMITS, at_once=1000)
    first, second = await greeted(door), await greeted(door)
    for line in (first, second):
        await line.says(b"MAIL FROM:<>", b"RCPT TO:<a@ours.example>", b"DATA")
    first.writer.write(b"x" * 900 + b"\r\n")
    while door.listener.held < 900:
        await asyncio.sleep(0)
    assert (await second.says(b"y" * 200 + b"\r\n."))[0][:3] == "452"
    assert (await first.says(b"."))[0][:3] == "250"
    assert door.listener.held == 0


async def test_there_are_only_so_many_connections(door):
    door.listener.limits = replace(LIMITS, connections=2)
    lines = [await greeted(door), await greeted(door)]
    third = await door.open()
    assert (await third.reply())[:3] == "421"
    await lines[0].says(b"QUIT")
    assert await lines[0].is_shut()
    await greeted(door)


async def test_a_silent_client_is_let_go(door):
    door.listener.limits = replace(LIMITS, patience=2)
    line = await greeted(door)
    assert (await line.reply())[:3] == "421"
    assert await line.is_shut()


async def test_a_client_that_drips_its_mail_is_let_go(door):
    door.listener.limits = replace(LIMITS, data_patience=0.05)
    line = await greeted(door)
    await line.says(b"MAIL FROM:<>", b"RCPT TO:<a@ours.example>", b"DATA")
    line.writer.write(b"x\r\n")
    assert (await line.reply())[:3] == "421"
    assert door.listener.held == 0


async def test_a_line_without_end_is_cut_off(door):
    line = await greeted(door)
    line.writer.write(b"x" * 200_000)
    assert (await line.reply())[:3] == "500"


async def test_a_client_that_guesses_addresses_is_shown_out(door):
    line = await greeted(door)
    await line.says(b"MAIL FROM:<>")
    said = [(await line.says(b"RCPT TO:<%d@theirs.example>" % number))[0][:3] for number in range(10)]
    assert said == ["550"] * 9 + ["421"]
    assert await line.is_shut()


@pytest.mark.parametrize(
    ("lines", "replies"),
    [
        pytest.param([b"MAIL FROM:<>"], ["503"], id="no greeting"),
        pytest.param([b"LHLO x", b"DATA"], ["250", "503"], id="no recipient"),
        pytest.param([b"LHLO x", b"RCPT TO:<a@ours.example>"], ["250", "503"], id="no sender"),
        pytest.param([b"LHLO x", b"MAIL FROM: nobody"], ["250", "501"], id="no brackets"),
        pytest.param([b"LHLO x", b"MAIL FROM:<>", b"MAIL FROM:<>"], ["250", "250", "503"], id="two senders"),
        pytest.param([b"LHLO x", b"MAIL FROM:<>", b"RSET", b"DATA"], ["250", "250", "250", "503"], id="reset"),
        pytest.param([b"\xff\xfe\x00", b"VRFY a", b"NOOP"], ["500", "252", "250"], id="junk"),
        pytest.param([b"HELO x", b"MAIL FROM:<a@b.example>", b"QUIT"], ["250", "250", "221"], id="old greeting"),
    ],
)
async def test_the_protocol(door, lines, replies):
    line = await door.open()
    await line.reply()
    assert [reply[:3] for reply in await line.says(*lines)] == replies
