"""P11: what the same work costs beside ten and a hundred times the stored carts, and what the worker's memory does.

A cycle is 1,000 changed carts kept, those at rest enrolled, decided, claimed by 64 and recorded, then half of the
customers buy: the product's own steps, on carts that lie scattered among the stored ones. Rendering and SMTP know
nothing of how much is stored and are left out. Then the bell asks what is due while nothing is.
Memory is that of a process of its own for each size, after one cycle: this one holds a house for every size.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from multiprocessing import get_context
from time import perf_counter

import psutil

from bench.crowd import AGO, cart, keep_all, keep_page
from bench.measured import Measured, Row
from bench.past import add_past, filling
from bench.phases import STEPS, drained
from bench.place import NOON, Place
from channels.base import Message, Outcome
from daemon import logs
from daemon.context import Context
from daemon.flow import decide, deliver, enrol, keep, outcomes
from daemon.flow.ingest import micros
from daemon.flow.keep import Look
from daemon.house import house
from daemon.settings import Settings
from daemon.shops.base import OrderSnapshot
from daemon.store import clock, work
from daemon.store.database import Connection, again

CHANGED = 1_000
CYCLES = 8
"""The first one warms up, the last one is for the process whose memory is looked at."""
LOOKS = 100
STEPS_OF_CYCLE = ("kept", "enrolled", "decided", "claimed", "recorded", "stopped")
Spans = dict[str, list[float]]


async def measure(place: Place, stored: int = 100_000, growth: int = 2) -> Measured:
    """`growth` sizes, each ten times the one before; `stored` is the smallest. Three of them take 22 GB of disk."""
    found: dict[int, Spans] = {}
    memory: dict[int, float] = {}
    async with AsyncExitStack() as stack:
        contexts = {}
        for size in (stored * 10**step for step in range(growth)):
            contexts[size] = await stack.enter_async_context(beside(place, size))
            found[size], memory[size] = defaultdict(list), await alone(contexts[size])
            await cycle(contexts[size], 0, defaultdict(list))
        for number in range(1, CYCLES - 1):  # in turn: the machine may be busier at one time than at another
            for size, context in contexts.items():
                await cycle(context, number, found[size])
        for _ in range(LOOKS):
            for size, context in contexts.items():
                await nothing_due(context, found[size]["nothing due"])
    return told(found, memory)


@asynccontextmanager
async def beside(place: Place, size: int) -> AsyncIterator[Context]:
    """A shop with `size` stored carts, among them those of the cycles, a page of them at a time."""
    url = await place.database()
    async with place.household(url, smtp_host="127.0.0.1") as context:
        before = NOON - timedelta(days=30)
        await clock.set_clock(context.pool, before, Decimal(0))
        shop_id, share = context.shop_ids["main"], size // CYCLES
        async with filling(url):
            for page in range(CYCLES):
                await add_past(url, shop_id, page * share, share, NOON)
                numbers = range(page * CHANGED, (page + 1) * CHANGED)
                await keep_all(context, (cart(number, before, consents=True) for number in numbers), before)
        await clock.set_clock(context.pool, NOON, Decimal(0))
        while await enrol.resting_carts(context, shop_id, NOON):
            pass  # found too late, all of them
        gc.collect()
        yield context


async def alone(context: Context) -> float:
    """MiB of a process that had its part in nothing but one cycle here."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return await asyncio.get_running_loop().run_in_executor(processes, remembered, context.settings)


def remembered(settings: Settings) -> float:
    async def last_cycle() -> float:
        async with house(settings, settings.database_url.get_secret_value()) as context:
            await cycle(context, CYCLES - 1, defaultdict(list))
            gc.collect()
            return float(psutil.Process().memory_info().rss / 2**20)

    logs.set_up(settings)
    return asyncio.run(last_cycle())


async def cycle(context: Context, number: int, spans: Spans) -> None:
    """One of each page's carts in `CYCLES`, so that no two of a cycle lie side by side."""
    shop_id = context.shop_ids["main"]
    chosen = range(number, CYCLES * CHANGED, CYCLES)
    changed = [cart(one, NOON, quantity=2, consents=True) for one in chosen]
    began = perf_counter()

    def until_now(step: str) -> None:
        nonlocal began
        spans[step].append(perf_counter() - began)
        began = perf_counter()

    await keep_page(context, changed, Look(NOON, micros(NOON)))
    until_now("kept")
    await drained(context, enrol.resting_carts)
    until_now("enrolled")
    await drained(context, decide.due_recoveries)
    until_now("decided")
    await drained(context, STEPS["prepared"])
    began = perf_counter()
    claims = []
    while found := (await deliver.claim(context, shop_id, "email", NOON, deliver.MOST))[1]:
        claims += found
    until_now("claimed")
    if len(claims) != CHANGED:
        raise SystemExit(f"{len(claims)} messages of {CHANGED} carts could be claimed")
    taken = Outcome("accepted", code="250")
    for start in range(0, CHANGED, 100):
        group = [(Message(shop_id, one.id, one.fence, "", None), taken) for one, _ in claims[start : start + 100]]  # type: ignore[arg-type]  # nothing is sent
        await outcomes.write(context, shop_id, "email", group)
    until_now("recorded")
    await buy(context, [order(one) for one in chosen[: CHANGED // 2]])
    until_now("stopped")


def order(number: int) -> OrderSnapshot:
    at = NOON - AGO + timedelta(hours=1)
    return OrderSnapshot(
        f"order-{number}", at, "paid", "purchase", Decimal("49.90"), "EUR", f"{number}", cart_ref=f"cart-{number}"
    )


async def buy(context: Context, orders: list[OrderSnapshot]) -> None:
    shop_id = context.shop_ids["main"]

    async def body(db: Connection) -> int:
        await work.serialise(db, shop_id)
        return await keep.keep_orders(context, db, shop_id, orders, Look(NOON, micros(NOON)))

    if await again(context.pool, body) != len(orders):
        raise SystemExit("not every order was news")


async def nothing_due(context: Context, spans: list[float]) -> None:
    began = perf_counter()
    await work.due(context.pool, list(context.shop_ids.values()), NOON - timedelta(days=400))
    spans.append(perf_counter() - began)


def told(found: dict[int, Spans], memory: dict[int, float]) -> Measured:
    sizes = list(found)
    middle = {size: {step: statistics.median(spans) * 1e3 for step, spans in found[size].items()} for size in sizes}
    whole = {size: sum(middle[size][step] for step in STEPS_OF_CYCLE) for size in sizes}
    few, many = sizes[0], sizes[-1]
    what = f"beside {many:,} carts, to {few:,}"

    def row(step: str, by_size: dict[int, float], unit: str, bound: float | None = None) -> Row:
        figure = ", ".join(f"{by_size[size]:.{2 if by_size[size] < 10 else 0}f}" for size in sizes)
        return Row("P11", f"{step} {what}", f"{figure} {unit}", by_size[many] / by_size[few], bound, at_most=True)

    def of(step: str) -> dict[int, float]:
        return {size: middle[size][step] for size in sizes}

    rows = [
        row("a cycle of 1,000 changed carts", whole, "ms", 2.5),
        *(row(f"of it {step}", of(step), "ms", 2.0 if step == "claimed" else None) for step in STEPS_OF_CYCLE),
        row("nothing due", of("nothing due"), "ms", 1.3),
        row("memory of the process", memory, "MiB", 1.15),
    ]
    return Measured(rows, {f"cycle_{size}_ms": round(value, 1) for size, value in whole.items()})
