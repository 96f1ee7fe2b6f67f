"""Time-outs that share a timer do what asyncio's own do: whichever runs out first, and whoever else stops the task."""

import asyncio

import pytest

from channels.patience import Patience


@pytest.fixture
def patience():
    return Patience()


def now():
    return asyncio.get_running_loop().time()


async def forever():
    await asyncio.get_running_loop().create_future()


async def lasts_too_long(patience, when):
    with patience.until(when):
        await forever()


async def test_what_lasts_too_long_is_told_so_and_what_does_not_is_left_alone(patience):
    with patience.until(now() + 60):
        for when in (now() + 0.01, now() - 1):  # one to come, one that has passed already
            with pytest.raises(TimeoutError):
                await lasts_too_long(patience, when)
        await asyncio.sleep(0)
    assert not patience.open
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("longer", [60, 0], ids=["the inner one has time left", "both at once"])
async def test_the_outer_time_out_ends_the_inner_wait(patience, longer):
    when, inside = now() + 0.01, []

    async def inner():
        try:
            await lasts_too_long(patience, when + longer)
        except BaseException as error:
            inside.append(type(error))
            raise

    with pytest.raises(TimeoutError), patience.until(when):
        await inner()
    assert inside == [asyncio.CancelledError]
    assert not patience.open
    assert asyncio.current_task().cancelling() == 0


async def test_being_stopped_is_no_time_out(patience):
    task = asyncio.create_task(lasts_too_long(patience, now() + 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not patience.open


async def test_being_stopped_when_the_time_runs_out_is_still_being_stopped(patience):
    task = asyncio.create_task(lasts_too_long(patience, now()))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_of_many_runs_out_at_its_own_time(patience):
    """The earlier ones are begun last, and most of the timer's settings are overtaken."""
    began, ran_out = now(), []

    async def waits(number):
        with pytest.raises(TimeoutError):
            await lasts_too_long(patience, began + number / 200)
        ran_out.append(number)
        assert now() >= began + number / 200 - 0.001

    async with asyncio.timeout(60):
        await asyncio.gather(*(waits(number) for number in range(20, 0, -1)))
    assert ran_out == sorted(ran_out)


async def test_an_error_goes_through(patience):
    with pytest.raises(ValueError, match="mine"), patience.until(now() + 60):
        raise ValueError("mine")
    assert not patience.open
