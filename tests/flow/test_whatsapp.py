"""WhatsApp: the same texts, as templates that Meta has approved."""

from __future__ import annotations

import json
from typing import Any

import pytest

from daemon.flow import reconcile
from daemon.shops.base import ConsentHint

SENDER, ADA, BEA = "whatsapp:+4915735980000", "+4915112345678", "+33612345678"
GERMAN, PLAIN = "HX" + "d" * 32, "HX" + "0" * 32
SHOPS = f"""
shops:
  main:
    connector: push
    mode: live
    url: https://shop.example
    zone: Europe/Berlin
    locale: de-DE
    holdout: {{holdout}}
    legal: de
    sender: {{{{name: Laden, address: laden@shop.example, imprint: [Laden GmbH, "10115 Berlin"]}}}}
    sms:
      from: "{SENDER}"
      countries: [DE, FR]
      templates: {{{{nudge.de: {GERMAN}, nudge: {PLAIN}}}}}
    connection: {{{{secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}}}
"""
POLICY = """
extends: default
starts: {rests_for: 1h}
steps:
  - {name: nudge, send: sms, after: 1h}
  - {name: doubts, after: 30h}
without: [remind, last-call]
"""
AGREED = tuple(ConsentHint(word, "confirmed", None, "form", "yes") for word in ("email_mkt", "sms_mkt"))


@pytest.fixture
async def town(make_town: Any, at_twilio: dict[str, Any]) -> Any:
    return await make_town(
        SHOPS,
        {"main": POLICY},
        **at_twilio,
    )


async def test_approved_template_goes_in_the_language_of_its_reader_and_an_answer_comes_back(town, twilio, make_buyer):
    ada = make_buyer("ada", phone=ADA, country="DE", locale="de-DE", first_name="Ada", consents=AGREED)
    bea = make_buyer("bea", phone=BEA, country="FR", locale="fr-FR", consents=AGREED)
    twilio.moods.append("garbage")  # the first one's answer is lost
    for buyer in (ada, bea):
        await town.leaves_cart(f"c-{buyer.ref}", buyer, "stiefel")
    await town.passes(hours=2)
    to_ada, to_bea = twilio.to(ADA)[0].form, twilio.to(BEA)[0].form
    assert {form["From"] for form in twilio.posts} == {SENDER}
    assert (to_ada["To"], to_ada["ContentSid"]) == (f"whatsapp:{ADA}", GERMAN)
    assert (to_bea["To"], to_bea["ContentSid"]) == (f"whatsapp:{BEA}", PLAIN)
    values = json.loads(to_ada["ContentVariables"])
    assert [values[place] for place in "123"] == ["Laden", "Ada", "Schuh stiefel"]
    assert values["4"].startswith(f"{town.public}/s/")
    assert json.loads(to_bea["ContentVariables"])["2"] == "🙂", "nobody knows her first name"
    assert not any("Body" in form for form in twilio.posts), "nothing else may begin a conversation there"
    await town.context.pool.execute("UPDATE attempt SET closed_real = closed_real - interval '31 s'")
    await reconcile.look_up(town.context, town.shop_id, await town.now())
    assert await town.value("SELECT array_agg(DISTINCT state) FROM message") == ["accepted"], "found by its link"
    assert await twilio.tell(twilio.to(ADA)[0], "read") == 204
    inbound = f"{town.public}/hooks/channel/sms"
    assert await twilio.writes(inbound, f"whatsapp:{BEA}", "Arrêtez !", to=SENDER) == 204
    await town.settles()
    ends = await town.fetch(
        "SELECT end_reason FROM recovery r JOIN person p ON p.id = r.person_id WHERE p.phone = $1", BEA
    )
    assert [row["end_reason"] for row in ends] == ["unsubscribed"]
    assert await town.value("SELECT count(*) FROM message WHERE state = 'delivered'") == 1
    assert len(twilio.posts) == 2
    await town.books_are_clean()
