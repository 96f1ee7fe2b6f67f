"""A mail relay in a process of its own: it answers late, badly or not at all, and remembers what it took.

Arguments: mail port, control port, perhaps another address for mails. On the control port each line is {"set": words to
change, "tell": names}; the answer is what the relay knows under these names. Instants are the machine's clock, as
PostgreSQL's are.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

MESSAGE_ID = re.compile(rb"^message-id:\s*<([^>]+)>", re.IGNORECASE | re.MULTILINE)
POLITE = {
    **{"delay": 0.0, "delay_at_mail": 0.0, "delay_at_greeting": 0.0, "faults": 0.0, "slow": 0.3, "hold": False},
    **{"greeting": "220 relay ready", "pipelining": False, "login": "", "at_rcpt": {}, "at_dot": {}},
}
"""`login`: the answer to AUTH, offered only then. `at_rcpt` and `at_dot`: answers by recipient, `*` for all others."""
PULSE = 0.005
FAULTS = ("busy at RCPT", "busy after the dot", "taken and dropped", "dropped and not taken", "slow")


@dataclass
class Relay:
    """What it does, and what it knows."""

    words: dict[str, Any] = field(default_factory=lambda: dict(POLITE))
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    taken: list[tuple[str, str, float]] = field(default_factory=list)
    """(Message-ID, recipient, when)."""
    begun: list[tuple[str, float]] = field(default_factory=list)
    """(recipient, when the first byte of its transaction came)."""
    faults: Counter[str] = field(default_factory=Counter)
    ambiguous: set[str] = field(default_factory=set)
    under_way: Counter[str] = field(default_factory=Counter)
    """Transactions that are open, by the name in EHLO."""
    cut: Counter[str] = field(default_factory=Counter)
    """Transactions that the other side broke off, by the name in EHLO."""
    beat: float = 0.0
    """When this process last ran, at most 5 ms ago unless the machine was busy elsewhere."""
    late: list[float] = field(default_factory=list)
    """By how many seconds each beat came late: what the machine leaves to a process that has next to nothing to do."""
    held: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def beats(self) -> None:
        while True:
            before, self.beat = self.beat, time.clock_gettime(time.CLOCK_REALTIME)
            self.late.append(self.beat - before - PULSE if before else 0.0)
            await asyncio.sleep(PULSE)

    def told(self) -> dict[str, Any]:
        return {
            "taken": self.taken,
            "begun": self.begun,
            "faults": self.faults,
            "ambiguous": sorted(self.ambiguous),
            "under_way": +self.under_way,
            "cut": self.cut,
            "held": self.held,
            "late": self.late,
        }

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            asked = json.loads(line)
            self.words.update(asked.get("set", {}))
            if not self.words["hold"]:
                self.released.set()
                self.released = asyncio.Event()
            keys = asked.get("tell", ["under_way", "cut", "held"])
            told = self.told()
            writer.write(json.dumps({key: told[key] for key in keys}).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def mail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guest = Guest(self, reader, writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await guest.served()
        if guest.open:
            self.under_way[guest.name] -= 1
            self.cut[guest.name] += 1
        writer.close()


@dataclass
class Guest:
    """One connection."""

    relay: Relay
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    name: str = "?"
    address: str = ""
    fault: str = ""
    open: bool = False

    async def served(self) -> None:
        words = self.relay.words
        await asyncio.sleep(words["delay_at_greeting"])
        await self.say(words["greeting"])
        while line := await self.reader.readline():
            word, _, rest = line.decode("latin-1").strip().partition(" ")
            match word.upper():
                case "EHLO" | "HELO":
                    self.name = rest
                    await self.offers()
                case "AUTH":
                    await self.say(words["login"])
                case "MAIL":
                    await self.begins()
                case "RCPT":
                    await self.names(rest)
                case "DATA" if not self.address:
                    await self.say("554 5.5.1 nobody to send it to")
                case "DATA":
                    await self.say("354 go on")
                    if not await self.takes(await self.reader.readuntil(b"\r\n.\r\n")):
                        return
                case "QUIT":
                    await self.say("221 bye")
                    return
                case _:
                    self.ends()
                    await self.say("250 ok")

    async def offers(self) -> None:
        words = self.relay.words
        lines = ["relay", *["PIPELINING"] * words["pipelining"], *["AUTH PLAIN"] * bool(words["login"])]
        for line in lines[:-1]:
            await self.say(f"250-{line}")
        await self.say(f"250 {lines[-1]}")

    async def begins(self) -> None:
        # It has come since the last beat: a relay that had to wait for its turn must not make others late.
        self.relay.begun.append(("", self.relay.beat))
        self.place = len(self.relay.begun) - 1
        if not self.open:
            self.open = True
            self.relay.under_way[self.name] += 1
        faulty = self.relay.chance.random() < self.relay.words["faults"]
        self.fault = self.relay.chance.choice(FAULTS) if faulty else ""
        self.relay.faults[self.fault or "none"] += 1
        await asyncio.sleep(self.relay.words["delay_at_mail"])
        await self.say("250 ok")

    async def names(self, rest: str) -> None:
        self.address = rest.partition("<")[2].partition(">")[0]
        self.relay.begun[self.place] = (self.address, self.relay.begun[self.place][1])
        refusal = "450 4.2.1 busy" if self.fault == "busy at RCPT" else self.agreed("at_rcpt")
        if refusal:
            self.address = ""
        await self.say(refusal or "250 ok")

    def agreed(self, place: str) -> str:
        """What was agreed for this recipient."""
        answers = self.relay.words[place]
        return str(answers.get(self.address) or answers.get("*", ""))

    async def takes(self, body: bytes) -> bool:
        """False: the connection is dropped without an answer."""
        relay = self.relay
        await asyncio.sleep(relay.words["delay"] + (relay.words["slow"] if self.fault == "slow" else 0))
        if self.fault == "busy after the dot":
            self.ends()
            await self.say("451 4.3.0 come again")
            return True
        if said := self.agreed("at_dot"):
            self.ends()
            await self.say(said)
            return True
        if self.fault == "dropped and not taken":
            relay.ambiguous.add(self.address)
            self.ends()
            return False
        found = MESSAGE_ID.search(body)
        assert found, "a mail without Message-ID"
        relay.taken.append((found[1].decode(), self.address, time.clock_gettime(time.CLOCK_REALTIME)))
        if self.fault == "taken and dropped":
            relay.ambiguous.add(self.address)
            self.ends()
            return False
        if relay.words["hold"]:
            relay.held += 1
            await relay.released.wait()
            relay.held -= 1
        await self.say("250 2.0.0 taken")
        self.ends()
        return True

    def ends(self) -> None:
        if self.open:
            self.open = False
            self.relay.under_way[self.name] -= 1
            self.relay.cut[self.name] += self.reader.at_eof()

    async def say(self, line: str) -> None:
        self.writer.write(line.encode() + b"\r\n")
        await self.writer.drain()


async def main(mail_port: int, control_port: int, mail_host: str = "127.0.0.1") -> None:
    relay = Relay()
    limit = 1 << 20
    post = await asyncio.start_server(relay.mail, mail_host, mail_port, limit=limit)
    control = await asyncio.start_server(relay.control, "127.0.0.1", control_port, limit=limit)
    beating = asyncio.create_task(relay.beats())
    print("ready", flush=True)
    async with post, control:
        await asyncio.to_thread(sys.stdin.read)  # until whoever started us is gone
    beating.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
