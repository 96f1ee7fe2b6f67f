"""`tillbell pause`, `resume`, `status`: the brake holds at once and outlives restarts."""

from __future__ import annotations

import json

import pytest
from cyclopts.exceptions import CycloptsError

from daemon.errors import ConfigurationError


async def test_nothing_leaves_while_paused(town, beside, make_buyer):
    command = beside(town)
    assert (await command("pause", "a wrong price", "--for", "2h")).out == "paused 1 shop until 2026-03-02 11:00 UTC\n"
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=1, minutes=55)
    assert town.letters.taken == []
    assert "paused: a wrong price" in (await command("why", "c1")).out
    status = (await command("status")).out
    assert "paused: shop main: a wrong price (since 2026-03-02 09:00, until 2026-03-02 11:00)" in status
    assert f"process {town.context.process} (all, " in status
    [told] = json.loads((await command("status", "--json")).out)["paused"]
    assert (told["shop"], told["policy"], told["reason"]) == ("main", None, "a wrong price")
    await town.passes(minutes=10)
    assert len(town.letters.taken) == 1
    assert "paused" not in (await command("status")).out


async def test_a_pause_of_one_step_leaves_the_others_alone(town, beside, make_buyer):
    command = beside(town)
    assert (await command("pause", "[/] text is wrong", "--step", "remind")).out == "paused 1 shop\n"
    assert (await command("pause", "x", "--channel", "sms", "--policy", "other")).code == 0
    status = (await command("status")).out
    assert "paused: shop main, step remind: [/] text is wrong (since 2026-03-02 09:00, until resumed)" in status
    assert "paused: shop main, policy other, channel sms: x" in status
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    assert town.letters.taken == []

    assert (await command("resume", "--step", "doubts")).code == 1
    assert (await command("resume", "--step", "remind")).out == "lifted 1 pause\n  [/] text is wrong\n"
    town.context.bell.set()
    await town.settles()  # at once: no time has passed
    assert len(town.letters.taken) == 1
    assert (await command("resume")).out == "lifted 1 pause\n  x\n"
    assert (await command("resume")).code == 1


@pytest.mark.parametrize("words", [["pause", ""], ["pause", "  "], ["pause"], ["pause", "x", "--steps", "y"]])
async def test_what_cannot_be_typed(town, beside, words):
    with pytest.raises(CycloptsError):
        await beside(town)(*words)
    assert await town.value("SELECT count(*) FROM pause") == 0


@pytest.mark.parametrize("words", [["--for", "2"], ["--for", "soon"], ["--shop", "elsewhere"]])
async def test_what_does_not_fit(town, beside, words):
    with pytest.raises(ConfigurationError, match=r"2h|there is no shop"):
        await beside(town)("pause", "x", *words)
    assert await town.value("SELECT count(*) FROM pause") == 0


async def test_status_names_what_is_amiss(town, beside):
    await town.context.pool.execute("UPDATE work SET problem = 'no answer', failures = 3 WHERE name = 'prepare'")
    said = await beside(town)("status")
    assert said.code == 1
    assert "shop main: prepare: no answer" in said.out
