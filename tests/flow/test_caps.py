"""How often somebody is written to, told as stories: by all channels together, as they wish, not put off for ever."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.store import brake, persons
from daemon.store.brake import Scope
from daemon.store.database import again
from daemon.tokens import Token, make

from .audience_town import member_to_be, platform, shops
from .conftest import SHOPS, Town

OFTEN = """
extends: default
starts: {rests_for: 30m}
without: [doubts, last-call]
steps: [{name: remind, after: 1h}]
"""
ADS_FIRST = """
extends: default
starts: {rests_for: 30m}
without: [doubts, last-call]
quiet:
caps: {any: 1 per 36h}
steps:
  - {name: retarget, send: audience, after: 1h, audience: shoes, for: 3d}
  - {name: remind, after: 25h}
"""


async def is_seen(town: Town) -> None:
    """They click about in the shop."""
    now = await town.now()

    async def body(db: Any) -> None:
        person = await db.fetchval("SELECT id FROM person")
        await persons.lock(db, town.shop_id, [person])
        await persons.seen_active(db, town.shop_id, {person: now})

    await again(town.context.pool, body)


@pytest.mark.long
async def test_what_is_put_off_again_and_again_expires_and_says_what_held_it(make_town, make_buyer):
    town = await make_town(policies={"main": OFTEN})
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "until they are back", await town.now(), None)
    await town.passes(minutes=61)
    await is_seen(town)
    await brake.resume(town.context.pool, [town.shop_id], Scope(), await town.now())
    await brake.free(town.context.pool, town.shop_id, await town.now())
    town.context.ring("deliver", town.shop_id)
    await town.settles()
    for times in range(1, 21):
        assert await town.value("SELECT deferrals FROM message") == times
        await town.passes(minutes=28 if times == 1 else 26)
        await is_seen(town)  # two minutes before the half-hour is over
        await town.passes(minutes=2)
    row = (await town.fetch("SELECT state, reason FROM message"))[0]
    assert tuple(row) == ("expired", "put off 20 times, at last because the person was active less than 30 min ago")
    assert town.letters.taken == []
    await town.books_are_clean()


async def test_who_asks_for_fewer_gets_one_message_in_a_week(make_town, make_buyer):
    town = await make_town()
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    token = make(town.context.secrets, Token("prefer", town.shop_id, await town.value("SELECT id FROM message")))
    form = {"do": "choose", "on": "email", "often": "fewer", "pause": "0", "locale": ""}
    async with town.http.post(f"{town.public}/p/{token}", data=form) as answer:
        assert answer.status == 200
    await town.passes(days=6)
    assert len(town.letters.taken) == 1
    assert any("the person asked for fewer messages, so at most 1 in 7 days" in text for text in await town.because())


async def test_an_ad_audience_counts_as_a_message_before_a_mail(make_town):
    async with platform("meta") as (_, _, words):
        town = await make_town(shops(SHOPS, words), {"main": ADS_FIRST})
        ada = member_to_be("ada")
        await town.leaves_cart("c1", ada, "red")
        await town.passes(hours=26)
        assert await town.value("SELECT count(*) FROM member") == 1
        assert town.letters.taken == []
        assert any("the cap of 1 in 36 h is reached" in text for text in await town.because())
        await town.passes(hours=24)
        [(to, _)] = town.letters.taken
        assert to == ada.email
        joined, sent = [row["at"] for row in await town.fetch("SELECT sending_at AS at FROM message ORDER BY id")]
        assert (sent - joined).total_seconds() == 36 * 3600
