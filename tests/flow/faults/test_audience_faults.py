"""Accidents between here and an ad platform: after at most three runs it holds exactly whom it should, and no list of
fewer than a hundred was ever handed over."""

from contextlib import AsyncExitStack

import pytest

from ..audience_town import POLICY, Stage, platform, shops
from ..conftest import SHOPS

FAULTS = {
    "meta": ["429", "limit", "500", "471", "token", "session", "half", "lost", "dropped", "huge"],
    "google": ["429", "500", "403", "401", "half", "failed", "slow", "lost", "dropped", "bare"],
}
CASES = [(name, fault) for name, faults in FAULTS.items() for fault in faults]


@pytest.fixture
async def make_stage(make_town):
    async with AsyncExitStack() as stack:

        async def make(name):
            made, audience, words = await stack.enter_async_context(platform(name))
            return Stage(await make_town(shops(SHOPS, words), {"main": POLICY}), made, audience)

        yield make


async def is_as_wanted(stage):
    counts = await stage.counts()
    wanted = counts.pop("wanted")
    return counts.get("in", 0) == wanted == stage.inside() and not counts.get("unsure")


@pytest.mark.parametrize(("name", "fault"), CASES)
async def test_after_three_runs_it_is_as_wanted(make_stage, name, fault):
    stage = await make_stage(name)
    crowd = await stage.crowd(250)
    stage.platform.faults.append(fault)
    await stage.syncs(3 if name == "meta" else 4)
    assert await is_as_wanted(stage)
    stage.platform.faults.append(fault)
    await stage.town.context.pool.execute(
        "UPDATE member SET until = $1 WHERE person_id = ANY($2)", await stage.town.now(), crowd[:60]
    )
    await stage.syncs(3 if name == "meta" else 4)
    assert stage.inside() == 190
    assert await stage.counts() == {"wanted": 190, "in": 190, "out": 60}
    assert stage.platform.small_uploads == 0
