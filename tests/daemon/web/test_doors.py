"""Strangers who take their time, send too much or send nonsense cost little and keep nobody waiting."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from aiohttp import web

from daemon.web.doors import HEAD, OURS, WATCHED, Crowd, Doors, Site
from daemon.web.edge import guard

CANARY = "canary-7f3a"


@contextlib.asynccontextmanager
async def open_house(doors: Doors) -> AsyncIterator[int]:
    """A listener with these doors; its port. `/` says hello, `/slow` after a second, `/body` how much it was sent."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def late(_: web.Request) -> web.Response:
        await asyncio.sleep(1)  # the time that somebody's answer takes
        return web.Response(text="late")

    async def body(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    app = web.Application(middlewares=[guard], client_max_size=1024)
    app.add_routes([web.get("/", hello), web.get("/late", late), web.post("/body", body)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await Site(runner, "127.0.0.1", 0, backlog=100, doors=doors).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def said(port: int, *parts: bytes, wait: float = 60) -> bytes:
    """What comes back until the connection is cut. Nothing for one that is cut without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(wait):
                return await reader.read()
        return b""
    except TimeoutError:
        return b"left open"
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


GET = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
BODY = b"POST /body HTTP/1.1\r\nHost: t\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="not a byte"),
        pytest.param([b"GET / HT"], id="half a line"),
        pytest.param([b"GET / HTTP/1.1\r\nHost: t\r\n"], id="no end of the head"),
    ],
)
async def test_whose_head_does_not_come_is_cut(parts):
    async with open_house(Doors(patience=0.2)) as port:
        assert await said(port, *parts) == b""


async def test_a_second_request_on_a_connection_has_no_more_time_than_the_first():
    async with open_house(Doors(patience=0.2)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await reader.readuntil(b"hello")
        writer.write(b"GET / HT")
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


async def test_bytes_that_trickle_win_no_time():
    async with open_house(Doors(patience=0.3)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX-Long: ")
        cut = asyncio.create_task(reader.read())
        async with asyncio.timeout(60):
            while not cut.done():
                writer.write(b"x")
                await asyncio.wait([cut], timeout=0.05)
        writer.close()
        assert cut.exception() is not None or cut.result() == b""


async def test_an_answer_may_take_longer_than_a_head():
    async with open_house(Doors(patience=0.1)) as port:
        answer = await said(port, b"GET /late HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"late")


async def test_a_head_without_end_is_cut_at_its_size():
    async with open_house(Doors(patience=600)) as port:
        lines = [b"X-%d: " % n + b"y" * 4000 + b"\r\n" for n in range(HEAD // 4000 + 2)]
        answer = await said(port, b"GET / HTTP/1.1\r\n", *lines, wait=20)
    assert answer != b"left open"
    assert b"hello" not in answer


async def test_an_upload_that_nobody_wants_still_hears_why():
    async with open_house(Doors()) as port:
        head = BODY + b"Connection: close\r\nContent-Length: 200000\r\n\r\n"
        answer = await said(port, head, b"x" * 200_000)
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_when_all_places_are_taken_the_late_make_way():
    doors = Doors(room=20)
    async with open_house(doors) as port:
        sockets = []
        for _ in range(20):
            one = socket.create_connection(("127.0.0.1", port))
            one.send(b"GET / HT")
            sockets.append(one)
        await until(lambda: len(doors.inside) == 20)
        for guest in doors.heads:
            doors.heads[guest] += 60
        assert await said(port, GET) == b""  # nobody is late yet, however long this takes
        for guest in doors.heads:
            doors.heads[guest] -= 62
        assert await said(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert len(doors.inside) <= 20
        for one in sockets:
            one.close()


async def test_when_all_places_are_taken_the_idle_make_way_and_the_busy_do_not():
    doors = Doors(room=2)
    async with open_house(doors) as port:
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", port)
        idle.write(GET)
        await idle_reader.readuntil(b"hello")
        busy_reader, busy = await asyncio.open_connection("127.0.0.1", port)
        busy.write(b"GET /late HTTP/1.1\r\nHost: t\r\n\r\n")
        await until(lambda: not doors.heads)
        assert b"hello" in await said(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await busy_reader.readuntil(b"late")
        assert await idle_reader.read() == b""
        busy.close()
        idle.close()


async def test_nothing_is_remembered_of_those_who_left():
    doors = Doors()
    async with open_house(doors) as port:
        for _ in range(50):
            await said(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await until(lambda: not doors.inside and not doors.heads)


def test_one_network_opens_no_more_than_its_share():
    crowd = Crowd(a_second=2, at_once=3)
    assert [crowd.too_many(f"192.0.2.{n}", 100.0) for n in range(5)] == [False, False, False, True, True]
    assert not crowd.too_many("198.51.100.1", 100.0)
    assert [crowd.too_many("192.0.2.9", 101.0) for _ in range(3)] == [False, False, True]
    assert [crowd.too_many("192.0.2.9", 200.0) for _ in range(4)] == [False, False, False, True]


def test_a_mailbox_provider_that_takes_five_thousand_off_within_a_minute_passes():
    """Each on a connection of its own, all from one address of the world; and no second minute is too many."""
    crowd = Crowd()
    assert not any(crowd.too_many("203.0.113.7", 100.0 + number / 84) for number in range(10_080))
    assert not any(crowd.too_many("203.0.113.7", 230.0) for _ in range(600))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "172.20.0.7", "::1", "fd00::7", "203.0.113.5", ""])
def test_our_own_machines_and_proxies_are_never_too_many(address):
    crowd = Crowd(a_second=1, at_once=1, ours=(*OURS, ip_network("203.0.113.0/29")))
    assert not any(crowd.too_many(address, 100.0) for _ in range(1000))


def test_a_flood_from_everywhere_costs_no_more_memory_than_its_share():
    crowd = Crowd(a_second=1, at_once=1)
    for number in range(WATCHED + 500):
        crowd.too_many(str(ip_address(0x0B000000 + number * 256)), 100.0)
    assert len(crowd.left) == WATCHED


async def test_who_is_turned_away_leaves_nothing_behind():
    doors = Doors(crowd=Crowd(a_second=0, at_once=2))
    async with open_house(doors) as port:
        closing = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        heard = [await said(port, closing) for _ in range(5)]
        assert [b"hello" in one for one in heard] == [True, True, False, False, False]
        await until(lambda: not doors.inside and not doors.heads)


BROKEN = [
    (b"CANARY / HTTP/1.1\r\n\r\n", b"400", "a method that is none"),
    (b"GET /CANARY\x00 HTTP/1.1\r\nHost: t\r\n\r\n", b"400", "NUL in the path"),
    (b"GET / CANARY\r\n\r\n", b"400", "a version that is none"),
    (b"GET / HTTP/1.1\r\nCANARY\r\n\r\n", b"400", "a line that is no header"),
    (b"GET / HTTP/1.1\r\nHost: CANARY\x01\r\n\r\n", b"400", "a control character"),
    (b"GET /%s HTTP/1.1\r\nHost: t\r\n\r\n" % (b"CANARY" * 1500), b"400", "a path too long"),
    (b"\x16\x03\x01\x02\x00\x01\x00CANARY\r\n\r\n", b"400", "TLS"),
    (b"POST /body HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400", "a negative length"),
    (BODY + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400", "two lengths"),
    (b"GET /CANARY HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", b"404", "no page"),
    (b"PUT /?CANARY HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", b"405", "a wrong method"),
    (BODY + b"Content-Length: 8800\r\nConnection: close\r\n\r\n" + b"CANARY" * 800, b"413", "a body too large"),
]


@pytest.mark.parametrize(
    ("raw", "status"), [(raw, status) for raw, status, _ in BROKEN], ids=[row[2] for row in BROKEN]
)
async def test_an_error_never_repeats_what_was_sent(raw, status):
    async with open_house(Doors()) as port:
        answer = await said(port, raw.replace(b"CANARY", CANARY.encode()))
    assert answer.split(b" ")[1] == status
    head, _, text = answer.partition(b"\r\n\r\n")
    assert CANARY.encode() not in answer
    assert len(text) < 60
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"text/plain" in head


async def until(holds: Any) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.005)
