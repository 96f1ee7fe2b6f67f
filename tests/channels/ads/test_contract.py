"""What every platform promises: said again changes nothing, certain refusals are told from uncertain ones, no secret
in what it says."""

import asyncio

import pytest

from channels.ads.base import Reach
from channels.base import Misconfigured, Retry, Unclear

from .conftest import PATIENCE, first_error

PLATFORMS = ["meta", "google"]
FATES = {
    "meta": {
        "429": Retry,
        "limit": Retry,
        "500": Unclear,
        "471": Misconfigured,
        "token": Misconfigured,
        "session": Misconfigured,
        "half": Unclear,
        "lost": Unclear,
        "dropped": Unclear,
        "hang": Unclear,
        "huge": Unclear,
    },
    "google": {
        "429": Retry,
        "500": Unclear,
        "403": Misconfigured,
        "lost": Unclear,
        "dropped": Unclear,
        "hang": Unclear,
        "bare": Unclear,
    },
}
CASES = [(name, fault) for name, fates in FATES.items() for fault in fates]


def people(client, number):
    return [client.normalise(Reach(f"person{no}@example.org", f"+4917012345{no:02}"[:14])) for no in range(number)]


@pytest.mark.parametrize("name", PLATFORMS)
async def test_who_is_added_is_in_and_who_is_removed_is_out(stage, part, name):
    scene = await stage(name)
    everybody = people(scene.client, 120)
    await scene.client.add(everybody, part(120))
    assert scene.inside() == 120
    await scene.client.remove(everybody[:50], part(50))
    assert scene.inside() == 70
    assert scene.platform.complaints == []


@pytest.mark.parametrize("name", PLATFORMS)
async def test_saying_it_again_changes_nothing(stage, part, name):
    scene = await stage(name)
    everybody = people(scene.client, 100)
    for _ in range(2):
        await scene.client.add(everybody, part(100))
    assert scene.inside() == 100
    for _ in range(2):
        await scene.client.remove(everybody, part(100))
    assert scene.inside() == 0


@pytest.mark.parametrize("name", PLATFORMS)
async def test_whole_part_fits_into_one_call(stage, part, name):
    scene = await stage(name)
    everybody = [scene.client.normalise(Reach(f"p{no}@example.org")) for no in range(scene.client.most)]
    await scene.client.add(everybody, part(len(everybody)))
    assert scene.inside() == scene.client.most == 10_000
    assert scene.client.minimum == 100


@pytest.mark.parametrize(("name", "fault"), CASES)
async def test_accident_is_told_for_what_it_is(stage, part, name, fault):
    scene = await stage(name)
    scene.platform.faults.append(fault)
    if fault == "hang":
        scene.client.wire.patience = 2.0
    error = await first_error(scene.client.add(people(scene.client, 100), part(100)))
    assert isinstance(error, FATES[name][fault])
    taken = {"half": 50, "lost": 100, "bare": 100}.get(fault, 0)
    assert scene.inside() == taken
    for secret in ("meta-token", "PRIVATE KEY", "pretend-", "@example.org"):
        assert secret not in f"{error!r} {error.__cause__!r}"


@pytest.mark.parametrize(("name", "fault"), CASES)
async def test_next_call_after_an_accident_goes_well(stage, part, name, fault):
    scene = await stage(name)
    scene.platform.faults.append(fault)
    if fault == "hang":
        scene.client.wire.patience = 2.0
    everybody = people(scene.client, 100)
    await first_error(scene.client.add(everybody, part(100)))
    scene.client.wire.patience = PATIENCE
    await scene.client.add(everybody, part(100))
    assert scene.inside() == 100


@pytest.mark.parametrize("name", PLATFORMS)
async def test_busy_platform_says_when_to_come_again(stage, part, name):
    scene = await stage(name)
    scene.platform.faults.append("429")
    error = await first_error(scene.client.add(people(scene.client, 100), part(100)))
    assert isinstance(error, Retry)
    if name == "meta":
        assert error.after is not None
        assert error.after.total_seconds() == 1


@pytest.mark.parametrize("name", PLATFORMS)
async def test_nothing_of_the_wire_is_logged(stage, part, name, caplog):
    caplog.set_level("DEBUG")
    scene = await stage(name)
    scene.platform.faults.extend(["500", "lost"])
    for _ in range(3):
        await first_error(scene.client.add(people(scene.client, 100), part(100)))
    for secret in ("meta-token", "PRIVATE KEY", "pretend-1", "example.org"):
        assert secret not in caplog.text


@pytest.mark.parametrize("name", PLATFORMS)
async def test_platform_that_is_out_of_reach_has_taken_nothing(stage, part, name, unused_tcp_port):
    scene = await stage(name)
    client = scene.client
    everybody = people(client, 100)
    if name == "meta":
        client.config = type(client.config)("123", "meta-token", f"http://127.0.0.1:{unused_tcp_port}/v25.0")
    else:
        key = scene.platform.key(f"http://127.0.0.1:{unused_tcp_port}")
        client.config = type(client.config)("1234567890", "77", key, api=f"http://127.0.0.1:{unused_tcp_port}")
    assert isinstance(await first_error(client.add(everybody, part(100))), Retry)
    assert scene.inside() == 0


@pytest.mark.parametrize("name", PLATFORMS)
async def test_closing_can_be_done_twice(stage, part, name):
    scene = await stage(name)
    await scene.client.add(people(scene.client, 100), part(100))
    await scene.client.close()
    await scene.client.close()
    await asyncio.sleep(0)
