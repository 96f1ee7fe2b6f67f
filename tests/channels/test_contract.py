"""What every channel promises, whatever its provider; a channel's stage stands in stages/ under the channel's name."""

import asyncio
import importlib.util
import json
import sys
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from channels import discover
from channels.base import Asked, Callback, Channel, Forged, InHouse, Junk

CHANNELS = discover()

MOODS = {
    "takes everything": {"state": "accepted"},
    "is busy": {"state": "retry_wait", "costs_a_try": True, "rest_channel": False},
    "is out of reach": {"state": "retry_wait", "rest_channel": False},
    "refuses the address": {"state": "failed", "suppress": False},
    "refuses the content": {"state": "failed", "suppress": False},
    "does not know the address": {"state": "failed", "suppress": True},
    "turns the sender away": {"state": "retry_wait", "costs_a_try": False, "rest_channel": True, "suppress": False},
    "hangs up after taking it": {"state": "unknown", "suppress": False},
}

MANY = range(1, 8)


@cache
def stage_file(name):
    """The stage of a channel: the module that bears its name."""
    path = Path(__file__).parent / "stages" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"stage_of_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def stage(name, mood):
    return stage_file(name).stage(mood)


def moods_of(name):
    """All of them, but for a channel without a provider; where it has one, a stage may know further moods."""
    known = getattr(stage_file(name), "MOODS", MOODS)
    return [mood for mood in MOODS if mood in known] if issubclass(CHANNELS[name], InHouse) else list(MOODS)


async def always(message):
    return True


async def hand_over(scene, gate=always, numbers=MANY):
    """Every report, in order, as (number, outcome)."""
    reports = []
    messages = [scene.message(number) for number in numbers]
    await scene.channel.hand_over(messages, gate, lambda message, outcome: reports.append((message.id, outcome)))
    return reports


def test_channels_are_found_by_their_files():
    assert "email" in CHANNELS
    for name, channel in CHANNELS.items():
        assert issubclass(channel, Channel)
        assert channel.name == name == channel.__module__.rpartition(".")[2]
        assert channel.address in {"email", "phone", "push", "onsite", "person"}


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_has_a_stage(name):
    assert (Path(__file__).parent / "stages" / f"{name}.py").exists()


@pytest.mark.parametrize(("name", "mood"), [(name, mood) for name in CHANNELS for mood in moods_of(name)])
async def test_provider(name, mood, caplog):
    caplog.set_level("DEBUG", logger="channels")
    async with stage(name, mood) as scene:
        if scene is None:
            return  # nothing leaves the house on this channel, so nobody can be in that mood
        reports = await hand_over(scene)
        assert sorted(number for number, _ in reports) == [*MANY], "each is reported exactly once"
        for _, outcome in reports:
            for trait, value in MOODS[mood].items():
                met = outcome.suppress or outcome.gone if trait == "suppress" else getattr(outcome, trait)
                assert met == value
            told = f"{outcome!r} {caplog.text}"
            assert "canary" not in told
            assert "leak.test" not in told
            assert "geheim" not in told
        once = Counter(scene.message(number).address for number in MANY)
        assert Counter(scene.taken()) == (once if MOODS[mood]["state"] in ("accepted", "unknown") else Counter())


@pytest.mark.parametrize("name", CHANNELS)
async def test_nothing_leaves_when_it_may_not(name):
    async def never(message):
        return False

    async with stage(name, "takes everything") as scene:
        reports = await hand_over(scene, never)
        assert {(outcome.state, outcome.code, outcome.costs_a_try) for _, outcome in reports} == {
            ("retry_wait", "not_sent", False)
        }
        assert len(reports) == len(MANY)
        assert scene.taken() == []


@pytest.mark.parametrize("name", CHANNELS)
async def test_each_message_is_asked_about_for_itself_and_again_before_its_last_byte(name):
    asked = []

    async def odd_at_first(message):
        asked.append(message.id)
        return bool(message.id % 2) or asked.count(message.id) < 2

    async with stage(name, "takes everything") as scene:
        reports = await hand_over(scene, odd_at_first)
        odd = {number for number in MANY if number % 2}
        assert {number for number, outcome in reports if outcome.state == "accepted"} == odd
        assert Counter(scene.taken()) == Counter(scene.message(number).address for number in odd)
        assert all(asked.count(number) >= 2 for number in MANY)


@pytest.mark.parametrize("name", CHANNELS)
async def test_gate_that_breaks_keeps_the_message_in_the_house(name):
    async def broken(message):
        raise RuntimeError(message.address)

    async with stage(name, "takes everything") as scene:
        reports = await hand_over(scene, broken)
        assert {outcome.state for _, outcome in reports} == {"retry_wait"}
        assert not any("canary" in repr(outcome) for _, outcome in reports)
        assert scene.taken() == []


@pytest.mark.parametrize("name", CHANNELS)
async def test_being_stopped_reports_everybody_once_and_loses_nobody(name):
    reached = asyncio.Event()

    async def slow(message):
        reached.set()
        await asyncio.Event().wait()
        return True

    async with stage(name, "takes everything") as scene:
        reports = []
        messages = [scene.message(number) for number in MANY]
        sending = asyncio.create_task(
            scene.channel.hand_over(messages, slow, lambda message, outcome: reports.append((message.id, outcome)))
        )
        await reached.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert sorted(number for number, _ in reports) == [*MANY]
        assert {(outcome.code, outcome.costs_a_try) for _, outcome in reports} == {("not_sent", False)}
        assert scene.taken() == []


@pytest.mark.parametrize("name", CHANNELS)
async def test_closing_lets_go_and_can_be_done_twice(name):
    async with stage(name, "takes everything") as scene:
        assert scene.channel.ready() > 0
        await hand_over(scene)
        assert scene.channel.ready() > 0
        await scene.channel.close()
        await scene.channel.close()
        await scene.emptied()
        assert scene.channel.ready() == 0
        [(_, outcome)] = await hand_over(scene, numbers=[1])
        assert (outcome.state, outcome.costs_a_try) == ("retry_wait", False)


@pytest.mark.parametrize("name", CHANNELS)
async def test_message_that_was_never_handed_over_has_not_left(name):
    async with stage(name, "takes everything") as scene:
        assert scene.channel.may_have_left(scene.message(1)) is False
        await hand_over(scene)
        assert scene.channel.may_have_left(scene.message(99)) is False


STRANGERS = [
    b"",
    b"\x00\xff canary@leak.test",
    b"canary=leak.test&MessageSid=SM0&MessageStatus=delivered",
    json.dumps({"canary": "leak.test", "event": "delivered"}).encode(),
    b"[" * 60_000,
]


@pytest.mark.parametrize("body", STRANGERS, ids=["nothing", "bytes", "a form", "JSON", "brackets"])
@pytest.mark.parametrize("name", CHANNELS)
async def test_what_strangers_tell_is_no_event_and_is_not_repeated(name, body, caplog):
    caplog.set_level("DEBUG", logger="channels")
    kinds = ({}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": "application/json"})
    async with stage(name, "takes everything") as scene:
        for headers in kinds:
            callback = Callback(f"https://t.example/hooks/channel/{name}?m=canary", headers, body)
            with pytest.raises((Forged, Junk)) as caught:
                scene.channel.events(callback)
            told = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
            assert "canary" not in told
            assert "leak.test" not in told


@pytest.mark.parametrize("name", CHANNELS)
async def test_what_cannot_be_asked_about_was_not_accepted(name):
    if not CHANNELS[name].looks_up or issubclass(CHANNELS[name], InHouse):
        return
    async with stage(name, "is out of reach") as scene:
        one = scene.message(1)
        asked = Asked(1, one.address, one.content, datetime(2026, 1, 1, tzinfo=UTC))
        assert (await scene.channel.look_up(asked)).word != "accepted"
