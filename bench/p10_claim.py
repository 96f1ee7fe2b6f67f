"""P10: batches against one at a time at steps 4 and 6, and against a job queue whose jobs do nothing."""

from __future__ import annotations

from bench import peers
from bench.crowd import cart, keep_all
from bench.measured import Measured, Row, rate
from bench.phases import STEPS, drained
from bench.place import NOON, Meter, Place, settle
from daemon.context import Context
from daemon.flow import decide, deliver
from daemon.store import clock

SINGLES = 30
"""Batches of one a round; beside each such round one batch of the full size."""


async def measure(place: Place, rounds: int = 3, jobs: int = 5_000) -> Measured:
    told = await claims(place, rounds)
    told.rows.append(await pgqueuer(place, jobs, told.figures))
    return told


async def pgqueuer(place: Place, jobs: int, ours: dict[str, float]) -> Row:
    """The same database's job queue, claiming and finishing jobs that know nothing and decide nothing."""
    what = f"claimed {deliver.MOST} at a time, to pgqueuer's empty jobs"
    try:
        python = await peers.python_with(place.folder / "pgqueuer", "pgqueuer", "asyncpg")
        told = await peers.told(python, peers.HERE / "jobs.py", await place.database(empty=True), jobs)
    except peers.Absent as absent:
        return Row("P10", what, f"not measured: {absent}")
    figure = f"{rate(told['per_s'])}, {told['cpu_us']:.0f} µs CPU"
    return Row("P10", what, figure, ours[f"claimed_by_{deliver.MOST}_per_s"] / told["per_s"], 3)


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
