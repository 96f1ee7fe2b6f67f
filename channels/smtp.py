"""One mail over one line, phase by phase, so that we always know whether the final dot has left.

A relay that offers PIPELINING (RFC 2920) gets MAIL, RCPT and DATA at once, and the next envelope while its answer to
the last dot is still on its way; any other one gets them one by one. Either way one transaction has one recipient.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from aiosmtplib import SMTPResponseException

from channels import points
from channels.base import NotSent, Unclear, Withheld
from channels.line import Line, classed
from channels.replies import Phase, Reply, refusal
from channels.wire import Group, Lost, Wire

FRESH = 0.05
"""Seconds for which an answer of the gate holds, counted from the question; an older one is asked for again."""

GRACE = 0.05
"""Seconds for which a refusal after the dot has to stand: a relay that hangs up within them may have refused in the
middle of the mail, and nobody can tell what became of the rest."""

AT_ONCE = 64 * 1024
"""Octets that an idle connection takes in one go, or nearly; of a larger mail the dot waits until the rest has left."""

DOT = b".\r\n"
NEW_LINE = 10

Gate = Callable[[], Awaitable[bool]]

LONE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ENVELOPE: tuple[Phase, ...] = ("mail", "rcpt", "data")


class Envelope(NamedTuple):
    """One mail for one recipient, ready to be written: `octets` with CRLF lines, not yet dot-stuffed."""

    sender: str
    recipient: str
    octets: bytes
    sound: bool = False
    """Known to have no other line ends, and one at the end."""
    needs_smtputf8: bool = False
    mail_parameters: tuple[str, ...] = ()
    rcpt_parameters: tuple[str, ...] = ()

    def commands(self) -> tuple[bytes, bytes, bytes]:
        """MAIL, RCPT and DATA, exactly as given."""
        options = (*self.mail_parameters, "SMTPUTF8") if self.needs_smtputf8 else self.mail_parameters
        mail = " ".join((f"MAIL FROM:<{self.sender}>", *options))
        rcpt = " ".join((f"RCPT TO:<{self.recipient}>", *self.rcpt_parameters))
        if CONTROL.search(mail + rcpt):
            raise ValueError("a control character in an envelope")
        return f"{mail}\r\n".encode(), f"{rcpt}\r\n".encode(), b"DATA\r\n"


async def transact(
    line: Line,
    envelope: Envelope,
    gate: Gate,
    until: float,
    patience: float,
    *,
    looked_at: float | None = None,
    on_dot: Callable[[], None] | None = None,
) -> Reply:
    """One mail, one recipient. The reply that accepted it; raises the contract's exceptions.

    The caller has just asked `gate`, at loop time `looked_at`. No byte of the envelope, and not the dot, leaves on an
    answer older than `FRESH`. `until`: loop time by which the final dot must have left; `patience`: seconds from it to
    its answer. From `on_dot` on the line may be given the next envelope if it pipelines.
    """
    wire = line.wire
    if wire is None:
        raise ValueError("the line is not open")
    now = asyncio.get_running_loop().time()
    one = Transaction(line, wire, envelope, gate, now if looked_at is None else looked_at)
    with classed(line, one, envelope.recipient):
        with wire.patience.until(until):
            await (one.at_once() if line.pipelines else one.by_turns())
            asked = await one.upload()
        if on_dot is not None:
            on_dot()
        answer = await one.answered(asked, patience)
    return await believed(one, answer)


@dataclass(slots=True, eq=False)
class Transaction:
    """Where one mail stands on its line."""

    line: Line
    wire: Wire
    envelope: Envelope
    gate: Gate
    looked_at: float
    phase: Phase = "mail"
    dotted: bool = False

    async def at_once(self) -> None:
        """MAIL, RCPT and DATA in one write; all three answers count (RFC 2920 section 3.1)."""
        self.line.soiled = True
        replies = await self.wire.replies(self.wire.write(b"".join(self.envelope.commands()), 3))
        try:
            for number, phase in enumerate(ENVELOPE):
                self.wanted(phase, replies[number] if number < len(replies) else None)
        except NotSent:
            if len(replies) == len(ENVELOPE):
                await self.back_out(*replies[1:])
            raise

    async def by_turns(self) -> None:
        """One command after the other; the gate is asked once more before DATA, from which there is no way back."""
        self.line.soiled = True
        for phase, command in zip(ENVELOPE, self.envelope.commands(), strict=True):
            if phase == "data":
                await self.look()
            self.phase = phase
            replies = await self.wire.replies(self.wire.write(command, 1))
            self.wanted(phase, replies[0] if replies else None)

    def wanted(self, phase: Phase, reply: Reply | None) -> None:
        """Raises unless it is the answer that was hoped for."""
        self.phase = phase
        if reply is None:
            raise Lost("no answer")
        if reply.code < 0:
            raise SMTPResponseException(reply.code, "")
        if phase == "data":
            self.line.broken = not (reply.temporary or reply.permanent)  # in step again with the answer to the dot
        if reply.code != 354 if phase == "data" else not reply.good:
            raise refusal(phase, reply, self.envelope.recipient)
        self.line.proved = True

    async def back_out(self, rcpt: Reply, data: Reply) -> None:
        """The envelope was refused. A relay that wants the mail all the same gets a lone dot, and so nothing for
        nobody; one that may have taken the recipient gets no dot at all."""
        if data.temporary or data.permanent:
            return
        self.line.broken = True
        if data.code == 354 and (rcpt.temporary or rcpt.permanent):
            try:
                await self.wire.ask(b".")
            except (OSError, asyncio.CancelledError):
                return  # that it was refused is known
            self.line.broken = False

    async def upload(self) -> Group:
        """The body and its dot. A gate that shuts now costs the connection, as there is no other way back."""
        await self.fresh()
        octets = stuffed(self.envelope.octets, sound=self.envelope.sound)
        if len(octets) <= AT_ONCE:
            asked = self.write(octets + DOT, 1)
            await self.gone_in_time()
        else:
            self.write(octets, 0)
            await self.wire.flushed()
            await self.fresh()
            asked = self.write(DOT, 1)
        self.over_the_dot()
        return asked

    def write(self, octets: bytes, wanted: int) -> Group:
        """Unless the relay answers what it was not asked, with an envelope in its hands: it has a mind of its own."""
        if self.wire.out_of_turn:
            raise Unclear("final dot: an answer before it was asked for, so the mail may have been taken", code="early")
        return self.wire.write(octets, wanted)

    async def gone_in_time(self) -> None:
        """While something waits for the system to take it, the gate is asked on and on; when it shuts, or answers too
        late, what is left is thrown away."""
        try:
            while self.wire.paused:
                half_way = self.looked_at + FRESH / 2
                with contextlib.suppress(TimeoutError), self.wire.patience.until(half_way):
                    await self.wire.flushed()
                if self.wire.paused:
                    with self.wire.patience.until(self.looked_at + FRESH):
                        await self.look()
        except BaseException:
            self.line.abort()
            raise

    def over_the_dot(self) -> None:
        """From here on the mail may have been taken."""
        self.phase, self.dotted = "dot", True
        self.line.pending, self.line.soiled, self.line.broken = True, False, False
        points.reached("dot_written")

    async def answered(self, asked: Group, patience: float) -> Reply:
        """The answer to the dot, whatever it is."""
        try:
            with self.wire.patience.until(self.wire.loop.time() + patience):
                replies = await self.wire.replies(asked)
        finally:
            self.line.pending = False
        if not replies:
            raise Lost("no answer")
        if replies[0].code < 0:
            raise SMTPResponseException(replies[0].code, "")
        return replies[0]

    async def fresh(self) -> None:
        """Ask again unless the last answer is young enough."""
        if self.wire.loop.time() - self.looked_at > FRESH:
            await self.look()

    async def look(self) -> None:
        asked_at = self.wire.loop.time()
        await ask(self.gate)
        self.looked_at = asked_at


async def believed(one: Transaction, answer: Reply) -> Reply:
    """The answer to the dot, if it is yes."""
    if not (answer.good or answer.temporary or answer.permanent):
        one.line.broken = True
        raise Unclear("final dot: an answer that is none, so the mail may have been taken", code=answer.number)
    if answer.permanent and await hung_up(one.wire):
        raise Unclear("final dot: refused by a relay that hung up, perhaps before it had read it", code=answer.number)
    if not answer.good:
        raise refusal("dot", answer, one.envelope.recipient)
    return answer


async def hung_up(wire: Wire) -> bool:
    try:
        return await wire.hung_up_within(GRACE)
    except asyncio.CancelledError:
        return wire.hung_up  # stopped: what is known by now counts


async def ask(gate: Gate) -> None:
    """Raises `Withheld` unless the gate says that the message may leave; a gate that fails says no."""
    try:
        open_ = await gate()
    except Exception as error:
        raise Withheld(f"could not ask whether it may still leave ({type(error).__name__})") from None
    if not open_:
        raise Withheld("it may not leave any more")


def stuffed(octets: bytes, *, sound: bool = False) -> bytes:
    """CRLF lines only, dots at a line's start doubled (RFC 5321 section 4.5.2), CRLF at the end."""
    if not sound:
        if not octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r"):
            octets = LONE.sub(b"\r\n", octets)
        if not octets.endswith(b"\r\n"):
            octets += b"\r\n"
    pieces, start = [], 0
    dot = octets.find(b".")  # there are fewer dots than line ends, and a single octet is found fastest
    while dot >= 0:
        if dot == 0 or octets[dot - 1] == NEW_LINE:
            pieces.append(octets[start:dot])
            start = dot
        dot = octets.find(b".", dot + 1)
    return b".".join((*pieces, octets[start:])) if pieces else octets
