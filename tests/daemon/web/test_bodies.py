"""Bodies of strangers: whoever sends too much or too slowly harms nobody else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from daemon.web.bodies import Bodies, BodyTooLarge, BodyTooSlow, TooManyBodies


class Sender:
    """Sends its parts, then waits until it is let go on."""

    def __init__(self, *parts: bytes, ends: bool = True) -> None:
        self.parts = parts
        self.sent = asyncio.Event()
        self.goes_on = asyncio.Event()
        if ends:
            self.goes_on.set()

    async def iter_any(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
        self.sent.set()
        await self.goes_on.wait()


async def read(bodies: Bodies, sender: Sender) -> bytes:
    async with bodies.read(sender) as body:
        return body


async def test_a_body_in_parts():
    bodies = Bodies(10)
    async with bodies.read(Sender(b"abc", b"def")) as body:
        assert (body, bodies.held) == (b"abcdef", 6)
    assert (bodies.held, bodies.coming) == (0, {})


async def test_one_byte_too_many():
    bodies = Bodies(5)
    assert await read(bodies, Sender(b"abcde")) == b"abcde"
    with pytest.raises(BodyTooLarge):
        await read(bodies, Sender(b"abc", b"def"))
    assert (bodies.held, bodies.coming) == (0, {})


async def test_one_that_never_ends():
    bodies = Bodies(10, patience=0.05)
    with pytest.raises(BodyTooSlow):
        await read(bodies, Sender(b"abc", ends=False))
    assert (bodies.held, bodies.coming) == (0, {})


async def test_the_one_that_has_been_coming_in_for_longest_makes_way():
    bodies = Bodies(10, room=20)
    slow = [Sender(b"x" * 9, ends=False) for _ in range(2)]
    tasks = []
    for sender in slow:
        tasks.append(asyncio.create_task(read(bodies, sender)))
        await sender.sent.wait()
    assert await read(bodies, Sender(b"honest")) == b"honest"
    with pytest.raises(BodyTooSlow):
        await tasks[0]
    slow[1].goes_on.set()
    assert await tasks[1] == b"x" * 9
    assert (bodies.held, bodies.coming) == (0, {})


async def test_nobody_makes_way_for_more_than_there_is_room_for():
    bodies = Bodies(10, room=15)
    async with bodies.read(Sender(b"x" * 10)):
        with pytest.raises(TooManyBodies):
            await read(bodies, Sender(b"y" * 10))
    assert await read(bodies, Sender(b"y" * 10)) == b"y" * 10
    assert bodies.held == 0


async def test_a_thousand_slow_ones_hold_no_more_than_the_room():
    bodies = Bodies(1000, room=10_000)
    slow = [Sender(b"x" * 900, ends=False) for _ in range(1000)]
    tasks = [asyncio.create_task(read(bodies, sender)) for sender in slow]
    for sender in slow:
        await sender.sent.wait()
        assert bodies.held <= 10_000
    assert await read(bodies, Sender(b"honest")) == b"honest"
    for sender in slow:
        sender.goes_on.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(one, bytes) for one in ended) <= 11
    assert bodies.held == 0


async def test_one_that_has_made_way_is_over_even_if_more_of_it_arrives_at_once():
    bodies = Bodies(10, room=10)
    slow = Sender(b"x" * 9, ends=False)
    task = asyncio.create_task(read(bodies, slow))
    await slow.sent.wait()
    bodies._make_way(asyncio.timeout(1))
    slow.goes_on.set()
    with pytest.raises(BodyTooSlow):
        await task
    assert (bodies.held, bodies.coming) == (0, {})
