"""P3: mails that are ready to be written, over twenty kept connections, into one sink: by Postfix's smtp-source, by
aiosmtplib, and by our transport with all that it asks and promises on the way.

They take turns on one core, and the sink has another to itself where there is one.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import statistics
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from time import perf_counter, thread_time
from typing import Any

import aiosmtplib
import uvloop

from bench.measured import Measured, Row, rate
from bench.place import Place
from bench.post import SYSTEM_FOLDERS, open_relay
from channels.base import Message
from channels.email import Config, Email, Trip
from channels.smtp import Envelope

Turn = Callable[[int, int], tuple[float, float]]
"""Port and mails; mails a second, and CPU microseconds a mail."""

CONNECTIONS = 20
OCTETS = (b"x" * 74 + b"\r\n") * 148
"""11 KiB, as in smtp-source's turn."""
PATIENCE = 60.0


async def measure(place: Place, mails: int = 6000, rounds: int = 3) -> Measured:  # noqa: ARG001 - needs no servers
    """Medians of so many rounds of `mails` each."""
    speeds: dict[str, list[float]] = {}
    micros: dict[str, list[float]] = {}
    async with open_relay() as relay:
        if len(cores := sorted(os.sched_getaffinity(0))) > 1:
            relay.process.cpu_affinity(cores[1:])
        for _ in range(rounds):
            for name, turn in turns().items():
                speed, micro = await asyncio.to_thread(turn, relay.port, mails)
                speeds.setdefault(name, []).append(speed)
                micros.setdefault(name, []).append(micro)
    fast = {name: statistics.median(values) for name, values in speeds.items()}
    cpu = {name: statistics.median(values) for name, values in micros.items()}
    figures = {name: f"{rate(fast[name])}, {cpu[name]:.0f} µs CPU" for name in fast}
    told = Measured(figures={f"{name}_per_s": round(speed) for name, speed in fast.items()})
    told.rows = [Row("P3", f"{name}, {CONNECTIONS} connections", figures[name]) for name in fast if name != "ours"]
    if "smtp-source" in fast:
        ratio = fast["ours"] / fast["smtp-source"]
        told.rows.append(Row("P3", "our transport, to smtp-source", figures["ours"], ratio, 0.9))
    ratio = cpu["aiosmtplib"] / cpu["ours"]
    told.rows.append(Row("P3", "our transport, to aiosmtplib by CPU", figures["ours"], ratio, 4.0))
    told.notes.append("a turn's CPU is what its own process used; smtp-source is C and asks nobody before a dot")
    return told


def turns() -> dict[str, Turn]:
    """Who takes part."""
    known: dict[str, Turn] = {"aiosmtplib": by_aiosmtplib, "ours": by_our_own}
    return {"smtp-source": by_smtp_source, **known} if program() else known


def program() -> str | None:
    return shutil.which("smtp-source", path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")


def to_one_core() -> None:
    """This thread, and what it starts."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def by_smtp_source(port: int, mails: int) -> tuple[float, float]:
    to_one_core()
    command = [program() or "", "-d", "-s", str(CONNECTIONS), "-m", str(mails), "-l", str(len(OCTETS))]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    subprocess.run([*command, "-f", "b@shop.example", "-t", "u@mail.example", f"127.0.0.1:{port}"], check=True)
    wall, after = perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return mails / wall, used / mails * 1e6


def by_aiosmtplib(port: int, mails: int) -> tuple[float, float]:
    async def sender(numbers: Iterator[int]) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for number in numbers:
                await client.sendmail(f"b+{number}@shop.example", [f"u{number}@mail.example"], OCTETS)

    async def all_of_them() -> None:
        numbers = iter(range(mails))
        await asyncio.gather(*(sender(numbers) for _ in range(CONNECTIONS)))

    return timed(all_of_them, mails)


def by_our_own(port: int, mails: int) -> tuple[float, float]:
    async def all_of_them() -> None:
        channel = Email(Config(host="127.0.0.1", port=port, tls="none", connections=CONNECTIONS))
        numbers = iter(range(mails))
        await asyncio.gather(*(sender(channel, numbers) for _ in range(2 * CONNECTIONS)))
        await channel.close()

    return timed(all_of_them, mails)


async def sender(channel: Email, numbers: Iterator[int]) -> None:
    """What `Email.send` does with an envelope once it is written; two at a time for each connection, as claims are."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        start = loop.time()
        line, looked_at = await channel.line(yes, start + PATIENCE)
        trip = Trip(channel, Message(1, number, number, "", None), line)  # type: ignore[arg-type]  # ready to be written
        try:
            envelope = Envelope(f"b+{number}@shop.example", f"u{number}@mail.example", OCTETS, sound=True)
            await trip.made(envelope, yes, start, looked_at)
        finally:
            trip.ended()


async def yes() -> bool:
    return True


def timed(work: Callable[[], Awaitable[Any]], mails: int) -> tuple[float, float]:
    """On the loop that the daemon has, in this thread."""

    async def run() -> None:
        await work()

    to_one_core()
    began, used = perf_counter(), thread_time()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    return mails / (perf_counter() - began), (thread_time() - used) / mails * 1e6
