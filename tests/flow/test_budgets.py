"""Texts never cost a shop more than it wants to spend, by however many workers."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from daemon.demo.twilio import ACCOUNT, TOKEN, Twilio
from daemon.shops.base import ConsentHint

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


async def test_texts_wait_for_the_next_day_when_the_budget_is_spent(make_town: Any, make_buyer: Any) -> None:
    twilio = Twilio()
    await twilio.start()
    town = await make_town(
        SHOPS,
        {"main": POLICY},
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=SecretStr(TOKEN),
        twilio_base_url=twilio.url,
    )
    agreed = (ConsentHint("sms_mkt", "confirmed", None, "newsletter", "double opt-in"),)
    for number in range(7):
        buyer = make_buyer(f"c{number}", phone=f"+4915112{number:06}", country="DE", consents=agreed)
        await town.leaves_cart(f"c{number}", buyer, "stiefel")
    await town.passes(hours=3)
    assert len(twilio.texts) == 2, "two of nine cents each fit into twenty"
    held = await town.fetch("SELECT DISTINCT reason FROM message WHERE state = 'planned'")
    assert [row["reason"] for row in held] == ["held by the budget for texts: 0.20 EUR a day"]
    await town.passes(hours=24)
    assert len(twilio.texts) == 4, "the next day has its own"
    assert await town.value("SELECT sum(cost) FROM message WHERE state = 'accepted'") * 100 == 36
    await town.books_are_clean()
    await twilio.stop()
