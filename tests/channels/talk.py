"""A relay that pipelines, answers by a script, holds answers back, and hangs up at whatever octet it is told to."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import timedelta

from channels.email import Config, Email

GREETING, HELLO = b"220 relay.test ESMTP\r\n", b"250-relay.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n"
POLITE = {"MAIL": b"250 2.1.0 ok\r\n", "RCPT": b"250 2.1.5 ok\r\n", "DATA": b"354 go\r\n", ".": b"250 2.0.0 taken\r\n"}
NUMBERS = (1, 2, 3)


@dataclass
class Talk(asyncio.Protocol):
    """One connection. It ends when `hears` octets have been understood, or when `says` octets have been said.

    Afterwards it listens on: `stream` is all that has left the client. `told`: what was said to whom in full.
    """

    relay: "Relay"
    hears: int | None = None
    says: int | None = None
    stream: bytes = b""
    told: list[tuple[str, str, bytes]] = field(default_factory=list)
    understood: int = 0
    said: int = 0
    in_body: bool = False
    whom: str = ""
    cut: bool = False
    backlog: list[bytes] = field(default_factory=list)

    def connection_made(self, transport):
        self.transport = transport
        self.say("CONNECT", GREETING)

    def data_received(self, data):
        self.stream += data
        while not self.cut and self.next_line():
            pass

    def next_line(self) -> bool:
        """Understand one line, or one body, if all of it may be heard."""
        ending = b"\r\n.\r\n" if self.in_body else b"\r\n"
        start = self.understood
        if self.in_body and self.stream.startswith(b".\r\n", start):
            end = start + 3
        else:
            at = self.stream.find(ending, start)
            end = at + len(ending) if at >= 0 else None
        if self.hears is not None and (len(self.stream) if end is None else end) > self.hears:
            self.die()
            return False
        if end is None:
            return False
        line, self.understood = self.stream[start:end], end
        self.answer(line)
        if self.hears == end:
            self.die()
        return True

    def answer(self, line: bytes):
        verb = "." if self.in_body else line.split()[0].split(b":")[0].decode().upper()
        if verb == "RCPT":
            self.whom = line.partition(b"<")[2].partition(b">")[0].decode()
        reply = HELLO if verb == "EHLO" else self.relay.reply(verb, self.whom)
        self.in_body = verb == "DATA" and reply.startswith(b"354")
        if self.backlog or (verb, self.whom) in self.relay.holds:
            self.backlog.append(reply)
        else:
            self.say(verb, reply)
        self.relay.noted(verb, self.whom)
        if verb == "." and reply.startswith(b"2"):
            self.relay.taken.append(self.whom)

    def say(self, verb: str, reply: bytes):
        room = len(reply) if self.says is None else max(0, self.says - self.said)
        part = reply[:room]
        self.said += len(part)
        for start in range(0, len(part), self.relay.pieces):
            self.transport.write(part[start : start + self.relay.pieces])
        if len(part) == len(reply):
            self.told.append((verb, self.whom, reply))
        if self.says is not None and self.said >= self.says:
            self.die()

    def go_on(self):
        """Say what was held back."""
        while self.backlog:
            self.transport.write(self.backlog.pop(0))

    def die(self):
        if not self.cut:
            self.cut = True
            self.transport.abort() if self.relay.rudely else self.transport.write_eof()

    def eof_received(self):
        self.transport.close()

    def connection_lost(self, error):
        self.relay.gone(self)


@dataclass
class Relay:
    """`script` by recipient and verb; the first connection dies as its arguments say, later ones are polite."""

    script: dict[str, dict[str, bytes]] = field(default_factory=dict)
    dies: dict[str, int] = field(default_factory=dict)
    rudely: bool = False
    pieces: int = 10**6
    talks: list[Talk] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    holds: set[tuple[str, str]] = field(default_factory=set)
    """Verb and recipient of an answer that is held back, and all behind it, until `go_on`."""
    seen: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)
    open: int = 0
    all_gone: asyncio.Event = field(default_factory=asyncio.Event)

    def reply(self, verb: str, whom: str) -> bytes:
        return self.script.get(whom, {}).get(verb) or POLITE.get(verb, b"250 2.0.0 ok\r\n")

    def talk(self) -> Talk:
        self.open += 1
        self.all_gone.clear()
        self.talks.append(Talk(self, **({} if self.talks else self.dies)))
        return self.talks[-1]

    def heard(self, verb: str, number: int) -> asyncio.Event:
        """Set as soon as this was said about this message's recipient."""
        return self.seen.setdefault((verb, address(number)), asyncio.Event())

    def noted(self, verb: str, whom: str) -> None:
        self.seen.setdefault((verb, whom), asyncio.Event()).set()

    def gone(self, talk: Talk) -> None:
        self.open -= 1
        if not self.open:
            self.all_gone.set()


def address(number: int) -> str:
    return f"person{number}@mail.example"


async def always(message):
    return True


@contextlib.asynccontextmanager
async def channel_to(relay, **options):
    """A channel with one connection to this relay; at the end all connections are gone."""
    server = await asyncio.get_running_loop().create_server(relay.talk, "127.0.0.1", 0)
    span = timedelta(seconds=60)
    plain = {"tls": "none", "connections": 1, "to_dot": span, "from_dot": span, "helo": "sender.test"}
    port = server.sockets[0].getsockname()[1]
    email = Email(Config(**{"host": "127.0.0.1", "port": port, **plain, **options}))
    try:
        yield email
    finally:
        await email.close()
        server.close()
        for talk in relay.talks:
            talk.transport.close()
        if relay.talks:
            await asyncio.wait_for(relay.all_gone.wait(), 60)


FIRST, SECOND = address(1), address(2)


async def handed_over(relay, make_message, numbers=NUMBERS, *, gate=always, **options):
    """Outcomes by number, when all connections are gone."""
    async with channel_to(relay, **options) as email:
        return await outcomes_of(email, make_message, numbers, gate)


async def outcomes_of(email, make_message, numbers=NUMBERS, gate=always, outcomes=None):
    outcomes = {} if outcomes is None else outcomes

    def report(message, outcome):
        assert message.id not in outcomes, "reported twice"
        outcomes[message.id] = outcome

    await email.hand_over([make_message(number, address(number)) for number in numbers], gate, report)
    return outcomes
