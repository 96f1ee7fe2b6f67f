"""Two machines at one PostgreSQL and one Valkey: faster together; one may vanish without a word, and may come back."""

from __future__ import annotations

import asyncio
import os
import shutil
from urllib.parse import urlsplit

import pytest
import redis.asyncio

from daemon.embedded import start
from daemon.migrate import migrate
from tests.conftest import FAST, make_open_folder, on_server
from tests.databases import named
from tests.flow.faults.conftest import program
from tests.flow.faults.hosts import (
    CONNECTIONS,
    DUE,
    LATER,
    MOST_UNKNOWN,
    TRIES,
    Host,
    are_there,
    each_has_its_hands_full,
    faster,
    goes_on_alone,
    leases_run_out,
    nothing_twice,
    rate,
    taken,
)
from tests.flow.faults.namespaces import Switch, machine, network_maker, switch

SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE client_addr = $1::text::inet"
STANDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holder' AND wait_event = 'ClientWrite'"


@pytest.fixture(scope="module")
def network(needs_program):
    with switch(network_maker(needs_program)) as made:
        yield made


@pytest.fixture(scope="module")
def servers_there(network):
    """PostgreSQL, with a migrated database, and Valkey; both listen at the switch too."""
    folder = make_open_folder()
    hba = folder / "pg_hba.conf"
    hba.write_text("".join(f"host all all {net} scram-sha-256\n" for net in ("127.0.0.1/32", f"{network.net}.0/24")))
    words = {**FAST, "hba_file": str(hba), "listen_addresses": f"127.0.0.1,{network.servers}"}
    running = asyncio.run(start(folder / "data", keep=False, settings=words))
    asyncio.run(migrate(running.database_url))
    asyncio.run(listens_at(running.redis_url, network.servers))
    yield running
    asyncio.run(running.stop())
    shutil.rmtree(folder)


async def listens_at(url, address):
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.config_set("bind", f"127.0.0.1 {address}")


@pytest.fixture
async def make_stage_there(servers_there, network, make_stage):
    """`await make_stage_there(mails)`: a stage before those servers, with so many mails that are due."""
    url = servers_there.database_url

    async def make(mails):
        name = f"tillbell_{os.urandom(4).hex()}"
        await on_server(named(url, "postgres"), f"CREATE DATABASE {name} TEMPLATE {urlsplit(url).path[1:]}")
        own = {"database_url": named(url, name), "redis_url": servers_there.redis_url, "smtp_host": network.relay}
        stage = await make_stage(at=network.relay, smtp_connections=str(CONNECTIONS), **own)
        await stage.bell_forgets()
        await stage.prepared(mails)
        return stage

    return make


async def host(stage, network: Switch, number, workers=2):
    """A machine with workers, at its cable."""
    there = stage.stack.enter_context(machine(network, number))
    nursery = await stage.stack.enter_async_context(program("nursery.py", within=there.runs))
    words = {f"TILLBELL_{one}_URL": there.url(stage.env[f"TILLBELL_{one}_URL"]) for one in ("DATABASE", "REDIS")}
    words["TILLBELL_DATA_DIR"] = str(stage.folder / there.name)
    return there, Host([await stage.worker(nursery=nursery, **words) for _ in range(workers)])


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_two_machines_do_nearly_twice_what_one_does(make_stage_there, network):
    """As many connections as they have lead to the slow relay, and nothing else bounds them."""
    each = 100
    stage = await make_stage_there((1 + 2 * TRIES) * each)
    await stage.context.pool.execute(LATER)
    await stage.relay.ask(delay=0.5)
    await host(stage, network, 1)
    await are_there(stage)
    alone = await rate(stage, each)
    await host(stage, network, 2)
    await are_there(stage)
    together = await faster(stage, 2 * each, 1.6 * alone)
    print([f"{found:.0f}/s" for found in (alone, together)])
    assert len(set(await taken(stage))) == len(await taken(stage))
    assert together > 1.6 * alone
    await stage.no_deadlocks()
    await stage.books_are_clean()


async def two_at_work(stage, network):
    """Two machines that know of no mail yet."""
    await stage.context.pool.execute(LATER)
    hosts = [await host(stage, network, number) for number in (1, 2)]
    await are_there(stage)
    return hosts


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_machine_loses_its_power_and_the_other_does_the_rest(make_stage_there, network):
    """It can close nothing: the relay and the servers hear no more of it. One of its sessions had locked a person and
    was in the middle of an answer; that person gets a mail all the same."""
    stage = await make_stage_there(300)
    (there, first), (_, second) = await two_at_work(stage, network)
    url = there.url(stage.env["TILLBELL_DATABASE_URL"])
    await stage.stack.enter_async_context(program("holder.py", url, within=there.runs))

    async def stands_in_its_answer():
        return await stage.value(STANDS) == 1

    await stage.until(stands_in_its_answer)
    await each_has_its_hands_full(stage, 300)
    there.pulls_its_cable()
    first.dies()
    await stage.relay.ask(hold=False)
    await goes_on_alone(stage, second)

    async def forgotten():
        return await stage.value(SESSIONS, there.address) == 0

    await stage.until(forgotten)
    await leases_run_out(stage)
    assert (await stage.states())["unknown"] >= 2 * CONNECTIONS
    await nothing_twice(stage, first)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_machine_whose_cable_was_pulled_does_no_harm_when_it_is_back(make_stage_there, network):
    """The relay had taken ten of its mails and could not say so. By the time it can, they are unknown, and turn out
    accepted; what it had claimed and not begun stays in the house. Then it works on, as if nothing had been."""
    stage = await make_stage_there(170)
    (there, first), (_, second) = await two_at_work(stage, network)
    await each_has_its_hands_full(stage, 120)
    there.pulls_its_cable()
    await stage.relay.ask(hold=False)
    await goes_on_alone(stage, second)
    await leases_run_out(stage)
    took, unknown = await taken(stage), (await stage.states())["unknown"]
    assert 2 * CONNECTIONS <= unknown <= 2 * MOST_UNKNOWN
    there.plugs_it_in()

    async def what_was_taken_is_accepted():
        return (await stage.states())["accepted"] == len(took)

    await stage.until(what_was_taken_is_accepted)
    assert await taken(stage) == took
    second.dies()
    await all_go_out(stage)
    assert len(await taken(stage)) == len(took) + 50
    await nothing_twice(stage, first)


async def all_go_out(stage):
    """What was to come later comes now."""
    await stage.context.pool.execute(DUE, 1000, await stage.now())

    async def gone():
        return set(await stage.states()) <= {"accepted", "unknown"}

    await stage.until(gone)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_what_a_cable_did_not_carry_is_not_handed_over_later(make_stage_there, network):
    """Five mails were written to their last dot and none of it left the machine. Somebody may buy meanwhile: so they
    are thrown away before the cable is in again, and five connections do not wait ten minutes for an answer."""
    stage = await make_stage_there(2 * CONNECTIONS)
    await stage.context.pool.execute(LATER)
    await stage.relay.ask(pipelining=True, delay_at_mail=8.0)
    there, only = await host(stage, network, 1, workers=1)
    await are_there(stage)
    await stage.context.pool.execute(DUE, CONNECTIONS, await stage.now())

    async def begun():
        return await only.under_way(stage) == [CONNECTIONS]

    await stage.until(begun)
    there.loses_what_it_says_to(network.relay)

    async def nobody_knows():
        return (await stage.states()).get("unknown") == CONNECTIONS

    await stage.until(nobody_knows)
    there.is_heard_again_at(network.relay)
    await stage.relay.ask(delay_at_mail=0.0)
    await all_go_out(stage)
    assert len(await taken(stage)) == CONNECTIONS
    assert await stage.states() == {"accepted": CONNECTIONS, "unknown": CONNECTIONS}
    await stage.books_are_clean()
