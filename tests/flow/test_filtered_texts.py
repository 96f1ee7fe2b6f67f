"""Texts that carriers do not let through rest, until somebody has seen to their sender."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.doctor.post import post as doctor
from daemon.flow import reputation
from daemon.shops.base import ConsentHint
from daemon.store import brake
from daemon.store.brake import Scope
from daemon.store.reputation import Lately

POLICY = """
extends: default
starts: {rests_for: 1h}
steps:
  - {name: nudge, send: sms, after: 1h}
without: [remind, doubts, last-call]
"""
AGREED = (ConsentHint("sms_mkt", "confirmed", None, "newsletter", "double opt-in"),)


@pytest.fixture
async def town(make_town: Any, at_twilio: dict[str, Any]) -> Any:
    return await make_town(
        policies={"main": POLICY},
        **at_twilio,
        twilio_from="+4915735980000",
    )


async def leave_carts(town: Any, make_buyer: Any, numbers: range) -> None:
    for number in numbers:
        buyer = make_buyer(f"c{number}", phone=f"+4915112{number:06}", country="DE", consents=AGREED)
        await town.leaves_cart(f"c{number}", buyer, "stiefel")
    await town.passes(hours=2)


async def told(town: Any) -> list[str]:
    return [one.text for one in await doctor(town.context, await town.now()) if one.about == "reputation"]


async def test_filtered_texts_stop_the_texts_until_somebody_resumes(town, twilio, make_buyer):
    await leave_carts(town, make_buyer, range(12))
    assert len(twilio.texts) == 12
    for text, code in zip(twilio.texts[:6], ("30007", "30003", "30005", "30004", "30034", "30034"), strict=True):
        assert await brake.pauses(town.context.pool, await town.now()) == []
        await twilio.tell(text, "undelivered", code=code)
        await town.settles()
        if text is twilio.texts[4]:
            assert await told(town) == [
                "shop main: 2 of the newest 12 texts did not arrive because of their sender; "
                "above 5% the channel is paused"
            ]
    [pause] = await brake.pauses(town.context.pool, await town.now())
    assert (pause.channel, pause.cause) == ("sms", "filtered")
    assert pause.reason.startswith("3 of the newest 12 texts did not arrive because of their sender")
    assert await told(town) == [], "what is paused is told as paused"
    await leave_carts(town, make_buyer, range(12, 13))
    assert len(twilio.texts) == 12
    now = await town.now()
    assert len(await brake.resume(town.context.pool, [town.shop_id], Scope(channel="sms"), now)) == 1
    await town.passes(hours=1)
    assert len(twilio.texts) == 13
    await twilio.tell(twilio.texts[6], "undelivered", code="30007")
    await town.settles()
    assert await brake.pauses(town.context.pool, now) == [], "what was sent before counts no more"
    await town.books_are_clean()


@pytest.mark.parametrize(
    ("few", "filtered", "stops"),
    [
        pytest.param(100, 5, False, id="five in a hundred are borne"),
        pytest.param(100, 6, True, id="six are too many"),
        pytest.param(9, 9, False, id="of too few nothing is known"),
        pytest.param(10, 3, True, id="three of ten"),
        pytest.param(10, 2, False, id="two may be chance"),
    ],
)
def test_one_in_twenty_is_borne(few, filtered, stops):
    assert reputation.too_many_filtered(Lately(few, 0, few, 0, filtered)) == stops
