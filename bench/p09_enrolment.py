"""P9: carts at rest enrolled in sets by the product's own step 3, against COPY of carts and against one arq job each.

The carts were kept by step 2 before the clock starts. COPY writes as many cart rows into the same table (the yardstick
of P8), and as many recoveries. The arq jobs are measured twice: empty, which is what a job costs before any SQL, and
enrolling one cart each by the same step 3, which is what such a design would come to.
"""

from __future__ import annotations

from typing import Any

import asyncpg
from arq import create_pool, func
from arq.connections import ArqRedis
from arq.worker import Worker

from bench.crowd import cart, keep_all
from bench.measured import Measured, Row, rate
from bench.place import NOON, Meter, Place, settle
from daemon.bell import redis_settings
from daemon.context import Context
from daemon.flow import enrol
from daemon.store import clock

KINDS = ("enrol", "copy", "copy_recoveries", "empty_jobs", "jobs")
COLUMNS = """
SELECT string_agg(column_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = $1 AND column_name <> 'id'
"""
JOBS = 300


async def measure(place: Place, carts: int = 10_000, rounds: int = 3) -> Measured:
    """`carts` a round, in batches as the daemon takes them."""
    meters = {kind: Meter(place.postgres()) for kind in KINDS}
    for number in range(rounds):
        async with place.household() as context:
            await keep_all(context, (cart(number * carts + n, NOON) for n in range(carts)), NOON)
            await copy(context, meters["copy"], "cart", "ref", carts)
            await settle(context)
            with meters["enrol"]:
                await enrol_all(context, carts)
            await copy_recoveries(context, meters["copy_recoveries"], carts)
            first = (number + rounds) * carts
            await keep_all(context, (cart(first + n, NOON) for n in range(JOBS)), NOON)
            await settle(context)
            await jobs_each(place, meters["jobs"], context)
        await jobs_each(place, meters["empty_jobs"], None)
    return told(meters, rounds * carts, rounds * JOBS)


async def enrol_all(context: Context, carts: int) -> None:
    shop_id, done = context.shop_ids["main"], 0
    while found := await enrol.resting_carts(context, shop_id, await clock.shop_now(context.pool)):
        done += found
    began = await context.pool.fetchval("SELECT count(*) FROM recovery")
    if (done, began) != (carts, carts):
        raise SystemExit(f"{done} carts answered, {began} recoveries of {carts}")


async def copy(context: Context, meter: Meter, table: str, name: str, most: int) -> None:
    """Rows of the table once more, under other names; they are gone again afterwards."""
    db = await asyncpg.connect(context.settings.database_url.get_secret_value())
    try:
        columns = [one for one in (await db.fetchval(COLUMNS, table)).split(", ") if one != name]
        rows = await db.fetch(f"SELECT 'copy-' || {name}, {', '.join(columns)} FROM {table} ORDER BY id LIMIT $1", most)
        records = [tuple(row) for row in rows]
        with meter:
            for start in range(0, most, enrol.MOST):
                page = records[start : start + enrol.MOST]
                await db.copy_records_to_table(table, records=page, columns=[name, *columns])
        await db.execute(f"DELETE FROM {table} WHERE {name} LIKE 'copy-%'")
        await db.execute(f"VACUUM {table}")
    finally:
        await db.close()


async def copy_recoveries(context: Context, meter: Meter, most: int) -> None:
    """The recoveries that were begun, once more: taken out and written back as they are."""
    db = await asyncpg.connect(context.settings.database_url.get_secret_value())
    try:
        columns = await db.fetchval(COLUMNS, "recovery")
        records = [tuple(row) for row in await db.fetch(f"DELETE FROM recovery RETURNING {columns}")]
        await db.execute("VACUUM recovery")
        with meter:
            for start in range(0, most, enrol.MOST):
                page = records[start : start + enrol.MOST]
                await db.copy_records_to_table("recovery", records=page, columns=columns.split(", "))
    finally:
        await db.close()


async def job(box: dict[str, Any], _: int) -> None:
    """One cart's, or nobody's."""
    if context := box["context"]:
        await enrol.resting_carts(context, context.shop_ids["main"], await clock.shop_now(context.pool), most=1)


async def jobs_each(place: Place, meter: Meter, context: Context | None) -> None:
    """Jobs enqueued one by one and run by one worker."""
    redis: ArqRedis = await create_pool(redis_settings(place.servers.redis_url), default_queue_name="bench")
    worker = Worker(
        functions=[func(job, name="job", keep_result=0)],  # type: ignore[arg-type]
        queue_name="bench",
        redis_pool=redis,
        burst=True,
        max_jobs=5,
        ctx={"context": context},
        poll_delay=0.01,
        handle_signals=False,
    )
    with meter:
        for number in range(JOBS):
            await redis.enqueue_job("job", number)
        await worker.main()
    await redis.aclose()


def told(meters: dict[str, Meter], carts: int, jobs: int) -> Measured:
    counts = dict.fromkeys(KINDS, carts) | {"jobs": jobs, "empty_jobs": jobs}
    speed = {kind: counts[kind] / meter.wall for kind, meter in meters.items()}
    figure = {kind: f"{rate(speed[kind])}, {meter.per(counts[kind])}" for kind, meter in meters.items()}
    rows = [
        Row("P9", "COPY of as many carts", figure["copy"]),
        Row("P9", "COPY of the recoveries alone", figure["copy_recoveries"]),
        Row("P9", "enrolled in sets, to COPY of carts", figure["enrol"], speed["enrol"] / speed["copy"], 0.7),
        Row("P9", "enrolled in sets, to one job each", figure["jobs"], speed["enrol"] / speed["jobs"], 50),
        Row("P9", "enrolled in sets, to an empty job each", figure["empty_jobs"], speed["enrol"] / speed["empty_jobs"]),
    ]
    return Measured(rows, {f"{kind}_per_s": round(value) for kind, value in speed.items()})
