"""Parts of a process: one that fails or ends is begun again, the log and /readyz say so, and one word ends them all."""

from __future__ import annotations

import asyncio

import pytest

from daemon import metrics, parts
from daemon.book import Keeper
from daemon.context import Context
from daemon.errors import ConfigurationError
from daemon.parts import Parts
from daemon.settings import Settings
from tests.letters import SECRETS, SHOPS


@pytest.fixture
def context(tmp_path, monkeypatch):
    """A process without a database: parts need none."""
    (tmp_path / "shops.yaml").write_text(SHOPS)
    monkeypatch.setattr(parts, "FIRST_PAUSE", 0.01)
    settings = Settings(rules_dir=tmp_path)
    return Context(settings, None, SECRETS, b"", tmp_path, Keeper(tmp_path, None, None), "here")


def said(context):
    return [reason for part in context.reasons for reason in part()]


async def fails():
    raise KeyError("what nobody thought of")


async def ends():
    """As a loop does that was left by mistake."""


async def is_cancelled():
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("way", "last"),
    [
        pytest.param(fails, "KeyError", id="it fails"),
        pytest.param(ends, "it ended by itself", id="it ends"),
        pytest.param(is_cancelled, "it was cancelled from inside", id="something in it is cancelled"),
    ],
)
async def test_a_part_that_stops_running_is_noticed_and_begun_again(way, last, context, caplog):
    begun, again = [], asyncio.Event()

    async def part():
        begun.append(said(context))
        if len(begun) > 2:
            again.set()
            await asyncio.Event().wait()
        await way()

    before = metrics.parts_begun_again.labels("bell")._value.get()
    running = Parts(context, {"bell": part})
    async with asyncio.timeout(60):
        while not running.resting:
            await asyncio.sleep(0)
        assert [reason.partition(" (")[0] for reason in said(context)] == [f"bell does not run: {last}"]
        await again.wait()
    assert said(context) == []  # it runs again
    assert metrics.parts_begun_again.labels("bell")._value.get() == before + 2
    await running.stop()


async def test_one_part_that_dies_leaves_the_others_alone(context):
    steady = asyncio.Event()

    async def goes_on():
        steady.set()
        await asyncio.Event().wait()

    running = Parts(context, {"bad": fails, "good": goes_on})
    await steady.wait()
    assert [task.get_name() for task in running.tasks if not task.done()] == ["bad", "good"]
    await running.stop()
    assert all(task.done() for task in running.tasks)


async def test_what_no_beginning_again_would_mend_ends_the_process(context):
    async def refuses():
        raise ConfigurationError("the database has schema 9999")

    running = Parts(context, {"heartbeat": refuses})
    async with asyncio.timeout(60):
        await context.stopping.wait()
    assert context.ends_because == "the database has schema 9999"
    await running.stop()


async def test_a_part_that_ends_because_the_process_does_is_no_fault(context):
    async def until_stopping():
        await context.stopping.wait()

    running = Parts(context, {"bell": until_stopping})
    context.stopping.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*running.tasks)
    assert running.resting == {}
