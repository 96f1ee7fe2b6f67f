"""A STOP is meant for whoever texts from that number: all of their marketing, and nobody else's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from channels.base import Event
from daemon.demo.twilio import Twilio
from daemon.flow import callbacks
from daemon.shops.base import ConsentHint
from tests.flow.conftest import Town

PHONE, SENDER, SERVICE, OTHER = "+4915112345678", "+4915735980000", "MG" + "5" * 32, "+4915735989999"
SHOP = """
  {name}:
    connector: push
    mode: live
    url: https://{name}.example
    zone: Europe/Berlin
    locale: de-DE
    holdout: 0%
    legal: de
    sender: {{name: Laden, address: laden@{name}.example, imprint: [Laden GmbH, "10115 Berlin"]}}
    sms: {{from: "{sender}", templates: {{nudge: HX00000000000000000000000000000000}}}}
    connection: {{secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}
"""
SHOPS = {"main": SENDER, "sister": SERVICE, "wa": f"whatsapp:{SENDER}", "stranger": OTHER}
POLICY = """
extends: default
starts: {rests_for: 1h}
steps:
  - {name: nudge, send: sms, after: 1h}
  - {name: doubts, after: 30h}
without: [remind, last-call]
"""


@dataclass
class Branch(Town):
    """One of several shops of the same daemon."""

    name: str = "main"

    @property
    def shop_id(self) -> int:
        return self.context.shop_ids[self.name]


@pytest.fixture
async def branches(make_town: Any, at_twilio: dict[str, Any], make_buyer: Any) -> dict[str, Branch]:
    """Four shops, in each of which the same person has left a cart."""
    text = "".join(SHOP.format(name=name, sender=sender) for name, sender in SHOPS.items())
    town = await make_town(
        "shops:" + text.replace("{", "{{").replace("}", "}}"),
        {"main": POLICY},
        **at_twilio,
    )
    agreed = tuple(ConsentHint(word, "confirmed", None, "newsletter", "yes") for word in ("email_mkt", "sms_mkt"))
    made = {name: Branch(town.context, town.letters, town.public, town.http, name) for name in SHOPS}
    for branch in made.values():
        buyer = make_buyer("ada", phone=PHONE, country="DE", consents=agreed)
        await branch.leaves_cart("c1", buyer, "stiefel")
    await town.passes(hours=2)
    return made


async def writes(branches: dict[str, Branch], twilio: Twilio, body: str, to: str, **more: str) -> None:
    main = branches["main"]
    assert await twilio.writes(f"{main.public}/hooks/channel/sms", PHONE, body, to=to, **more) == 204
    await main.settles()


async def stopped(branches: dict[str, Branch]) -> list[str]:
    """The shops that are silent for her, by the end of her recovery and the list of those not written to."""
    silent = []
    for name, branch in branches.items():
        end = await branch.value("SELECT end_reason FROM recovery WHERE shop_id = $1", branch.shop_id)
        listed = await branch.value("SELECT channel FROM suppression WHERE shop_id = $1", branch.shop_id)
        said = "SELECT state FROM consent WHERE shop_id = $1 AND purpose = 'sms_mkt' ORDER BY id DESC LIMIT 1"
        everything = ("unsubscribed", "any", "withdrawn")
        got = (end, listed, await branch.value(said, branch.shop_id))
        assert got == everything or got[1:] == (None, "confirmed")
        silent += [name] * (listed is not None)
    return silent


async def test_stop_silences_all_who_write_from_there_and_nobody_else(branches, twilio):
    assert len(twilio.to(PHONE)) == 4
    await writes(branches, twilio, "STOP", SENDER, MessagingServiceSid=SERVICE)
    assert await stopped(branches) == ["main", "sister", "wa"]
    await branches["stranger"].passes(hours=40)
    assert len(branches["main"].letters.taken) == 1, "mails of theirs are marketing, too"
    await branches["main"].books_are_clean()


MEANT = [
    (OTHER, "", ["stranger"], "a number of one shop"),
    (SENDER, "", ["main", "wa"], "a number that one shop texts from and one writes from by WhatsApp"),
    (SENDER, SERVICE, ["main", "sister", "wa"], "a number that is in a Messaging Service"),
    ("+4915700000000", SERVICE, ["sister"], "another number of the service"),
    ("+4915700000000", "", ["main", "sister", "stranger", "wa"], "a number that is nobody's any more"),
]


async def test_answer_is_for_the_shops_that_were_written_to(branches, twilio):
    main = branches["main"]
    names = {branch.shop_id: name for name, branch in branches.items()}
    for to, service, shops, which in MEANT:
        event = Event("stopped", "SM1 received", address=PHONE, recipient=to, service=service, text="STOP")
        found = callbacks.deliveries(main.context, "sms", [event])
        assert sorted(names[one.shop_id] for one in found) == shops, which
    await writes(branches, twilio, "Gibt es die auch in 38?", f"whatsapp:{OTHER}")
    unread = await main.fetch("SELECT s.name FROM inbox i JOIN shop s USING (shop_id) WHERE i.unread")
    assert [row["name"] for row in unread] == ["stranger"]
    assert await main.value("SELECT count(*) FROM inbox") == 1
    assert await stopped(branches) == [], "an answer is no STOP"
