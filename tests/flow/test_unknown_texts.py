"""A text whose fate Twilio did not tell is looked up there, and goes out once more only if it is not there."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from daemon.flow import reconcile
from daemon.shops.base import ConsentHint

POLICY = """
extends: default
starts: {rests_for: 1h}
steps:
  - {name: nudge, send: sms, after: 1h}
without: [remind, doubts, last-call]
"""
FAULTS = ("busy", "server error", "overloaded", "hangs", "resets before", "resets after", "half an answer", "garbage",
          "wrong sid")  # fmt: skip
AMBIGUOUS = ("resets after", "half an answer", "garbage", "wrong sid", "takes and fails")


@pytest.fixture
async def town(make_town: Any, at_twilio: dict[str, Any]) -> Any:
    return await make_town(
        policies={"main": POLICY},
        **at_twilio,
        twilio_from="+4915735980000",
    )


async def leave_carts(town: Any, make_buyer: Any, many: int) -> None:
    agreed = (ConsentHint("sms_mkt", "confirmed", None, "newsletter", "double opt-in"),)
    for number in range(many):
        buyer = make_buyer(f"c{number}", phone=f"+4915112{number:06}", country="DE", consents=agreed)
        await town.leaves_cart(f"c{number}", buyer, "stiefel")


async def states(town: Any) -> dict[str, int]:
    rows = await town.fetch("SELECT state, count(*) AS n FROM message GROUP BY 1")
    return {row["state"]: row["n"] for row in rows}


async def looks_up(town: Any, after: str = "31 s") -> None:
    """So much machine time later."""
    pool = town.context.pool
    await pool.execute(
        "UPDATE attempt SET closed_real = closed_real - $1::text::interval WHERE outcome = 'unknown'", after
    )
    await pool.execute("UPDATE message SET looked_up_real = looked_up_real - interval '61 s'")
    while await reconcile.look_up(town.context, town.shop_id, await town.now()):
        pass
    await town.settles()


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.long, id="a hundred")])
async def test_every_ambiguous_answer_is_settled_by_the_list_and_nothing_goes_out_twice(
    town, twilio, make_buyer, times
):
    many = times * len(AMBIGUOUS)
    twilio.moods.extend(AMBIGUOUS * times)
    await leave_carts(town, make_buyer, many)
    await town.passes(hours=2)
    assert await states(town) == {"unknown": many}
    await looks_up(town)
    assert await states(town) == {"accepted": many}
    assert twilio.asked == len(twilio.posts) == len(twilio.texts) == many
    assert {one["provider_id"] for one in await town.fetch("SELECT provider_id FROM message")} == {
        text.sid for text in twilio.texts
    }
    await town.books_are_clean()


async def test_each_claim_asks_once_whatever_comes_back(town, twilio, make_buyer):
    town.context.channels["sms"].api.client.answer_within = 5  # for the one that hangs, and longer than any other needs
    twilio.retry_after = "0"
    twilio.moods.extend(FAULTS)
    await leave_carts(town, make_buyer, len(FAULTS))
    await town.passes(hours=2)
    async with asyncio.timeout(60):
        while set(await states(town)) - {"unknown", "accepted"}:
            town.context.bell.set()
            await asyncio.sleep(0.01)
    assert await states(town) == {"unknown": len(FAULTS) - 1, "accepted": 1}, "only who was busy is asked again"
    claims = [row["n"] for row in await town.fetch("SELECT count(*) AS n FROM attempt GROUP BY message_id")]
    assert sorted(claims) == [1] * (len(FAULTS) - 1) + [2]
    assert twilio.asked == sum(claims)
    await town.books_are_clean()


async def test_what_is_absent_three_times_goes_out_once_more_and_never_again(town, twilio, make_buyer):
    twilio.mood = "server error"
    await leave_carts(town, make_buyer, 2)
    await town.passes(hours=2)
    for after in ("31 s", "2 min"):
        await looks_up(town, after)
        assert await states(town) == {"unknown": 2}
        assert len(twilio.posts) == 2
    twilio.moods.append("takes it")
    await looks_up(town, "10 min")
    assert await states(town) == {"accepted": 1, "unknown": 1}
    assert len(twilio.posts) == 4
    for after in ("31 s", "2 min", "10 min"):
        await looks_up(town, after)
    assert await states(town) == {"accepted": 1, "given_up": 1}
    assert (len(twilio.posts), len(twilio.texts)) == (4, 1)
    assert set(Counter(form["To"] for form in twilio.posts).values()) == {2}
    await town.books_are_clean()


async def test_list_that_cannot_be_read_holds_it(town, twilio, make_buyer):
    twilio.moods.append("server error")
    twilio.lists = False
    await leave_carts(town, make_buyer, 1)
    await town.passes(hours=2)
    for _ in range(5):
        await looks_up(town, "10 min")
    assert await states(town) == {"unknown": 1}
    assert len(twilio.posts) == 1


async def test_signed_callback_settles_it_before_any_look(town, twilio, make_buyer):
    twilio.moods.append("garbage")
    await leave_carts(town, make_buyer, 1)
    await town.passes(hours=2)
    assert await states(town) == {"unknown": 1}
    assert await twilio.tell(twilio.texts[0], "sent") == 204
    await town.settles()
    assert await states(town) == {"accepted": 1}
    assert await town.value("SELECT provider_id FROM message") == twilio.texts[0].sid
    await town.books_are_clean()


async def test_absent_text_of_somebody_who_bought_meanwhile_stays_in_the_house(town, twilio, make_buyer):
    twilio.moods.append("server error")
    await leave_carts(town, make_buyer, 1)
    await town.passes(hours=2)
    await town.buys("o1", make_buyer("c0"))
    for after in ("31 s", "2 min", "10 min"):
        await looks_up(town, after)
    assert await states(town) == {"cancelled": 1}
    assert len(twilio.posts) == 1


async def test_other_number_than_it_went_to_proves_nothing(town, twilio, make_buyer):
    twilio.moods.append("garbage")
    await leave_carts(town, make_buyer, 1)
    await town.passes(hours=2)
    await town.context.pool.execute("UPDATE person SET phone = '+4915199999999', phone_hmac = '\\x01'")
    for after in ("31 s", "2 min", "10 min"):
        await looks_up(town, after)
    assert await states(town) == {"unknown": 1}


async def test_two_workers_that_ask_at_the_same_time_count_as_one(town, twilio, make_buyer):
    twilio.moods.extend(["takes and fails"])
    await leave_carts(town, make_buyer, 1)
    await town.passes(hours=2)
    twilio.texts.clear()
    pool = town.context.pool
    await pool.execute("UPDATE attempt SET closed_real = closed_real - interval '31 s' WHERE outcome = 'unknown'")
    now = await town.now()
    await asyncio.gather(*(reconcile.look_up(town.context, town.shop_id, now) for _ in range(4)))
    assert await town.value("SELECT look_ups FROM message") == 1
