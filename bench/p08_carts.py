"""P8: carts through the product's own step 2, against COPY of the same rows and against one cart at a time.

Rounds are interleaved: each kind takes its turn in each. New carts come with new persons; changed ones differ in their
quantities; unchanged ones read the same. The yardstick COPY writes the same rows into the same table, its indexes,
checks and foreign keys included, with all values at hand.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg

from bench.crowd import PAGE, cart, keep_page
from bench.measured import Measured, Row, rate
from bench.place import NOON, Meter, Place, settle
from daemon.context import Context
from daemon.flow.ingest import micros
from daemon.flow.keep import Look

KINDS = ("copy", "new", "changed", "unchanged", "single")
COLUMNS = """
SELECT string_agg(column_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = 'cart' AND column_name <> 'id' AND column_name <> 'ref'
"""
OWN = """
SELECT 'copy-' || ref AS ref, {columns} FROM cart WHERE ref NOT LIKE 'copy-%' ORDER BY id OFFSET $1 LIMIT $2
"""
SINGLES = 200


async def measure(place: Place, carts: int = 10_000, rounds: int = 3) -> Measured:
    """`carts` a round and kind."""
    async with place.household() as context:
        meters = {kind: Meter(place.postgres()) for kind in KINDS}
        for number in range(rounds):
            await one_round(context, meters, number, carts)
    counts = {kind: rounds * (SINGLES if kind == "single" else carts) for kind in KINDS}
    return told(meters, counts)


async def one_round(context: Context, meters: dict[str, Meter], number: int, carts: int) -> None:
    first, later = number * carts, NOON + timedelta(minutes=number)
    fresh = [cart(first + n, NOON) for n in range(carts)]
    changed = [cart(first + n, NOON, quantity=2) for n in range(carts)]
    singles = [cart(first + n, NOON, quantity=3) for n in range(SINGLES)]
    version = micros(later)
    with meters["new"]:
        for page in pages(fresh):
            await keep_page(context, page, Look(later, version))
    await settle(context)
    with meters["changed"]:
        for page in pages(changed):
            await keep_page(context, page, Look(later, version + 1))
    with meters["unchanged"]:
        for page in pages(changed):
            await keep_page(context, page, Look(later, version + 2))
    with meters["single"]:
        for one in singles:
            await keep_page(context, [one], Look(later, version + 3))
    await copy(context, meters["copy"], first, carts)


async def copy(context: Context, meter: Meter, first: int, carts: int) -> None:
    """The rows of this round once more under other names, in pages like the others."""
    db = await asyncpg.connect(
        context.settings.database_url.get_secret_value()
    )  # without our jsonb codec, which COPY lacks
    try:
        columns = await db.fetchval(COLUMNS)
        rows = await db.fetch(OWN.format(columns=columns), first, carts)
        with meter:
            for page in pages([tuple(row) for row in rows]):
                await db.copy_records_to_table("cart", records=page, columns=["ref", *columns.split(", ")])
    finally:
        await db.close()


def pages(everything: list[Any]) -> list[list[Any]]:
    return [everything[start : start + PAGE] for start in range(0, len(everything), PAGE)]


def told(meters: dict[str, Meter], counts: dict[str, int]) -> Measured:
    speed = {kind: counts[kind] / meter.wall for kind, meter in meters.items()}
    figure = {kind: f"{rate(speed[kind])}, {meter.per(counts[kind])}" for kind, meter in meters.items()}
    rows = [
        Row("P8", "COPY of the same cart rows", figure["copy"]),
        Row("P8", "new carts with new persons", figure["new"], speed["new"] / speed["copy"]),
        Row("P8", "changed carts to COPY", figure["changed"], speed["changed"] / speed["copy"], 0.25),
        Row("P8", "changed carts to one at a time", figure["single"], speed["changed"] / speed["single"], 7),
        Row("P8", "unchanged carts to changed ones", figure["unchanged"], speed["unchanged"] / speed["changed"], 1.3),
    ]
    return Measured(rows, {f"{kind}_per_s": round(value) for kind, value in speed.items()})
