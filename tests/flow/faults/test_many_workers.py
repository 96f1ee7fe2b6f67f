"""Many workers on one database and on many hosts: more go faster, none sends twice, a dead host costs little."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.conftest import lacks

CONNECTIONS = 5
WAITING = "SELECT count(*) FROM message WHERE state IN ('planned', 'prepared', 'retry_wait', 'sending')"
NO_BACK_OFF = "UPDATE message SET retry_real = NULL WHERE state = 'retry_wait'"
UNDER_WAY = 2 * CONNECTIONS


class Host:
    """So many workers that live and die together. `names`: what they say in EHLO."""

    def __init__(self, pids, names):
        self.pids, self.names = pids, names

    def dies(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)


async def a_host_dies(stage, make_host):
    """Two hosts of two workers each are at work; one is killed in the middle of it, the other brings it to its end."""
    first, second = await make_host("one"), await make_host("two")

    async def both_busy():
        under_way = (await stage.relay.ask("under_way"))["under_way"]
        return all(any(under_way.get(name) for name in host.names) for host in (first, second))

    await stage.until(both_busy, within=90)
    first.dies()
    before = len((await stage.relay.ask("taken"))["taken"])

    async def the_other_goes_on():
        return len((await stage.relay.ask("taken"))["taken"]) > before + 4 * UNDER_WAY

    await stage.until(the_other_goes_on)

    async def only_the_dead_ones_left():
        await stage.context.pool.execute(NO_BACK_OFF)
        under_way = (await stage.relay.ask("under_way"))["under_way"]
        return not under_way and set(await stage.states()) <= {"accepted", "unknown", "sending"}

    await stage.until(only_the_dead_ones_left, within=120)
    await stage.leases_end()

    async def all_recorded():
        return not await stage.value(WAITING)

    await stage.until(all_recorded)
    taken = (await stage.relay.ask("taken"))["taken"]
    states = await stage.states()
    print(f"{states}; the relay took {len(taken)}")
    assert {copy for copy, count in Counter(message for message, _, _ in taken).items() if count > 1} == set()
    assert states.get("unknown", 0) <= UNDER_WAY * len(first.pids)
    assert states["accepted"] <= len(taken) <= states["accepted"] + states.get("unknown", 0)
    await stage.no_deadlocks()
    await stage.books_are_clean()


async def test_the_other_workers_go_on_when_half_of_them_die(make_stage):
    stage = await make_stage(smtp_connections=str(CONNECTIONS))
    await stage.prepared(400)
    await stage.relay.ask(delay=0.1)

    async def make_host(name):
        workers = [await stage.worker() for _ in range(2)]
        return Host([one.pid for one in workers], [one.name for one in workers])

    await a_host_dies(stage, make_host)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_machine_dies_and_the_other_goes_on(make_stage, needs_program):
    """Each host is a network of its own, with one cable to the servers."""
    ip = needs_program("ip")
    if os.geteuid() != 0:
        lacks("only root makes networks")
    stage = await make_stage(smtp_connections=str(CONNECTIONS))
    await stage.prepared(600)
    await stage.relay.ask(delay=0.1)
    async with AsyncExitStack() as stack:

        async def make_host(name):
            number = {"one": 1, "two": 2}[name]
            return await stack.enter_async_context(machine(stage, ip, number))

        await a_host_dies(stage, make_host)


@asynccontextmanager
async def machine(stage, ip, number):
    """Two workers behind a cable of their own."""
    name = f"tb{os.getpid()}n{number}"
    near, far = f"10.213.{number}.1", f"10.213.{number}.2"
    async with AsyncExitStack() as stack:
        await told(ip, "netns", "add", name)
        stack.push_async_callback(told, ip, "netns", "del", name)
        await told(ip, "link", "add", name, "type", "veth", "peer", "name", "cable", "netns", name)
        for words in (("addr", "add", f"{near}/30", "dev", name), ("link", "set", name, "up")):
            await told(ip, *words)
        for words in (
            ("addr", "add", f"{far}/30", "dev", "cable"),
            ("link", "set", "cable", "up"),
            ("link", "set", "lo", "up"),
        ):
            await told(ip, "-n", name, *words)
        env = {**os.environ, **stage.env, "TILLBELL_SMTP_HOST": near}
        for setting in ("TILLBELL_DATABASE_URL", "TILLBELL_REDIS_URL"):
            env[setting] = await stack.enter_async_context(through(stage.env[setting], near))
        mail = await stack.enter_async_context(through(f"smtp://127.0.0.1:{stage.env['TILLBELL_SMTP_PORT']}", near))
        env["TILLBELL_SMTP_PORT"] = str(urlsplit(mail).port)
        names = [f"{name}w{worker}.example" for worker in range(2)]
        workers = [
            await stack.enter_async_context(worker(ip, name, {**env, "TILLBELL_SMTP_HELO": one})) for one in names
        ]
        yield Host([one.pid for one in workers], names)


async def told(ip, *words):
    process = await asyncio.create_subprocess_exec(ip, *words, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if process.returncode:
        lacks(f"this machine makes no networks: {said.decode().strip()}")


@asynccontextmanager
async def worker(ip, name, env):
    command = [ip, "netns", "exec", name, sys.executable, "-m", "daemon", "run", "--only", "worker"]
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def through(url, near):
    """The same server as it is reached over the cable."""
    parts = urlsplit(url)

    async def serve(reader, writer):
        try:
            inner, outer = await asyncio.open_connection(parts.hostname, parts.port)
            async with asyncio.TaskGroup() as both:
                both.create_task(pumped(reader, outer))
                both.create_task(pumped(inner, writer))
        except (OSError, ExceptionGroup):
            writer.close()

    server = await asyncio.start_server(serve, near, 0)
    user = parts.netloc.rpartition("@")[0]
    port = server.sockets[0].getsockname()[1]
    try:
        yield urlunsplit(parts._replace(netloc=f"{user}{'@' if user else ''}{near}:{port}"))
    finally:
        server.close()


async def pumped(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_more_workers_do_more(make_stage):
    """The relay is slow, so that connections and not the cores bound it: nothing in the database holds workers up."""
    stage = await make_stage(smtp_connections=str(CONNECTIONS))
    await stage.prepared(1400)
    await stage.context.pool.execute("UPDATE message SET not_before = '2100-01-01', not_after = '2101-01-01'")
    await stage.relay.ask(delay=0.25)
    rates = {}
    for count in (1, 2, 4):
        while len(stage.born) < count:
            await stage.worker()
        rates[count] = await rate(stage, 200 * count)
    print({count: f"{found:.0f}/s" for count, found in rates.items()})
    taken = (await stage.relay.ask("taken"))["taken"]
    assert len({address for _, address, _ in taken}) == len(taken) == 1400
    assert rates[2] > 1.6 * rates[1]
    assert rates[4] > 2.4 * rates[1]
    await stage.no_deadlocks()
    await stage.books_are_clean()


async def rate(stage, mails):
    """Mails a second, of so many that come due at once."""
    due = "UPDATE message SET not_before = $2 WHERE id IN (SELECT id FROM message WHERE state = 'prepared' LIMIT $1)"
    before = len((await stage.relay.ask("taken"))["taken"])
    began = perf_counter()
    await stage.context.pool.execute(due, mails, await stage.now())

    async def all_taken():
        return len((await stage.relay.ask("taken"))["taken"]) == before + mails

    await stage.until(all_taken, within=90)
    found = mails / (perf_counter() - began)
    accepted = before + mails

    async def all_recorded():
        return (await stage.states()).get("accepted") == accepted

    await stage.until(all_recorded)
    return found
