"""The proxy itself: each of its faults, against a server that answers every line with a line."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest

from tests import proxy as module


class Parrot:
    """Answers `word` with `heard word`; remembers what it was told and how each connection ended."""

    def __init__(self):
        self.told, self.ends = [], []
        self.changed = asyncio.Event()

    async def serve(self, reader, writer):
        end = "FIN"
        try:
            while line := await reader.readline():
                self.told.append(line)
                writer.write(b"heard " + line)
                await writer.drain()
        except ConnectionError:
            end = "RST"
        self.ends.append(end)
        self.changed.set()
        with contextlib.suppress(ConnectionError):
            writer.write(b"bye\n")
            writer.close()
            await writer.wait_closed()

    async def ended(self):
        async with asyncio.timeout(60):
            await self.changed.wait()
        self.changed.clear()
        return self.ends[-1]


@pytest.fixture
async def parrot():
    made = Parrot()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await asyncio.wait_for(server.wait_closed(), 60)


@pytest.fixture
async def line(parrot, make_proxy):
    """(proxy, reader, writer): a connection by way of a proxy, over which one word has been said."""
    proxy = await make_proxy(parrot.port)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello\n")
    assert await reader.readline() == b"heard hello\n"
    yield proxy, reader, writer
    writer.transport.abort()


def since(began):
    return asyncio.get_running_loop().time() - began


async def test_it_carries_what_it_is_given(line, parrot):
    proxy, reader, writer = line
    writer.write(b"x" * 50_000 + b"\n")
    assert await reader.readline() == b"heard " + b"x" * 50_000 + b"\n"
    assert (proxy.accepted, proxy.carried["up"]) == (1, 50_007)
    writer.write_eof()
    assert await reader.read() == b"bye\n"
    assert await parrot.ended() == "FIN"


async def test_a_long_line_delays_each_way_and_not_each_word(line):
    proxy, reader, writer = line
    proxy.latency = 0.3
    began = asyncio.get_running_loop().time()
    for word in range(100):
        writer.write(b"%d\n" % word)
        await asyncio.sleep(0)
    for word in range(100):
        assert await reader.readline() == b"heard %d\n" % word
    assert 0.6 <= since(began) < 30  # one by one they would take a minute


async def test_a_thin_line_takes_its_time(line):
    proxy, reader, writer = line
    proxy.bytes_per_second = 10_000
    began = asyncio.get_running_loop().time()
    for _ in range(2):
        writer.write(b"x" * 999 + b"\n")
        await reader.readline()
    assert since(began) >= 0.4


async def test_a_connection_is_reset_behind_the_byte_that_was_named(line, parrot):
    proxy, reader, writer = line
    proxy.cut("up", after=6)
    writer.write(b"first\nsecond\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    assert await parrot.ended() == "RST"
    assert parrot.told == [b"hello\n", b"first\n"]
    assert proxy.fired == 1


async def test_an_answer_stops_in_its_middle(line):
    proxy, reader, writer = line
    proxy.cut("down", after=8, fate="close")
    writer.write(b"first\n")
    assert await reader.read() == b"heard fi"


async def test_half_closed_the_other_way_goes_on(line, parrot):
    proxy, reader, writer = line
    proxy.cut("up", after=6, fate="half close")
    writer.write(b"first\n")
    assert await reader.read() == b"heard first\nbye\n"
    assert await parrot.ended() == "FIN"


async def test_in_a_black_hole_nothing_travels_until_it_is_released(line, parrot):
    proxy, reader, writer = line
    proxy.hold()
    writer.write(b"late\n")
    late_reader, late_writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    late_writer.write(b"later\n")
    await proxy.until(lambda: proxy.accepted == 2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readline(), 0.05)
    assert parrot.told == [b"hello\n"]
    proxy.release()
    assert await reader.readline() == b"heard late\n"
    assert await late_reader.readline() == b"heard later\n"
    late_writer.transport.abort()


@pytest.mark.parametrize("fate", ["reset", "close"])
async def test_an_answer_is_eaten_after_the_server_has_acted(fate, line, parrot):
    proxy, reader, writer = line
    proxy.eat(b"COMMIT", fate=fate)
    writer.write(b"work\n")
    assert await reader.readline() == b"heard work\n"
    writer.write(b"COM")
    await asyncio.sleep(0)
    writer.write(b"MIT\n")
    with pytest.raises(ConnectionResetError) if fate == "reset" else contextlib.nullcontext():
        assert await reader.read() == b""
    assert parrot.told[-1] == b"COMMIT\n"
    assert (proxy.eaten, proxy.meals) == (1, [])


async def test_only_what_is_said_from_now_on_is_answered_badly(line):
    proxy, reader, writer = line
    writer.write(b"COMMIT\n")
    assert await reader.readline() == b"heard COMMIT\n"
    proxy.eat(b"COMMIT")
    writer.write(b"work\n")
    assert await reader.readline() == b"heard work\n"
    assert proxy.eaten == 0


async def test_an_answer_is_eaten_by_what_it_says(line):
    proxy, reader, writer = line
    proxy.eat(reply=b"heard two", fate="silence")
    writer.write(b"one\ntwo\nthree\n")
    assert await reader.readline() == b"heard one\n"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readline(), 0.05)
    assert proxy.eaten == 1


async def test_it_refuses_and_listens_again_at_the_same_port(line):
    proxy, reader, _ = line
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    await proxy.open()
    _, again = await asyncio.open_connection("127.0.0.1", proxy.port)
    again.close()
    await again.wait_closed()


async def test_a_server_that_is_away_is_a_reset(make_proxy, unused_tcp_port):
    proxy = await make_proxy(unused_tcp_port)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def test_an_address_is_given_by_way_of_it():
    proxy = module.Proxy("127.0.0.1", 5432, port=7000)
    assert proxy.before("postgresql://a:b@db:5432/shop?x=y") == "postgresql://a:b@127.0.0.1:7000/shop?x=y"
    assert proxy.before("redis://db/3") == "redis://127.0.0.1:7000/3"


async def test_it_runs_as_a_process_of_its_own(parrot):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(module.__file__)),
        "127.0.0.1",
        str(parrot.port),
        "0.02",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", int(await process.stdout.readline()))
    began = asyncio.get_running_loop().time()
    writer.write(b"hello\n")
    assert await reader.readline() == b"heard hello\n"
    assert since(began) >= 0.04
    writer.close()
    await writer.wait_closed()
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 60) == 0
