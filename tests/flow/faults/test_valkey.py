"""Valkey only rings: flushed, gone, evicting, read-only or slow, nothing is lost or sent twice and work goes on."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest
import redis.asyncio

from daemon.bell import refuse_evicting
from daemon.clock import monotonic
from daemon.embedded import start
from daemon.errors import ConfigurationError

LEAST, TRIES = 0.5, 3
"""Of the rate with a Valkey that is well, in one look of so many: a machine that was busy elsewhere is forgiven."""


@pytest.fixture
async def valkey(open_folder):
    async with await start(open_folder / "own", with_postgres=False, keep=False) as servers:
        yield servers
        for server in servers.running:
            server.process.send_signal(signal.SIGCONT)


async def flushed(valkey, proxy, client):
    await client.flushall()


async def gone(valkey, proxy, client):
    await proxy.refuse()
    proxy.reset()


async def evicting(valkey, proxy, client):
    await client.config_set("maxmemory", "2mb")
    await client.config_set("maxmemory-policy", "allkeys-lru")
    for number in range(300):
        await client.set(f"other {number}", b"x" * 20_000)


async def read_only(valkey, proxy, client):
    await client.config_set("maxmemory-policy", "noeviction")
    await client.flushall()
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")


async def slow(valkey, proxy, client):
    proxy.latency = 1.0  # each way


async def standing_still(valkey, proxy, client):
    [server] = valkey.running
    server.process.send_signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.ping()


async def well(valkey, proxy, client):
    [server] = valkey.running
    server.process.send_signal(signal.SIGCONT)
    proxy.latency = 0.0
    if proxy.listener is None:
        await proxy.open()
    await client.execute_command("REPLICAOF", "NO", "ONE")
    await client.config_set("maxmemory", "0")


async def test_short_troubles_of_valkey_cost_no_mail_and_no_copy(make_stage, make_proxy, valkey):
    """While each lasts thirty mails leave, rung for or not; nothing has to be started again."""
    each, faults = 30, (flushed, evicting, read_only, slow, standing_still)
    proxy = await make_proxy(valkey.redis_url)
    stage = await make_stage(redis_url=proxy.before(valkey.redis_url), smtp_connections="5")
    messages = each * (len(faults) + 1)
    await stage.prepared(messages)
    await stage.context.pool.execute("UPDATE message SET not_before = '2100-01-01', not_after = '2101-01-01'")
    worker = await stage.worker()
    client = redis.asyncio.Redis.from_url(valkey.redis_url)
    done = 0

    async def thirty_leave():
        nonlocal done
        done += each
        await stage.context.pool.execute(
            "UPDATE message SET not_before = $2 WHERE id IN (SELECT id FROM message WHERE state = 'prepared' LIMIT $1)",
            each,
            await stage.now(),
        )

        async def accepted():
            return (await stage.states()).get("accepted") == done

        await stage.until(accepted)

    await thirty_leave()
    for fault in faults:
        await fault(valkey, proxy, client)
        await thirty_leave()
        await well(valkey, proxy, client)
    copies = Counter(address for _, address, _ in (await stage.relay.ask("taken"))["taken"])
    assert (len(copies), set(copies.values())) == (messages, {1})
    assert worker.lives()
    await stage.tells_nobody()
    await client.aclose()
    await stage.books_are_clean()


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_whatever_valkey_does_mails_go_on_at_half_the_rate_or_better(make_stage, make_proxy, valkey):
    each, faults = 150, (flushed, gone, evicting, read_only, slow)
    proxy = await make_proxy(valkey.redis_url)
    stage = await make_stage(redis_url=proxy.before(valkey.redis_url), smtp_connections="5")
    messages = each * (len(faults) * TRIES + 5)  # some leave between the measurements
    await stage.prepared(messages)
    await stage.relay.ask(delay=0.02)
    worker = await stage.worker()
    client = redis.asyncio.Redis.from_url(valkey.redis_url)

    async def rate():
        """Mails a second, while so many more are recorded."""
        before, began = (await stage.states()).get("accepted", 0), monotonic()

        async def more():
            return (await stage.states()).get("accepted", 0) >= before + each

        await stage.until(more, within=90)
        return each / (monotonic() - began)

    await rate()  # warm
    usual, figures = await rate(), {}
    for fault in faults:
        await fault(valkey, proxy, client)
        figures[fault.__name__] = 0.0
        for _ in range(TRIES):
            figures[fault.__name__] = max(figures[fault.__name__], await rate() / usual)
            if figures[fault.__name__] >= LEAST:
                break
        await well(valkey, proxy, client)
    print(f"{usual:.0f} mails a second; of it with Valkey", {name: f"{part:.0%}" for name, part in figures.items()})
    await client.aclose()

    async def done():
        return await stage.states() == {"accepted": messages}

    await stage.until(done, within=90)
    copies = Counter(address for _, address, _ in (await stage.relay.ask("taken"))["taken"])
    assert [address for address, number in copies.items() if number > 1] == []
    assert min(figures.values()) >= LEAST
    assert worker.lives()
    await stage.books_are_clean()


@pytest.mark.long
async def test_a_minute_without_valkey_costs_nothing(make_stage, make_proxy, valkey):
    proxy = await make_proxy(valkey.redis_url)
    stage = await make_stage(redis_url=proxy.before(valkey.redis_url), smtp_connections="5")
    await stage.prepared(3000)
    await stage.relay.ask(delay=0.1)
    worker = await stage.worker()
    await proxy.refuse()
    proxy.reset()
    await asyncio.sleep(60)  # the fault itself
    meanwhile = (await stage.states()).get("accepted", 0)
    print(f"{meanwhile} of the 3,000 that the relay takes in a minute")
    assert meanwhile >= LEAST * 3000
    await proxy.open()

    async def done():
        return await stage.states() == {"accepted": 3000}

    await stage.until(done, within=120)
    copies = Counter(address for _, address, _ in (await stage.relay.ask("taken"))["taken"])
    assert set(copies.values()) == {1}
    assert worker.lives()
    await stage.books_are_clean()


async def test_a_server_that_throws_keys_away_is_refused_with_a_hint(valkey):
    client = redis.asyncio.Redis.from_url(valkey.redis_url)
    await refuse_evicting(valkey.redis_url)
    await client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(ConfigurationError, match=r"maxmemory-policy is allkeys-lru.*hint: set it to noeviction"):
        await refuse_evicting(valkey.redis_url)
    await client.aclose()


async def test_a_server_that_does_not_say_or_is_away_is_no_reason_to_refuse(valkey, unused_tcp_port):
    client = redis.asyncio.Redis.from_url(valkey.redis_url)
    await client.execute_command("ACL", "SETUSER", "guest", "on", ">guest", "allcommands", "allkeys", "-config")
    place = valkey.redis_url.partition("@")[2]
    await refuse_evicting(f"redis://guest:guest@{place}")
    await refuse_evicting(f"redis://127.0.0.1:{unused_tcp_port}")
    await refuse_evicting("")
    await client.aclose()
