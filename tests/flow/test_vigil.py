"""Disaster: a restored backup, a copy, days of silence, a full disk. No old step is sent, and the operator is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest

from daemon.flow import deliver
from daemon.flow.vigil import Vigil
from daemon.run import running
from daemon.settings import Settings
from daemon.store import clock, instance
from tests.conftest import named, on_server
from tests.daemon.conftest import beside, own_logging

__all__ = ["beside", "own_logging"]


@pytest.fixture
def heart_stands_still(monkeypatch):
    """Nobody beats in between, however long a test takes."""
    monkeypatch.setattr("daemon.run.BEAT", 3600.0)


silence = pytest.mark.usefixtures("heart_stands_still")


@asynccontextmanager
async def started(town):
    """The same house after a stop: a process of its own, whose parts begin anew."""
    settings = town.context.settings.model_copy(update={"listen": "127.0.0.1:0"})
    context = replace(
        town.context, settings=settings, process="after", deliveries={}, rung=set(), reasons=[],
        stopping=asyncio.Event(), bell=asyncio.Event(),
    )  # fmt: skip
    async with running(context, ""):
        yield replace(town, context=context)


async def stops(town):
    town.context.stopping.set()


async def silent_for(town, **span):
    """Nothing has run for so long; shop time went on."""
    gone = timedelta(**span)
    await town.context.pool.execute(
        "UPDATE instance SET alive_real = t, worked_real = t FROM (SELECT clock_timestamp() - $1::interval AS t) AS x",
        gone,
    )
    await clock.set_clock(town.context.pool, await town.now() + gone, Decimal(0))


async def steps(town):
    return [row["step"] for row in await town.fetch("SELECT step FROM message WHERE state = 'accepted' ORDER BY id")]


@silence
async def test_after_two_days_of_silence_overdue_steps_expire_and_later_ones_go_on(town, make_buyer, beside):
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    assert await steps(town) == ["remind"]
    await stops(town)
    await silent_for(town, hours=30)
    async with started(town) as again:
        await again.settles()
        assert await steps(town) == ["remind"]  # doubts was due eight hours ago
        status = await beside(town)("status")
        for told in (status, await beside(town)("doctor", "--offline")):
            assert "nothing ran for 30 hours: what was due then is not made up for" in told.out
        await again.passes(hours=20)
        assert await steps(town) == ["remind", "last-call"]
        await again.books_are_clean()
    assert any("what was due until then is not made up for" in one for one in await town.because())


@silence
async def test_a_web_process_does_not_hide_the_silence_of_all_workers(town):
    """It beats all the time; who works again is told how long nobody did."""
    pool = town.context.pool
    await pool.execute("UPDATE instance SET worked_real = clock_timestamp() - interval '30 hours'")
    web = Vigil(replace(town.context, process="web"), "web", "1", lambda: 0)
    await web.beat()
    assert await instance.standstills(pool, await town.now() - timedelta(days=2)) == []
    worker = Vigil(replace(town.context, process="worker"), "worker", "1", lambda: 0)
    await worker.beat()
    await web.beat()
    [still] = await instance.standstills(pool, await town.now() - timedelta(days=2))
    assert still.reason == "nothing ran for 30 hours: what was due then is not made up for"


@silence
async def test_a_message_that_was_ready_before_the_silence_expires_at_the_gate(town, make_buyer, beside):
    await town.leaves_cart("c1", make_buyer("1"), "red")
    town.letters.refuse["1@example.org"] = "450 come again"
    await town.passes(hours=1)
    assert await town.value("SELECT state FROM message") == "retry_wait"
    town.letters.refuse.clear()
    await stops(town)
    await silent_for(town, hours=25)
    await town.context.pool.execute("UPDATE message SET retry_real = NULL, not_after = not_after + interval '9 days'")
    async with started(town) as again:
        await again.settles()
        assert town.letters.taken == []
        assert await town.value("SELECT state FROM message WHERE step = 'remind'") == "expired"


@silence
async def test_after_a_stop_of_less_than_a_day_one_step_goes_out_and_not_two(make_town, make_buyer):
    ladder = "extends: default\nstarts: {rests_for: 1h}\nsteps:\n"
    ladder += "  - {name: remind, after: 1h}\n  - {name: doubts, after: 3h}\n  - {name: last-call, after: 5h}\n"
    town = await make_town(policies={"main": ladder + "caps: {same_channel_gap: 1m, any: 9 per 7d}\n"})
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await stops(town)
    await silent_for(town, hours=6)
    async with started(town) as again:
        await again.settles()
        assert await steps(town) == ["last-call"]
        await again.books_are_clean()


@pytest.fixture
async def backup(town, make_buyer, servers):
    """A copy of the town's database, made before the first mail was due; (its name, a way to put it back)."""
    await town.leaves_cart("c1", make_buyer("1"), "red")
    context = town.context
    name = context.settings.database_url.get_secret_value().rpartition("/")[2]
    tables = ("attempt", "link", "decision", "message", "recovery", "cart", "instance")
    kept = {
        table: await context.pool.fetchval(f"SELECT coalesce(jsonb_agg(t), '[]') FROM {table} t") for table in tables
    }

    async def restore():
        """The rows are as they were then; the same server, the same database. A few beats are forgotten too."""
        for _ in range(3):
            context.cut_off = True
            await context.may_claim()
        async with context.pool.acquire() as db, db.transaction():
            await db.execute("SET LOCAL session_replication_role = replica")
            for table, rows in kept.items():
                await db.execute(f"DELETE FROM {table}")
                back = f"SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1)"
                await db.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE {back}", rows)

    return name, restore


async def test_a_restored_backup_sends_nothing_until_somebody_says_so(town, backup, beside, make_buyer):
    """The backup was made before the mail left. The mail is not sent again, not now and not after `resume`."""
    _, restore = backup
    await town.passes(hours=1)
    assert await steps(town) == ["remind"]
    await stops(town)
    await restore()
    assert await steps(town) == []
    async with started(town) as again:
        await again.passes(minutes=5)
        assert len(town.letters.taken) == 1
        command = beside(town)
        status = await command("status")
        assert status.code == 1
        assert "a backup was restored" in status.out
        await again.leaves_cart("c2", make_buyer("2"), "blue")
        await again.passes(hours=2)
        assert len(town.letters.taken) == 1  # nor anything else
        told = await command("resume")
        assert "what was due before now is not made up for" in told.out
        assert (await command("status")).code == 0
        await again.passes(hours=24)
        assert [to for to, _ in town.letters.taken] == ["1@example.org", "1@example.org", "2@example.org"]
        assert sorted(await steps(town)) == ["doubts", "doubts"]
        await again.books_are_clean()


async def test_the_same_backup_is_noticed_under_a_running_daemon(town, backup):
    _, restore = backup
    await town.passes(hours=1)
    await restore()
    town.context.cut_off = True  # it was away for that
    await town.passes(minutes=5)
    assert len(town.letters.taken) == 1
    [still] = await instance.standstills(town.context.pool, await town.now())
    assert still.lifted_at is None
    assert "a backup was restored" in still.reason


async def test_a_copy_on_another_server_sends_nothing(town, backup, servers, make_town):
    """Its own host has no memory of it, and the database says that it lived elsewhere."""
    copy = f"{backup[0]}_copy"
    await stops(town)
    url = named(servers.database_url, copy)
    pool = town.context.pool
    try:
        await on_server(servers.database_url, f"CREATE DATABASE {copy} TEMPLATE template0")
        db = await asyncpg.connect(url)
        await db.close()
        await pool.execute("UPDATE instance SET home = 'another:1', beats = beats + 5000")
        vigil = Vigil(replace(town.context, data_dir=town.context.data_dir / "fresh"), "all", "1", lambda: 0)
        await vigil.beat()
        [still] = await instance.standstills(pool, await town.now())
        assert "copied or restored from another server" in still.reason
    finally:
        await on_server(servers.database_url, f"DROP DATABASE {copy}")


async def test_a_host_that_followed_its_database_to_a_new_server_goes_on(town):
    """What it remembers is right behind what the database knows: the newest of all copies."""
    await town.context.pool.execute("UPDATE instance SET home = 'old:1'")
    vigil = Vigil(town.context, "all", "1", lambda: 0)
    await vigil.beat()
    assert await instance.standstills(town.context.pool, await town.now()) == []
    assert await town.value("SELECT home <> 'old:1' FROM instance")


async def test_another_host_may_join(town):
    vigil = Vigil(replace(town.context, data_dir=town.context.data_dir / "other"), "worker", "1", lambda: 0)
    for _ in range(3):
        await vigil.beat()
    assert await instance.standstills(town.context.pool, await town.now()) == []


async def test_a_lost_answer_is_not_taken_for_a_restored_backup(town, make_proxy):
    from daemon.store.database import Unanswered, connect_pool

    url = town.context.settings.database_url.get_secret_value()
    proxy = await make_proxy(url)
    pool = await connect_pool(proxy.before(url), 2)
    try:
        vigil = Vigil(replace(town.context, pool=pool), "all", "1", lambda: 0)
        await vigil.beat()
        for _ in range(3):
            proxy.eat(b"COMMIT;")
            with pytest.raises(Unanswered):
                await vigil.beat()
            await vigil.beat()
        assert proxy.eaten == 3
        assert await instance.standstills(pool, await town.now()) == []
    finally:
        pool.terminate()


async def test_a_nearly_full_disk_stops_claims_and_says_so(make_town, make_buyer, beside):
    """No disk has as much room as is asked for here. Once there is room, what was held goes."""
    enough = Settings().least_disk
    assert enough == 512
    town = await make_town(least_disk=1 << 40)
    context = town.context
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await context.pool.execute("UPDATE clock SET base_shop = base_shop + interval '61 minutes'")
    context.bell.set()
    async with asyncio.timeout(60):
        while await town.value("SELECT state FROM message") != "prepared":
            await asyncio.sleep(0.02)
    assert await deliver.due_messages(context, town.shop_id, await town.now()) == 0
    assert (await town.value("SELECT state FROM message"), town.letters.taken) == ("prepared", [])
    reasons = [reason for part in context.reasons for reason in part()]
    assert any("MB are free in the data folder" in one for one in reasons)
    await Vigil(context, "all", "1", lambda: 0).beat()
    status = await beside(town)("status")
    assert status.code == 1
    assert "TILLBELL_LEAST_DISK asks for" in status.out
    context.settings = context.settings.model_copy(update={"least_disk": enough})
    async with asyncio.timeout(60):
        while not town.letters.taken:
            await deliver.due_messages(context, town.shop_id, await town.now())
            await asyncio.sleep(0.02)


async def test_a_database_without_room_rests_the_claims_for_a_while(town):
    assert await town.context.may_claim()
    town.context.trouble(asyncpg.DiskFullError("no space left on device"))
    town.context.cut_off = False
    assert not await town.context.may_claim()
    assert town.context.full_at is not None
    town.context.full_at -= 31
    assert await town.context.may_claim()
