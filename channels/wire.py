"""Our end of a connection to a relay: commands go out in groups, replies come back in the order they were asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from channels.patience import Patience
from channels.replies import Reply

LONGEST_LINE = 8192
LONGEST_REPLY = 4 * LONGEST_LINE
"""Octets; whoever says more at once is no relay."""
MARKS = frozenset((b" ", b"-", b"\r", b""))
"""What may follow the three digits."""
NO_REPLY = Reply(-1, "")
"""What stands for an answer that could not be read."""


class Lost(ConnectionResetError):
    """The connection ended before the answer."""


class Group:
    """Commands written at once (RFC 2920), and the replies to them so far."""

    __slots__ = ("replies", "waiter", "wanted")

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.replies: list[Reply] = []
        self.waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Wire(asyncio.Protocol):
    """Takes an open transport over. One writer at a time; several groups may wait for their replies.

    `ended` turns True with the first thing after which no further reply can be trusted: the end of the connection, 421,
    an answer that is none, or one that nobody asked for (`out_of_turn`).
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.loop = asyncio.get_running_loop()
        self.patience = Patience()
        self.transport = transport
        self.owed: deque[Group] = deque()
        self.half = b""
        self.earlier: list[bytes] = []
        """The lines so far of a reply of several."""
        self.paused = self.ended = self.lost = self.turned_away = self.out_of_turn = self.ours = False
        self.hung_up = False
        """The connection was ended from the other side."""
        self.stir: asyncio.Future[None] | None = None
        """Done when what was written has gone, or the connection has."""
        self.gone: asyncio.Future[None] = self.loop.create_future()
        transport.set_write_buffer_limits(high=1, low=0)  # so that "written" means: the system has it
        transport.set_protocol(self)

    def write(self, octets: bytes, wanted: int = 0) -> Group:
        """Write, and expect so many replies. Raises `Lost`."""
        if self.lost or self.transport.is_closing():
            raise Lost("closed before it could be written")
        group = Group(wanted)
        if wanted:
            self.owed.append(group)
        self.transport.write(octets)
        return group

    async def replies(self, group: Group) -> list[Reply]:
        """All of them, or as many as came before the end."""
        if len(group.replies) < group.wanted and not self.ended:
            group.waiter = self.loop.create_future()
            await group.waiter
        return group.replies

    async def ask(self, line: bytes) -> Reply:
        """One command, one reply. Raises `Lost`."""
        replies = await self.replies(self.write(line + b"\r\n", 1))
        if not replies:
            raise Lost("closed before the answer")
        return replies[0]

    async def flushed(self) -> None:
        """Wait until the system has all that was written. Raises `Lost`."""
        while self.paused and not self.lost:
            self.stir = self.loop.create_future()
            await self.stir
        if self.lost:
            raise Lost("closed while writing")

    async def hung_up_within(self, seconds: float) -> bool:
        """Whether the other side ends the connection so soon."""
        await asyncio.wait((self.gone,), timeout=seconds)
        return self.hung_up

    def let_go(self) -> None:
        """End it from our side: what the operating system has not got yet is thrown away."""
        self.ours = True
        self.transport.abort()

    # What follows is called by the loop.

    def data_received(self, data: bytes) -> None:
        if self.ended:
            return
        *lines, self.half = (self.half + data).split(b"\n")
        for line in lines:
            self.line_received(line)
        if len(self.half) > LONGEST_LINE:
            self.replied(NO_REPLY)

    def line_received(self, line: bytes) -> None:
        """`250-…` goes on, `250 …` ends a reply; the codes of one reply are all the same (RFC 5321 section 4.2.1)."""
        digits, mark = line[:3], line[3:4]
        sound = digits.isdigit() and len(digits) == 3 and mark in MARKS and len(line) <= LONGEST_LINE
        if not sound or (self.earlier and self.earlier[0][:3] != digits):
            self.replied(NO_REPLY)
        elif mark == b"-":
            self.earlier.append(line)
            if sum(map(len, self.earlier)) > LONGEST_REPLY:
                self.replied(NO_REPLY)
        else:
            lines, self.earlier = (*self.earlier, line), []
            text = "\n".join([one[4:].strip().decode("utf-8", "surrogateescape") for one in lines])
            self.replied(Reply(int(digits), text))

    def replied(self, reply: Reply) -> None:
        if self.ended:
            return
        if not self.owed:
            self.out_of_turn = True
            self.end()
            return
        group = self.owed[0]
        group.replies.append(reply)
        if reply.code == 421 or not 200 <= reply.code < 600:
            self.turned_away = reply.code == 421
            self.end()
        elif len(group.replies) == group.wanted:
            self.owed.popleft()
            group.wake()

    def end(self) -> None:
        """Nothing that comes from here on is listened to."""
        self.ended = True
        while self.owed:
            self.owed.popleft().wake()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.wake_writer()

    def eof_received(self) -> bool:
        self.hung_up = True
        self.end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.lost = True
        self.hung_up = self.hung_up or not self.ours
        self.end()
        self.wake_writer()
        if not self.gone.done():
            self.gone.set_result(None)

    def wake_writer(self) -> None:
        if self.stir is not None and not self.stir.done():
            self.stir.set_result(None)


def take_over(transport: asyncio.BaseTransport) -> Wire:
    return Wire(cast("asyncio.Transport", transport))
