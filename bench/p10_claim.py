"""P10 and a look at P11: batches against one at a time at steps 4 and 6, and what asking costs when nothing is due."""

from __future__ import annotations

import statistics
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from time import perf_counter

from bench.crowd import cart, keep_all
from bench.measured import Measured, Row, rate
from bench.phases import STEPS, drained
from bench.place import NOON, Meter, Place, settle
from daemon.context import Context
from daemon.flow import decide, deliver
from daemon.store import clock, work

SINGLES = 30
"""Batches of one a round; beside each such round one batch of the full size."""
LOOKS = 200
SIZES = (2_000, 20_000)


async def measure(place: Place, rounds: int = 3) -> Measured:
    told = await claims(place, rounds)
    more = await looks(place)
    return Measured(told.rows + more.rows, told.figures | more.figures)


async def claims(place: Place, rounds: int) -> Measured:
    """Full batches and ones in turn, of recoveries decided and of messages claimed; nothing is sent."""
    sizes = {"decided": decide.MOST, "claimed": deliver.MOST}
    meters = {(kind, size): Meter(place.postgres()) for kind in sizes for size in (sizes[kind], 1)}
    async with place.household(smtp_host="127.0.0.1") as context:
        carts = rounds * (decide.MOST + SINGLES)
        await keep_all(context, (cart(n, NOON, consents=True) for n in range(carts)), NOON)
        await drained(context, STEPS["enrolled"])
        await settle(context)
        for _ in range(rounds):
            await decided(context, meters["decided", decide.MOST], decide.MOST, 1)
            await decided(context, meters["decided", 1], 1, SINGLES)
        await drained(context, STEPS["prepared"])
        await settle(context)
        for _ in range(rounds):
            await claim(context, meters["claimed", deliver.MOST], deliver.MOST, 1)
            await claim(context, meters["claimed", 1], 1, SINGLES)
    told = Measured()
    for kind, size in sizes.items():
        batch, single = meters[kind, size], meters[kind, 1]
        speed = rounds * size / batch.wall, rounds * SINGLES / single.wall
        bound = 15 if kind == "decided" else None  # the goal is for batches of 100 to 500; claims are small on purpose
        told.rows += [
            Row("P10", f"{kind} one at a time", f"{rate(speed[1])}, {single.per(rounds * SINGLES)}"),
            Row(
                "P10",
                f"{kind} {size} at a time, to that",
                f"{rate(speed[0])}, {batch.per(rounds * size)}",
                speed[0] / speed[1],
                bound,
            ),
        ]
        told.figures |= {f"{kind}_by_{size}_per_s": round(speed[0]), f"{kind}_by_1_per_s": round(speed[1])}
    return told


async def decided(context: Context, meter: Meter, most: int, times: int) -> None:
    now = await clock.shop_now(context.pool)
    with meter:
        for _ in range(times):
            found = await decide.due_recoveries(context, context.shop_ids["main"], now, most)
            if found != most:
                raise SystemExit(f"{found} of {most} recoveries were due")


async def claim(context: Context, meter: Meter, most: int, times: int) -> None:
    now = await clock.shop_now(context.pool)
    with meter:
        for _ in range(times):
            _, claimed = await deliver.claim(context, context.shop_ids["main"], "email", now, most)
            if len(claimed) != most:
                raise SystemExit(f"{len(claimed)} of {most} messages could be claimed")


async def looks(place: Place) -> Measured:
    """The bell's question of what is due, while nothing is, beside few carts and beside ten times as many, in turn."""
    spans: dict[int, list[float]] = {size: [] for size in SIZES}
    async with AsyncExitStack() as stack:
        contexts = {size: await stack.enter_async_context(place.household()) for size in SIZES}
        for size, context in contexts.items():
            await clock.set_clock(context.pool, NOON - timedelta(days=1), Decimal(0))
            await context.pool.execute("UPDATE work SET due_at = $1", NOON)
            await keep_all(context, (cart(n, NOON) for n in range(size)), NOON)
            await settle(context)
        for _ in range(LOOKS):
            for size, context in contexts.items():
                spans[size].append(await look(context))
    few, many = (statistics.median(spans[size]) for size in SIZES)
    what = f"nothing due beside {SIZES[1]:,} carts, to {SIZES[0]:,}"
    row = Row("P11", what, f"{many * 1e3:.2f} and {few * 1e3:.2f} ms a look", many / few, 1.3, at_most=True)
    return Measured([row], {"look_few_ms": round(few * 1e3, 3), "look_many_ms": round(many * 1e3, 3)})


async def look(context: Context) -> float:
    """Seconds."""
    now = await clock.shop_now(context.pool)
    began = perf_counter()
    due = await work.due(context.pool, list(context.shop_ids.values()), now)
    span = perf_counter() - began
    if due:
        raise SystemExit(f"something is due: {due}")
    return span
