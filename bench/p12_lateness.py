"""P12: how late a mail is, from the instant its step is due to the relay's 250 on record, and what an idle house costs.

Carts come to rest one after the other, so many a second; a real worker process enrols, decides, prepares, claims and
sends each, and the clock runs as it does in production.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from time import perf_counter

from bench.crowd import cart, keep_all
from bench.measured import Measured, Row
from bench.p01_mail import BEFORE, until, worker
from bench.place import NOON, Place, cpu_of, settle
from bench.post import Relay, open_relay
from daemon.store import clock

RATES = (50, 100, 200, 500)
"""Steps that come due a second. The goal is set at the last."""
AFTER = timedelta(hours=1)
"""The preset's first step."""
START = timedelta(seconds=6)
EARLIER = 100
"""Mails that leave before, so that it is a shop that has been running: all was asked before, tables have statistics."""
SETTLED = 8
"""Seconds after which a worker has asked all its questions for the first time."""
ACCEPTED = "SELECT count(*) FROM message WHERE state = 'accepted'"
LATENESS = """
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM m.accepted_at - c.still_since) - $1)
FROM message m JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id
JOIN cart c ON c.shop_id = r.shop_id AND c.id = r.cart_id WHERE m.state = 'accepted' AND c.still_since >= $2
"""


async def measure(place: Place, due: int = 1000, idle: int = 20) -> Measured:
    """`due` steps at each rate; `idle` seconds without anything to do."""
    told = Measured()
    async with open_relay() as relay:
        for rate in RATES:
            middle, late = await lateness(place, relay, rate, min(due, rate * 10))
            bound = 1.0 if rate == RATES[-1] else None
            what = f"due to accepted at {rate} due a second, 99th percentile in s"
            told.rows.append(Row("P12", what, f"{late:.2f} s, half of them {middle:.2f} s", late, bound, at_most=True))
            told.figures |= {f"late_p99_at_{rate}_s": round(late, 3), f"late_p50_at_{rate}_s": round(middle, 3)}
        ours, database = await idleness(place, relay, idle)
    what = f"{ours:.1%} of a core, PostgreSQL {database:.1%}"
    told.rows.append(Row("P12", "an idle worker, in per cent of a core", what, ours * 100, 1.0, at_most=True))
    return told


async def lateness(place: Place, relay: Relay, rate: int, due: int) -> tuple[float, float]:
    """Median and 99th percentile in seconds."""
    url = await place.database()
    async with place.household(url) as context:
        carts = [replace(cart(n, NOON, consents=True), source_updated_at=rests_until(n / rate)) for n in range(due)]
        carts += [cart(due + n, NOON, consents=True) for n in range(EARLIER)]
        await clock.set_clock(context.pool, BEFORE, Decimal(0))
        await keep_all(context, carts, NOON - AFTER / 2)
        await settle(context)
        async with worker(place, url, relay):
            await until(context.pool, "SELECT count(*) FROM heartbeat", 1)
            await asyncio.sleep(1)
            await clock.set_clock(context.pool, NOON, Decimal(1))
            await until(context.pool, ACCEPTED, EARLIER)
            await settle(context)
            await until(context.pool, ACCEPTED, EARLIER + due)
        middle, late = await context.pool.fetchval(LATENESS, AFTER.total_seconds(), rests_until(0))
    return middle, late


def rests_until(seconds: float) -> datetime:
    """The last change of a cart whose first step is due so many seconds after the start."""
    return NOON + START - AFTER + timedelta(seconds=seconds)


async def idleness(place: Place, relay: Relay, seconds: int) -> tuple[float, float]:
    """Shares of a core: the worker's and PostgreSQL's, while 1,000 carts lie there and nothing is due."""
    url = await place.database()
    async with place.household(url) as context:
        await clock.set_clock(context.pool, BEFORE, Decimal(0))
        await keep_all(context, (cart(n, NOON, consents=True) for n in range(1000)), NOON)
        async with worker(place, url, relay) as process:
            await until(context.pool, "SELECT count(*) FROM heartbeat", 1)
            await asyncio.sleep(SETTLED)
            began, before = perf_counter(), (cpu_of(process), cpu_of(place.postgres()))
            await asyncio.sleep(seconds)
            span = perf_counter() - began
            return (cpu_of(process) - before[0]) / span, (cpu_of(place.postgres()) - before[1]) / span
