"""Who was silenced with somebody else, and then says so too, stays silent when the two are parted."""

from __future__ import annotations

import re

import pytest

from channels.base import Event
from daemon.flow import callbacks, consents, merging
from daemon.store import inbox

PHONE = "+4915112345678"
CENTRE = re.compile(r"https?://\S+/p/[A-Za-z0-9_-]{40}")


async def by_the_page(town):
    mail = town.letters.of("ada@example.org")[0]
    [link] = set(CENTRE.findall(mail.get_body(("plain",)).get_content()))
    async with town.http.post(link, data={"do": "choose", "often": "normal", "pause": "0", "locale": ""}) as answer:
        assert answer.status == 200


async def by_stop(town):
    event = Event("stopped", "in 1", address=PHONE, text="STOP")
    await inbox.keep(town.context.pool, callbacks.deliveries(town.context, "sms", [event]))
    town.context.ring("callbacks", town.shop_id)
    await town.settles()


async def by_nobody(town):
    return None


@pytest.mark.parametrize(
    ("says", "purpose", "after"),
    [
        pytest.param(by_the_page, "email_mkt", "withdrawn", id="in the preference centre"),
        pytest.param(by_stop, "sms_mkt", "withdrawn", id="by a STOP"),
        pytest.param(by_nobody, "email_mkt", "confirmed", id="or says nothing, and is as before"),
    ],
)
async def test_an_own_word_outlives_the_merge_that_said_it_first(town, make_buyer, says, purpose, after):
    await town.leaves_cart("c1", make_buyer("7", email="ada@example.org", phone=PHONE), "red")
    await town.passes(hours=2)
    await town.buys("o2", make_buyer("8", email="bob@example.org"))
    ada, bob = [row["id"] for row in await town.fetch("SELECT id FROM person ORDER BY id")]
    now = await town.now()
    given = consents.Proof("form", "double opt-in", "Ja")
    await consents.record(town.context.pool, town.shop_id, ada, ["sms_mkt"], "confirmed", given, now)
    await consents.withdraw(town.context, town.shop_id, bob, [purpose], "by hand", now)
    number = await merging.by_hand(town.context.pool, town.shop_id, ada, bob, 0.0, now)
    await town.settles()
    newest = "SELECT state FROM consent WHERE person_id = $1 AND purpose = $2 ORDER BY id DESC LIMIT 1"
    assert await town.value(newest, ada, purpose) == "withdrawn"
    await says(town)
    await merging.undo(town.context.pool, town.shop_id, number, await town.now())
    assert await town.value(newest, ada, purpose) == after
    assert await town.value(newest, bob, purpose) == "withdrawn"
