"""A hundred thousand carts, and a handful of them due: what is asked each second reads the handful."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from daemon.store import brake, database, decisions, facts, messages, survey, work
from daemon.store.facts import ShopFacts

CARTS = 100_000
WINDOW = 64
BATCH = 500
SEARCHES = ("whom to lock", "whom to decide about", "what is due", "what to prepare")
EVERYTHING = (
    *SEARCHES, "what is at the gate", "the facts", "whose lease is over", "whose time is over", "what no pause holds",
    "how late orders come",
)  # fmt: skip
READ_AT_MOST = 5
"""Rows read, over all tables of a question, for each row that comes back."""
TABLES = {"the facts": 8, "how late orders come": 505}
"""One question that is about more tables than that, and one that always reads the newest five hundred."""
SPARE = 20
"""And so many for the shop, its works and the empty ends of an index."""
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OPENED = NOON - timedelta(minutes=1000)
"""One cart a minute since then, so a thousand are due at noon."""

HELD = """
UPDATE message SET retry_real = clock_timestamp() + interval '1 hour', not_before = least(not_before, $1)
WHERE state = 'prepared' AND id > 100
"""
"""All but some twenty have been due for long, and wait for a busy relay or for an allowance."""

ASKED_BY_ASYNCPG = ("pg_catalog", "set_config")
SEEDS = Path(__file__).with_name("many_carts.sql").read_text().split(";\n\n")


def rows_read(plan):
    """What all scans below here have looked at."""
    own = 0
    if "Scan" in plan["Node Type"] and "Relation Name" in plan:
        own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return own + sum(rows_read(one) for one in plan.get("Plans", ()))


async def ask_everything(db):
    """What workers ask, by name, with how many rows came back; each is one statement."""
    window = await messages.due_people(db, 1, "email", NOON, WINDOW)
    batch = await decisions.due(db, 1, NOON, BATCH)
    return {
        "whom to lock": len(window),
        "whom to decide about": len(batch),
        "what is due": len(await work.due(db, [1], NOON)),
        "what to prepare": len(await messages.to_prepare(db, 1, NOON, BATCH)),
        "what is at the gate": len(await messages.at_the_gate(db, 1, window, NOON)),
        "the facts": len(await facts.of_recoveries(db, 1, batch, ShopFacts("UTC", None, NOON - timedelta(days=7)))),
        "whose lease is over": len(await messages.reap(db, 1, NOON, BATCH)),
        "whose time is over": len(await messages.expire(db, 1, NOON, BATCH)),
        "what no pause holds": await brake.free(db, 1, NOON),
        "how late orders come": len([await survey.lateness(db, 1)]),
        "what stays unknown": len(await messages.settle_unknown(db, 1, NOON, BATCH)),
    }


async def read_by_a_kept_plan(db, question):
    """What is asked again and again is planned without knowing for what."""
    asked: list[asyncpg.connection.LoggedQuery] = []
    with db.query_logger(asked.append):
        await question
    await asyncio.sleep(0)  # asyncpg tells of it in its own time
    [one] = [one for one in asked if not any(word in one.query for word in ASKED_BY_ASYNCPG)]
    values = [f"{{{','.join(map(str, value))}}}" if isinstance(value, list) else str(value) for value in one.args]
    await db.execute("SET plan_cache_mode = force_generic_plan")
    await db.execute(f"PREPARE kept AS {one.query}")
    told = await db.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) EXECUTE kept ({str(values)[1:-1]})")
    await db.execute("DEALLOCATE kept")
    await db.execute("RESET plan_cache_mode")
    return rows_read(json.loads(told)[0]["Plan"])


async def read(db):
    """Rows read and rows that came back, by question."""
    asked: list[asyncpg.connection.LoggedQuery] = []
    undone = db.transaction()
    await undone.start()
    with db.query_logger(asked.append):
        counts = await ask_everything(db)
    await undone.rollback()
    ours = [one for one in asked if not any(word in one.query for word in ASKED_BY_ASYNCPG)]
    found = {}
    for (name, count), one in zip(counts.items(), ours, strict=True):
        undone = db.transaction()
        await undone.start()
        [(told,)] = await db.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {one.query}", *one.args)
        await undone.rollback()
        found[name] = (rows_read(json.loads(told)[0]["Plan"]), count)
    return found


async def test_what_is_asked_each_second_reads_the_handful(db):
    """Without any statistics the search for what is due has to be right, with fresh ones all that follows as well."""
    await database._prepare(db)
    for seed in SEEDS:
        await db.execute(seed.replace(":opened", f"'{OPENED}'").replace(":count", str(CARTS)))
    for statistics, names in (("no", SEARCHES), ("fresh", EVERYTHING)):
        found = await read(db)
        print(f"{statistics} statistics:", *found.items(), sep="\n")
        limits = {name: TABLES.get(name, READ_AT_MOST) * found[name][1] + SPARE for name in names}
        assert {name: found[name] for name in names if found[name][0] > limits[name]} == {}
        for now in (NOON, OPENED):
            assert await read_by_a_kept_plan(db, work.due(db, [1], now)) <= limits["what is due"], statistics
        await db.execute("ANALYZE")
    await db.execute(HELD, NOON)
    await db.execute("ANALYZE message")
    window = await messages.due_people(db, 1, "email", NOON, WINDOW)
    found = await read(db)
    assert len(window) == 25
    for name in ("whom to lock", "what is due"):
        assert found[name][0] <= READ_AT_MOST * found[name][1] + SPARE, (name, found[name])
