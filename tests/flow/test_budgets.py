"""Texts never cost a shop more than it wants to spend, by however many workers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daemon.shops.base import ConsentHint
from tests.daemon.conftest import beside, own_logging

__all__ = ["beside", "own_logging"]

POLICY = """
extends: default
starts: {rests_for: 1h}
steps:
  - {name: nudge, send: sms, after: 1h}
without: [remind, doubts, last-call]
"""
SHOPS = """
shops:
  main:
    connector: push
    mode: live
    url: https://shop.example
    zone: Europe/Berlin
    locale: de-DE
    holdout: {holdout}
    legal: de
    sender: {{name: Laden, address: laden@shop.example, imprint: [Laden GmbH, "10115 Berlin"]}}
    sms: {{from: "+4915735980000", price: 0.09 EUR, budget: {{day: 0.20 EUR, month: 0.50 EUR}}}}
    connection: {{secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}
"""


INSTEAD = """
extends: default
starts: {rests_for: 1h}
steps:
  - {name: nudge, send: sms, after: 1h, over_budget: leave_out}
  - {name: doubts, after: 4h, unless: {nudge: [sent]}}
without: [remind, last-call]
"""


@pytest.fixture
async def make_thrifty(make_town: Any, at_twilio: dict[str, Any]) -> Any:
    async def make(policy: str) -> Any:
        return await make_town(SHOPS, {"main": policy}, **at_twilio)

    return make


async def leave_carts(town: Any, make_buyer: Any, numbers: range) -> None:
    agreed = tuple(ConsentHint(word, "confirmed", None, "newsletter", "yes") for word in ("email_mkt", "sms_mkt"))
    for number in numbers:
        buyer = make_buyer(f"c{number}", phone=f"+4915112{number:06}", country="DE", consents=agreed)
        await town.leaves_cart(f"c{number}", buyer, "stiefel")


async def test_texts_wait_for_the_next_day_when_the_budget_is_spent(make_thrifty, twilio, make_buyer):
    town = await make_thrifty(POLICY)
    await leave_carts(town, make_buyer, range(7))
    await town.passes(hours=3)
    assert len(twilio.texts) == 2, "two of nine cents each fit into twenty"
    held = await town.fetch("SELECT DISTINCT reason FROM message WHERE state = 'planned'")
    assert [row["reason"] for row in held] == ["held by the budget for texts: 0.20 EUR a day"]
    await town.passes(hours=24)
    assert len(twilio.texts) == 4, "the next day has its own"
    assert await town.value("SELECT sum(cost) FROM message WHERE state = 'accepted'") * 100 == 36
    await town.books_are_clean()


async def test_mail_takes_the_place_of_a_text_that_the_budget_leaves_out(make_thrifty, twilio, make_buyer, beside):
    town = await make_thrifty(INSTEAD)
    await leave_carts(town, make_buyer, range(3))
    await town.passes(hours=2)
    assert len(twilio.texts) == 2
    [row] = await town.fetch("SELECT reason FROM message WHERE channel = 'sms' AND state = 'cancelled'")
    assert row["reason"] == "the budget for texts is used up: 0.20 EUR a day", (
        "decided while there was room, and then not"
    )
    await leave_carts(town, make_buyer, range(3, 4))
    await town.passes(hours=2)
    assert await town.value("SELECT count(*) FROM message WHERE channel = 'sms'") == 3, "the rules knew of it"
    told = (await beside(town, 300)("why", "c3")).out
    assert "nudge is left out: the budget for texts is used up: 0.20 EUR a day" in told
    await town.passes(hours=4)
    by_text = {int(text.to[-1]) for text in twilio.texts}
    by_mail = {number for number in range(4) if town.letters.of(f"c{number}@example.org")}
    assert (len(by_text), by_mail) == (2, {0, 1, 2, 3} - by_text), "each got one of the two"
    await town.books_are_clean()


async def test_larger_budget_lets_go_what_waited_for_the_next_day(make_thrifty, twilio, make_buyer):
    town = await make_thrifty(POLICY)
    await leave_carts(town, make_buyer, range(3))
    await town.passes(hours=2)
    await leave_carts(town, make_buyer, range(3, 5))
    await town.passes(hours=2)
    assert len(twilio.texts) == 2
    assert await town.value("SELECT count(*) FROM message") == 3, "of the last two the rules say that they wait"
    assert "nudge waits: the budget for texts is used up: 0.20 EUR a day" in await town.because()
    shops = town.context.settings.rules_dir / "shops.yaml"
    shops.write_text(shops.read_text().replace("day: 0.20 EUR", "day: 0.40 EUR"))
    async with asyncio.timeout(60):
        while len(twilio.texts) < 4:
            town.context.bell.set()
            await asyncio.sleep(0.01)
    await town.settles()
    assert len(twilio.texts) == 4, "and no more than the larger one"
    await town.books_are_clean()
