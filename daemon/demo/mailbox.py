"""A mailbox on this machine: takes every mail by SMTP, keeps it in memory, and tells who waits for one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from functools import cached_property
from html.parser import HTMLParser
from typing import Self

from daemon.clock import machine_now
from daemon.post.listener import FINE, NOBODY, Limits, Listener

PARSER = BytesParser(policy=policy.default)
LIMITS = Limits(largest=25 << 20, at_once=250 << 20, connections=500, recipients=100, patience=300.0, session=86_400.0)
UNSUBSCRIBE = "/u/"
"""What the path of an unsubscribe link begins with."""


@dataclass(frozen=True)
class Letter:
    """One mail as one recipient got it. `at` is shop time where the demo plays, else the machine's."""

    number: int
    at: datetime
    sender: str
    recipient: str
    octets: bytes

    @cached_property
    def message(self) -> EmailMessage:
        return PARSER.parsebytes(self.octets)

    @property
    def subject(self) -> str:
        return str(self.message["Subject"] or "")

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"] or "").strip("<> ")

    @property
    def step(self) -> str:
        """The step of the policy that wrote it, as its Feedback-ID says; empty for any other mail."""
        return str(self.message["Feedback-ID"] or "").partition(":")[0]

    @property
    def unsubscribe_url(self) -> str:
        """From List-Unsubscribe (RFC 2369)."""
        return str(self.message["List-Unsubscribe"] or "").strip().strip("<>")

    @cached_property
    def html(self) -> str:
        return self._part("html")

    @cached_property
    def text(self) -> str:
        return self._part("plain")

    @cached_property
    def found(self) -> Found:
        """Its links and pictures."""
        finder = Finder()
        finder.feed(self.html)
        return finder.found()

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a mail's HTML leads to."""

    links: tuple[str, ...]
    """What a reader can see and press, without the way to unsubscribe."""
    hidden: tuple[str, ...]
    """Links that only a machine finds."""
    pictures: tuple[str, ...]


class Finder(HTMLParser):
    """Reads links and pictures out of a mail, as its reader and as a machine would."""

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[str, None] = {}
        self.hidden: dict[str, None] = {}
        self.pictures: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "img" and told.get("src", "").startswith("http"):
            self.pictures[told["src"]] = None
        href = told.get("href", "")
        if tag != "a" or not href.startswith("http") or UNSUBSCRIBE in href:
            return
        (self.hidden if told.get("aria-hidden") == "true" else self.links)[href] = None

    def found(self) -> Found:
        return Found(tuple(self.links), tuple(self.hidden), tuple(self.pictures))


class Mailbox:
    """Every address is taken, but those in `dead`. `copies` counts by Message-ID and recipient: more than one is a
    duplicate."""

    def __init__(self, now: Callable[[], datetime] = machine_now) -> None:
        self.now = now
        self.letters: list[Letter] = []
        self.copies: Counter[tuple[str, str]] = Counter()
        self.dead: set[str] = set()
        self.port = 0
        self._came = asyncio.Condition()
        self._door = Listener(self.judge, self.keep, LIMITS, name="mailbox.localhost", more=("DSN",))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` is the real one afterwards."""
        self.port = await self._door.start(host, port)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._door.close()

    def of(self, address: str) -> list[Letter]:
        """The letters to this address, oldest first."""
        return [letter for letter in self.letters if letter.recipient.casefold() == address.casefold()]

    async def wait_for(self, address: str, count: int = 1, within: float = 10.0) -> list[Letter]:
        """The letters to this address once there are `count` of them. Raises TimeoutError after `within` seconds."""
        async with asyncio.timeout(within), self._came:
            await self._came.wait_for(lambda: len(self.of(address)) >= count)
        return self.of(address)

    @property
    def duplicates(self) -> dict[tuple[str, str], int]:
        """What came more often than once, by Message-ID and recipient."""
        return {key: count for key, count in self.copies.items() if count > 1}

    async def keep(self, sender: str, recipient: str, octets: bytes) -> None:
        """One mail for one of those it was sent to."""
        async with self._came:
            letter = Letter(len(self.letters) + 1, self.now(), sender, recipient, octets)
            self.letters.append(letter)
            self.copies[letter.message_id, recipient] += 1
            self._came.notify_all()

    def judge(self, address: str) -> str:
        """The reply to a RCPT."""
        return NOBODY if address.casefold() in self.dead else FINE
