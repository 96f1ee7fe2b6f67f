"""P4: a relay that is 20 ms away, and one that allows no more than so many mails a second.

The transport alone stands against aiosmtplib and against the round trip itself: with one mail under way on each
connection nobody can do more than connections / round trip. The allowance is filled by two real worker processes that
share it; what counts is when the relay accepted each mail.
"""

from __future__ import annotations

import asyncio
import os
import sys
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from time import perf_counter

import aiosmtplib

from bench.crowd import cart, keep_all
from bench.far import open_far_relay, taken_by
from bench.measured import Measured, Row, rate
from bench.p01_mail import until
from bench.phases import STEPS, drained
from bench.place import NOON, Place, settle
from bench.post import Relay
from channels.base import Mail, Message, attempt
from channels.email import Config, Email
from daemon.store import clock

ROUND_TRIP = 0.02
CONNECTIONS = 20
WARM = 1.5
"""Seconds at either end that do not count: workers start, shares settle, the last mails run out."""
HTML = "<p>Hallo Ada, dein Warenkorb wartet noch.</p>\n" * 60
BEFORE = NOON - timedelta(hours=4)


async def measure(place: Place, far: int = 3000, allowed: int = 500) -> Measured:
    """`far` mails by each transport; an allowance of `allowed` a second, filled for some seconds."""
    told = Measured()
    async with open_far_relay(ROUND_TRIP) as relay:
        plain = await by_aiosmtplib(relay, far // 4)
        ours = await by_our_own(relay, far)
    bound = CONNECTIONS / ROUND_TRIP
    told.rows += [
        Row("P4", f"20 ms away, {CONNECTIONS} connections, to aiosmtplib", rate(ours), ours / plain, 3.5),
        Row("P4", "the same, to connections / round trip", f"{rate(plain)} with aiosmtplib", ours / bound, 0.8),
    ]
    async with open_far_relay(ROUND_TRIP) as relay:
        await filled(place, relay, allowed, allowed * 8)
        instants = await taken_by(relay)
    used, fullest = fill(instants), most_within(instants, 1.0)
    what = f"an allowance of {allowed}/s shared by two workers"
    told.rows += [
        Row("P4", f"{what}, used", rate(used), used / allowed, 0.95),
        Row("P4", f"{what}, its fullest second", f"{fullest} mails", fullest / allowed, 1.0, at_most=True),
    ]
    told.figures = {"mails_per_s_far": round(ours), "allowance_used_per_s": round(used, 1), "fullest_second": fullest}
    told.notes.append(f"half a second is fullest with {most_within(instants, 0.5)} mails")
    return told


def letters(count: int) -> Iterator[Message]:
    for number in range(count):
        mail = Mail(
            "Dein Warenkorb",
            "Hallo Ada\n",
            HTML,
            "laden@shop.example",
            "Laden",
            f"{number}@t.example",
            "b@shop.example",
        )
        yield Message(1, number, number, f"customer{number}@mail.example", mail)


async def by_our_own(relay: Relay, mails: int) -> float:
    """Mails a second with two under way or waiting for each connection, as the claim hands them over."""
    channel = Email(Config(host="127.0.0.1", port=relay.port, tls="none", connections=CONNECTIONS))

    async def may_leave(message: Message) -> bool:  # noqa: ARG001
        return True

    waiting = letters(mails)

    async def sender() -> None:
        for message in waiting:
            assert (await attempt(channel, message, may_leave)).state == "accepted"

    began = perf_counter()
    await asyncio.gather(*(sender() for _ in range(2 * CONNECTIONS)))
    wall = perf_counter() - began
    await channel.close()
    return mails / wall


async def by_aiosmtplib(relay: Relay, mails: int) -> float:
    waiting = letters(mails)

    async def sender() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=relay.port, start_tls=False) as client:
            for message in waiting:
                octets = f"Subject: x\r\n\r\n{HTML}".encode()
                await client.sendmail("b@shop.example", [message.address], octets)

    began = perf_counter()
    await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))
    return mails / (perf_counter() - began)


async def filled(place: Place, relay: Relay, allowed: int, mails: int) -> None:
    """Two workers with half of the connections each send so many prepared mails."""
    smtp = {
        "smtp_host": "127.0.0.1",
        "smtp_port": relay.port,
        "smtp_tls": "none",
        "smtp_connections": CONNECTIONS // 2,
        "smtp_rate": f"{allowed}/s",
    }
    url = await place.database()
    async with place.household(url) as context:
        await clock.set_clock(context.pool, NOON, Decimal(1))
        await keep_all(context, (cart(n, NOON, consents=True) for n in range(mails)), NOON)
        await settle(context)
        for name in ("enrolled", "decided", "prepared"):
            await drained(context, STEPS[name])
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(worker(place, url, smtp))
            await until(context.pool, "SELECT count(*) FROM message WHERE state = 'accepted'", mails)


@asynccontextmanager
async def worker(place: Place, url: str, more: dict[str, object]) -> AsyncIterator[None]:
    """`tillbell run --only worker` with these settings, until the end of the block."""
    settings = place.settings(url, **more)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TILLBELL_")}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        environment[f"TILLBELL_{name.upper()}"] = str(getattr(value, "get_secret_value", lambda value=value: value)())
    command = [sys.executable, "-m", "daemon", "run", "--only", "worker"]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


def fill(instants: Sequence[float]) -> float:
    """Mails a second, from the moment the workers have settled to shortly before the last."""
    first, last = instants[0] + WARM, instants[-1] - WARM
    return sum(first < at <= last for at in instants) / (last - first)


def most_within(instants: Sequence[float], span: float) -> int:
    """The fullest window: how many lie within any span that is shorter than `span`."""
    return max(place - bisect_right(instants, at - span) + 1 for place, at in enumerate(instants))
