"""Where a mail's time goes: the flow's steps one after the other in this process, and what sending is made of."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from bench.crowd import cart, keep_all
from bench.measured import Row
from bench.place import NOON, Meter, Place, settle
from bench.post import Relay
from daemon.context import Context
from daemon.flow import decide, deliver, enrol, prepare
from daemon.store import clock

Step = Callable[[Context, int, datetime], Awaitable[int]]
STEPS: dict[str, Step] = {
    "enrolled": enrol.resting_carts,
    "decided": decide.due_recoveries,
    "prepared": prepare.planned_messages,
    "claimed, sent, recorded": deliver.due_messages,
}
PARTS = {
    "/channels/compose.py": "composing",
    "/email/": "composing",
    "/quopri": "composing",
    "/channels/": "SMTP",
    "/aiosmtplib/": "SMTP",
    "/asyncpg/": "PostgreSQL client",
    "/daemon/store/": "PostgreSQL client",
    "/aiosql/": "PostgreSQL client",
    "/json/": "PostgreSQL client",
    "/rules/": "rules at the gate",
    "/structlog/": "logs",
    "/daemon/": "the flow itself",
    "/asyncio/": "asyncio and the wire",
    "/selectors.py": "asyncio and the wire",
    "socket": "asyncio and the wire",
}
WAITING = ("epoll", "select.select")


async def of_one_process(place: Place, relay: Relay, mails: int) -> tuple[list[Row], str]:
    """A row for each step, and a sentence on what sending is made of."""
    smtp = {"smtp_host": "127.0.0.1", "smtp_port": relay.port, "smtp_tls": "none"}
    async with place.household(**smtp) as context:
        await keep_all(context, (cart(n, NOON, consents=True) for n in range(mails)), NOON)
        await settle(context)
        meters = {name: Meter(place.postgres()) for name in STEPS}
        for name, step in STEPS.items():
            with meters[name]:
                await drained(context, step)
    whole = sum(meter.wall for meter in meters.values())
    rows = [
        Row("P1", f"of it {name}", f"{meter.wall / mails * 1e6:.0f} µs, {meter.per(mails)}", meter.wall / whole)
        for name, meter in meters.items()
    ]
    return rows, await inside_sending(place, relay, mails // 2)


async def drained(context: Context, step: Step) -> None:
    """Until there is nothing left to do, and all that was handed over has been recorded. As in the daemon: on and on
    while there is something, then whenever something rings."""
    shop_id = context.shop_ids["main"]
    async with asyncio.timeout(120):
        while True:
            context.bell.clear()
            found = await step(context, shop_id, await clock.shop_now(context.pool))
            under_way = [task for made in context.deliveries.values() for task in made.under_way]
            if not found and not under_way:
                return
            if not found:
                await rung_or_ended(context, under_way)


async def rung_or_ended(context: Context, under_way: list[asyncio.Task[None]]) -> None:
    ring = asyncio.create_task(context.bell.wait())
    everything = asyncio.create_task(asyncio.wait(under_way))
    await asyncio.wait((ring, everything), return_when=asyncio.FIRST_COMPLETED)
    for task in (ring, everything):
        task.cancel()


async def inside_sending(place: Place, relay: Relay, mails: int) -> str:
    """The last step under a profiler, its own time by part; waiting is left out."""
    async with place.household(smtp_host="127.0.0.1", smtp_port=relay.port, smtp_tls="none") as context:
        await keep_all(context, (cart(n, NOON, consents=True) for n in range(mails)), NOON)
        await settle(context)
        *earlier, last = STEPS.values()
        for step in earlier:
            await drained(context, step)
        profile = cProfile.Profile()
        profile.enable()
        await drained(context, last)
        profile.disable()
    shares = by_part(profile)
    whole = sum(shares.values())
    return "our CPU in sending: " + ", ".join(f"{part} {time / whole:.0%}" for part, time in shares.most_common(8))


def by_part(profile: cProfile.Profile) -> Counter[str]:
    """Own time by part of the house; what is built in counts for whoever calls it."""
    stats: Any = pstats.Stats(profile)
    shares: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, callers) in stats.stats.items():
        if any(word in name for word in WAITING):
            continue
        if file == "~" and callers:
            for (caller, _, _), (_, _, caller_own, _) in callers.items():
                shares[part_of(caller, name)] += caller_own
        else:
            shares[part_of(file, name)] += own
    return shares


def part_of(file: str, name: str) -> str:
    return next((part for piece, part in PARTS.items() if piece in file or piece in name), "everything else")
