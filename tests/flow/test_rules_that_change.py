"""A policy's file changes while recoveries run: they keep the ladder they began with, and lose only what is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from daemon.run import reload
from tests.flow.conftest import POLICY, START

WITHOUT_DOUBTS = POLICY.replace("  - {name: doubts, after: 24h}\n", "") + "without: [doubts]\n"


async def is_written(town: Any, text: str) -> None:
    (town.context.settings.rules_dir / "main.yaml").write_text(text)
    await reload(town.context)


async def sent(town: Any, cart: str) -> dict[str, timedelta]:
    """When each step of a cart left, counted from the beginning."""
    rows = await town.fetch(
        "SELECT m.step, m.accepted_at FROM message m JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id "
        "JOIN cart c ON c.shop_id = m.shop_id AND c.id = r.cart_id WHERE c.ref = $1 AND m.state = 'accepted'",
        cart,
    )
    return {row["step"]: row["accepted_at"] - START for row in rows}


def hours(**steps: float) -> dict[str, timedelta]:
    return {name.replace("_", "-"): timedelta(hours=count) for name, count in steps.items()}


async def test_delays_that_change_hold_for_whoever_begins_afterwards(town, make_buyer):
    await town.leaves_cart("before", make_buyer("1"), "red")
    await town.passes(hours=2)
    await is_written(town, POLICY.replace("24h", "22h").replace("48h", "46h"))
    await town.leaves_cart("after", make_buyer("2"), "red")
    await town.passes(hours=50)
    assert await sent(town, "before") == hours(remind=1, doubts=24, last_call=48)
    assert await sent(town, "after") == hours(remind=3, doubts=24, last_call=48)
    await town.books_are_clean()


async def test_delays_that_change_do_not_move_a_first_step_that_is_waiting(make_town, make_buyer):
    early = POLICY.replace("rests_for: 1h", "rests_for: 10m")
    town = await make_town(policies={"main": early})
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(minutes=20)
    await is_written(town, early.replace("after: 1h}", "after: 5h}"))
    await town.passes(hours=6)
    assert await sent(town, "c1") == hours(remind=1)


async def test_a_step_that_is_removed_and_restored_in_time_goes_out_as_ever(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    await is_written(town, WITHOUT_DOUBTS)
    await town.passes(hours=10)
    await is_written(town, POLICY)
    await town.passes(hours=40)
    assert await sent(town, "c1") == hours(remind=1, doubts=24, last_call=48)
    await town.books_are_clean()


async def test_a_step_that_was_missing_at_its_hour_is_not_made_up_for(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    await is_written(town, WITHOUT_DOUBTS)
    await town.passes(hours=44)
    await is_written(town, POLICY)
    await town.passes(hours=6)
    assert await sent(town, "c1") == hours(remind=1, last_call=48)
    await town.books_are_clean()


async def test_a_file_that_goes_and_comes_back_is_the_policy_that_it_was(town, make_buyer):
    before = town.context.keeper.book.policies["main"].hash
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    await is_written(town, POLICY.replace("24h", "12h"))
    assert town.context.keeper.book.policies["main"].hash != before
    await is_written(town, POLICY)
    assert town.context.keeper.book.policies["main"].hash == before
    await town.passes(hours=50)
    assert await sent(town, "c1") == hours(remind=1, doubts=24, last_call=48)
