"""A dump is loaded again, here or on another server: nothing that was sent is sent twice."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from daemon.embedded.dump import dump, load
from daemon.run import running
from daemon.store import clock, instance
from daemon.store.database import connect_pool
from tests.conftest import named, on_server


async def beats(context, times=3):
    """Its next heartbeats at once."""
    for _ in range(times):
        context.cut_off = True
        await context.may_claim()


@asynccontextmanager
async def daemon_on(town, url, data_dir):
    """A process of its own on this database, with what its host remembers in this folder; its clock is the town's."""
    pool = await connect_pool(url)
    try:
        settings = town.context.settings.model_copy(update={"listen": "127.0.0.1:0", "data_dir": data_dir})
        context = replace(
            town.context, settings=settings, pool=pool, data_dir=data_dir, process="another", deliveries={}, rung=set(),
            reasons=[], stopping=asyncio.Event(), bell=asyncio.Event(), cut_off=False,
        )  # fmt: skip
        async with running(context, ""):
            yield replace(town, context=context)
    finally:
        pool.terminate()


@pytest.fixture
async def dumped(town, make_buyer, open_folder):
    """A dump that was made before two mails were accepted: (the file, shop time after them)."""
    file = open_folder / "before.sql.gz"
    for number in ("1", "2"):
        await town.leaves_cart(f"c{number}", make_buyer(number), "red")
    await town.passes(minutes=30)
    assert town.letters.taken == []
    await dump(town.context.settings.database_url.get_secret_value(), file)
    await town.passes(hours=1)
    assert len(town.letters.taken) == 2
    await beats(town.context)
    return file, await town.now()


@asynccontextmanager
async def loaded(town, dumped, servers, which=""):
    """The address of a database of its own with the dump in it, at the town's time."""
    file, now = dumped
    name = f"{town.context.settings.database_url.get_secret_value().partition('?')[0].rpartition('/')[2]}_copy{which}"
    url = named(servers.database_url, name)
    await on_server(servers.database_url, f"CREATE DATABASE {name} TEMPLATE template0")
    await load(url, file)
    pool = await connect_pool(url, 1)
    await clock.set_clock(pool, now, Decimal(0))
    await pool.close()
    yield url
    await on_server(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def restored(town, dumped, servers):
    async with loaded(town, dumped, servers) as url:
        yield url


@pytest.mark.parametrize(
    ("folder", "because"),
    [
        pytest.param("data", "a backup was restored", id="by the host that sent them"),
        pytest.param("elsewhere", "copied or restored from another server", id="by a second host beside the first"),
    ],
)
async def test_a_dump_loaded_again_mails_nothing_old_a_second_time(town, restored, open_folder, folder, because):
    """Nor does it stop the first daemon, which goes on with the database it has."""
    async with daemon_on(town, restored, open_folder / folder) as again:
        await again.passes(minutes=10)
        assert len(town.letters.taken) == 2
        [still] = await instance.standstills(again.context.pool, await again.now())
        assert because in still.reason
        assert still.lifted_at is None
    assert await instance.standstills(town.context.pool, await town.now()) == []


async def test_the_links_of_mails_that_a_backup_does_not_know_are_given_to_nobody_else(
    town, restored, open_folder, make_buyer
):
    """They are signed, and name a message by its number: who unsubscribes by one must not take somebody else off."""
    await town.leaves_cart("c9", make_buyer("9"), "red")
    await town.passes(hours=2)
    known = await town.value("SELECT max(id) FROM message")
    async with daemon_on(town, restored, open_folder / "data") as again:
        began = await again.now()
        await again.leaves_cart("c3", make_buyer("3"), "red")
        await again.passes(hours=2)
        new = await again.fetch("SELECT id FROM message WHERE planned_at > $1", began)
    assert new
    assert min(row["id"] for row in new) > known


async def test_the_same_backup_restored_twice_gives_no_number_twice(town, dumped, servers, open_folder):
    """What went out between the two is no more in the second than in the first."""
    highest = []
    for copy in (1, 2):
        async with loaded(town, dumped, servers, str(copy)) as url, daemon_on(town, url, open_folder / "data") as again:
            highest.append(await again.value("SELECT last_value FROM message_id_seq"))
    first, second = highest
    assert abs(first - second) > 1000
