"""The inbox: one delivery, one row; what waits is worked off once."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest

from daemon.store import clock, inbox
from daemon.store.database import connect_pool

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
async def pool(database):
    opened = await connect_pool(database, 6)
    yield opened
    await opened.close()


async def made_shop(pool, name="main"):
    return await pool.fetchval("INSERT INTO shop (name, added_at) VALUES ($1, now()) RETURNING shop_id", name)


def delivery(shop_id, id, body=b"{}"):
    return inbox.Delivery(shop_id, "push", id, body)


async def test_what_is_kept_waits_in_order_with_its_bytes(pool):
    shop = await made_shop(pool)
    await clock.set_clock(pool, NOW, Decimal(0))
    await inbox.keep(pool, [delivery(shop, "b", b"\x00\xff"), delivery(shop, "c")])
    await inbox.keep(pool, [delivery(shop, "a")])
    rows = await inbox.waiting(pool, shop, 10)
    assert [(row.delivery_id, row.body, row.received_at) for row in rows] == [
        ("b", b"\x00\xff", NOW),
        ("c", b"{}", NOW),
        ("a", b"{}", NOW),
    ]
    assert [row.delivery_id for row in await inbox.waiting(pool, shop, 2)] == ["b", "c"]


async def test_a_delivery_is_one_row_and_its_first_bytes_stay(pool):
    shop, other = await made_shop(pool), await made_shop(pool, "other")
    await inbox.keep(pool, [delivery(shop, "a", b"1"), delivery(shop, "a", b"2"), delivery(other, "a", b"3")])
    await inbox.keep(pool, [delivery(shop, "a", b"4")])
    assert [row.body for row in await inbox.waiting(pool, shop, 10)] == [b"1"]
    assert [row.body for row in await inbox.waiting(pool, other, 10)] == [b"3"]


async def test_what_is_worked_off_is_worked_off_once(pool):
    shop = await made_shop(pool)
    await inbox.keep(pool, [delivery(shop, id) for id in "abc"])
    first, second, third = await inbox.waiting(pool, shop, 10)
    effects = {second.id: ("refused", "data: nobody"), first.id: ("done", "cart.updated: kept")}
    assert await inbox.done(pool, shop, effects, NOW) == 2
    assert await inbox.done(pool, shop, {first.id: ("refused", "twice"), third.id: ("done", "kept")}, NOW) == 1
    assert await inbox.waiting(pool, shop, 10) == []
    rows = await pool.fetch("SELECT state, effect, done_at FROM inbox ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("done", "cart.updated: kept", NOW),
        ("refused", "data: nobody", NOW),
        ("done", "kept", NOW),
    ]
    await inbox.keep(pool, [delivery(shop, "a")])
    assert await inbox.waiting(pool, shop, 10) == []


async def test_old_events_go_and_neither_what_waits_nor_mails(pool):
    shop = await made_shop(pool)
    await clock.set_clock(pool, NOW, Decimal(0))
    await inbox.keep(pool, [delivery(shop, id) for id in "ab"])
    await inbox.keep(pool, [inbox.Delivery(shop, "mail", "m", b"x"), delivery(shop, "late"), delivery(shop, "z")])
    rows = {row.delivery_id: row.id for row in await inbox.waiting(pool, shop, 10)}
    await inbox.done(pool, shop, {rows[id]: ("done", "kept") for id in ("a", "b", "z")}, NOW)
    await pool.execute("UPDATE inbox SET state = 'done', effect = 'report', done_at = $1 WHERE source = 'mail'", NOW)
    assert (await inbox.forget_pushed(pool, shop, 0, NOW - timedelta(seconds=1), 10)).forgotten == 0
    first = await inbox.forget_pushed(pool, shop, 0, NOW, 1)
    assert (first.reached, first.forgotten) == (rows["a"], 1)
    assert (await inbox.forget_pushed(pool, shop, first.reached, NOW, 10)).forgotten == 1
    left = [row["delivery_id"] for row in await pool.fetch("SELECT delivery_id FROM inbox ORDER BY id")]
    assert left == ["m", "late", "z"]


async def test_groups_that_overlap_never_wait_for_each_other_in_a_circle(pool):
    shop = await made_shop(pool)
    ids = [f"evt-{n}" for n in range(200)]
    groups = [[delivery(shop, id) for id in order] for order in (ids, ids[::-1], ids[50:] + ids[:50], ids[1::2])]
    await asyncio.gather(
        *itertools.chain.from_iterable([inbox.keep(pool, group) for group in groups] for _ in range(5))
    )
    assert len(await inbox.waiting(pool, shop, 1000)) == 200
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await pool.fetchval(deadlocks) == 0


async def test_a_shop_that_is_gone_refuses_the_group(pool):
    shop = await made_shop(pool)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await inbox.keep(pool, [delivery(shop, "a"), delivery(shop + 99, "b")])
    assert await inbox.waiting(pool, shop, 10) == []
