"""Texts: after a mail that stayed unopened, in lawful hours, until somebody says STOP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from daemon.demo.twilio import TOKEN, Text, Twilio
from daemon.flow import consents
from daemon.shops.base import ConsentHint

PHONE, SENDER = "+4915112345678", "+4915735980000"
POLICY = """
extends: default
starts: {rests_for: 1h}
steps:
  - {name: remind, after: 1h}
  - {name: nudge, send: sms, after: 7h, unless: {remind: [opened, clicked]}}
without: [doubts, last-call]
on_unknown_open: treat_unopened
"""
AGREED = ("email_mkt", "sms_mkt", "track_open", "track_click")


@pytest.fixture
async def make_texting(make_town: Any, at_twilio: dict[str, Any]) -> Callable[..., Awaitable[Any]]:
    """A town whose shop may text."""

    async def make(policy: str = POLICY, shops: str | None = None, **settings: Any) -> Any:
        told = {**at_twilio, "twilio_from": SENDER}
        given = {} if shops is None else {"shops": shops}
        return await make_town(policies={"main": policy}, **given, **{**told, **settings})

    return make


def reachable(make_buyer: Any, ref: str = "ada", **more: Any) -> Any:
    """Somebody who agreed to mails and texts."""
    consents = tuple(ConsentHint(word, "confirmed", None, "newsletter", "double opt-in") for word in AGREED)
    return make_buyer(ref, phone=PHONE, country="DE", locale="de-DE", consents=consents, **more)


async def answers(town: Any, twilio: Twilio, body: str, *, number: str = PHONE, **how: Any) -> int:
    """Somebody writes to the shop's number, and it has its effect."""
    status = await twilio.writes(f"{town.public}/hooks/channel/sms", number, body, to=SENDER, **how)
    await town.settles()
    return status


async def test_unopened_mail_is_followed_by_a_text_in_lawful_hours(make_texting, twilio, make_buyer):
    town = await make_texting()
    await town.passes(hours=4.5)  # 14:30 in Berlin: seven hours later it is too late for a text
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=8)
    assert len(town.letters.of("ada@example.org")) == 1
    assert twilio.texts == [], "by profile de no text between 20:00 and 9:00"
    await town.passes(hours=14)
    [text] = twilio.to(PHONE)
    assert text.sender == SENDER
    assert "wartet noch in Ihrem Warenkorb" in text.body
    assert text.body.endswith("Abmelden: STOPP")
    [row] = await town.fetch("SELECT state, sending_at, provider_id FROM message WHERE channel = 'sms'")
    assert (row["state"], row["provider_id"]) == ("accepted", text.sid)
    assert 8 <= row["sending_at"].hour < 19, "9 to 20 o'clock in Berlin"
    assert text.form["ValidityPeriod"] == "600"
    await town.books_are_clean()


async def test_number_without_its_country_is_one_of_the_shops(make_texting, twilio, make_buyer):
    town = await make_texting()
    ada = replace(reachable(make_buyer), phone="0151 123 456 78", country="")
    await town.leaves_cart("c1", ada, "stiefel")
    await town.passes(hours=8)
    assert len(twilio.to(PHONE)) == 1


async def test_opened_mail_is_followed_by_no_text(make_texting, twilio, make_buyer, links_of):
    town = await make_texting()
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=2)
    [letter] = town.letters.of("ada@example.org")
    [opened] = links_of(letter)["o"]
    async with town.http.get(f"{town.public}/o/{opened}.gif", headers={"User-Agent": "Mozilla/5.0 Thunderbird/128"}):
        pass
    await town.passes(hours=30)
    assert twilio.texts == []


async def test_mail_that_only_apple_has_opened_waits_for_a_click_and_then_the_text_goes(
    make_texting, twilio, make_buyer, links_of
):
    town = await make_texting(POLICY.replace("on_unknown_open: treat_unopened", "on_unknown_open: wait_click"))
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=1, minutes=10)
    [letter] = town.letters.of("ada@example.org")
    [opened] = links_of(letter)["o"]
    async with town.http.get(f"{town.public}/o/{opened}.gif", headers={"User-Agent": "Mozilla/5.0"}):
        pass
    await town.passes(hours=8)
    assert twilio.texts == [], "seven hours are over, and twelve more are waited for a click"
    await town.passes(hours=18)
    assert len(twilio.to(PHONE)) == 1
    await town.books_are_clean()


async def test_stop_is_silence_everywhere_and_start_lifts_it(make_texting, twilio, make_buyer):
    town = await make_texting()
    ada = reachable(make_buyer)
    await town.leaves_cart("c1", ada, "stiefel")
    await town.passes(hours=8)
    assert len(twilio.to(PHONE)) == 1
    assert await answers(town, twilio, "Stopp!") == 204
    assert await town.ends() == {"unsubscribed": 1}
    assert (
        await town.value("SELECT state FROM consent WHERE purpose = 'sms_mkt' ORDER BY id DESC LIMIT 1") == "withdrawn"
    )
    await town.passes(hours=24 * 20)
    await town.leaves_cart("c2", ada, "stiefel")
    await town.passes(hours=30)
    assert len(twilio.to(PHONE)) == 1
    assert len(town.letters.of("ada@example.org")) == 1, "a STOP silences the mails, too"
    assert await answers(town, twilio, "START") == 204
    await town.passes(hours=24 * 40)
    await town.leaves_cart("c3", ada, "stiefel")
    await town.passes(hours=30)
    assert len(twilio.to(PHONE)) == 2, "what was agreed to before counts again"
    await town.books_are_clean()


async def test_start_never_creates_consent(make_texting, twilio, make_buyer):
    town = await make_texting()
    ada = make_buyer("ada", phone=PHONE, country="DE")  # agreed to mails, never to texts
    await town.leaves_cart("c1", ada, "stiefel")
    for body in ("START", "Stop", "Unstop", "start"):
        await answers(town, twilio, body)
    assert await town.value("SELECT count(*) FROM consent WHERE purpose = 'sms_mkt'") == 0
    await town.passes(hours=30)
    assert twilio.texts == []


async def test_start_gives_back_no_consent_that_was_taken_back_elsewhere(make_texting, twilio, make_buyer):
    town = await make_texting()
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    ada = await town.value("SELECT id FROM person")
    await consents.withdraw(town.context, town.shop_id, ada, ["sms_mkt"], "by hand", await town.now())
    for body in ("STOP", "START"):
        await answers(town, twilio, body)
    said = await town.fetch("SELECT state, source FROM consent WHERE purpose = 'sms_mkt' ORDER BY id DESC LIMIT 1")
    assert [tuple(row) for row in said] == [("withdrawn", "by hand")]


async def test_answer_to_a_text_is_kept_for_a_person(make_texting, twilio, make_buyer):
    town = await make_texting()
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=8)
    await answers(town, twilio, "Gibt es die auch in Größe 38? 👟")
    assert await town.ends() == {"replied": 1}
    assert await town.value("SELECT count(*) FROM inbox WHERE unread") == 1


async def tells(town: Any, twilio: Twilio, text: Text, *statuses: str, **how: Any) -> list[int]:
    answers = [await twilio.tell(text, status, **how) for status in statuses]
    await town.settles()
    return answers


async def test_what_twilio_tells_of_a_text_is_believed_only_with_its_signature(make_texting, twilio, make_buyer):
    town = await make_texting()
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=8)
    [text] = twilio.texts
    state = "SELECT state FROM message WHERE channel = 'sms'"
    assert await tells(town, twilio, text, "delivered", token="guessed") == [403]
    assert await town.value(state) == "accepted"
    assert await tells(town, twilio, text, "delivered", "sent", "delivered", "sending") == [204] * 4
    assert await town.value(state) == "delivered"
    assert await answers(town, twilio, "STOP", token="guessed") == 403
    assert await town.ends() == {"open": 1}


async def test_dead_number_is_not_written_to_again_and_a_filtered_one_is(make_texting, twilio, make_buyer):
    town = await make_texting()
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=8)
    await tells(town, twilio, twilio.texts[0], "undelivered", code="30007")
    assert await town.value("SELECT count(*) FROM suppression") == 0
    await tells(town, twilio, twilio.texts[0], "failed", code="30005")
    assert await town.value("SELECT state FROM message WHERE channel = 'sms'") == "bounced"


async def test_no_text_and_no_number_in_any_log(make_texting, twilio, make_buyer, log):
    town = await make_texting()
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=8)
    await tells(town, twilio, twilio.texts[0], "undelivered", code="30005")
    await answers(town, twilio, "Stopp, canary-4711")
    assert twilio.texts
    for secret in (PHONE, PHONE[3:], "Warenkorb", "canary-4711", twilio.texts[0].body, TOKEN):
        assert secret not in log.getvalue()


async def test_purchase_stops_the_text_that_waits_for_the_morning(make_texting, twilio, make_buyer):
    town = await make_texting()
    await town.passes(hours=4.5)
    ada = reachable(make_buyer)
    await town.leaves_cart("c1", ada, "stiefel")
    await town.passes(hours=8)
    await town.buys("o1", ada)
    await town.passes(hours=20)
    assert twilio.texts == []
    assert await town.ends() == {"purchase": 1}


async def test_validity_ends_with_the_lawful_hours(make_texting, twilio, make_buyer):
    town = await make_texting()
    await town.passes(hours=2, minutes=54)  # 12:54 in Berlin: seven hours later six minutes are left
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=8)
    [text] = twilio.texts
    assert text.form["ValidityPeriod"] == "360"
    assert timedelta(seconds=int(text.form["ValidityPeriod"])) < timedelta(minutes=10)


async def test_stop_at_the_moment_of_the_claim_keeps_the_text_in_the_house(make_texting, twilio, make_buyer):
    town = await make_texting()
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=6)
    channel = town.context.channels["sms"]
    asked, go_on = asyncio.Event(), asyncio.Event()
    create = channel.api.create

    async def held(form: Any, gate: Any) -> Any:
        async def slow() -> bool:
            asked.set()
            await go_on.wait()
            return bool(await gate())

        return await create(form, slow)

    channel.api.create = held
    moving = asyncio.create_task(town.passes(hours=2))
    await asyncio.wait_for(asked.wait(), 60)
    await twilio.writes(f"{town.public}/hooks/channel/sms", PHONE, "STOP", to=SENDER)
    async with asyncio.timeout(60):
        while not await town.value("SELECT count(*) FROM suppression"):
            await asyncio.sleep(0.01)
    go_on.set()
    await moving
    assert twilio.posts == []
    assert await town.value("SELECT state FROM message WHERE channel = 'sms'") == "cancelled"


async def test_the_link_in_a_text_ends_texts_and_leaves_mails_alone(make_texting, twilio, make_buyer):
    town = await make_texting(twilio_from="Morgenrot")  # a name takes no answers, so the way out is a link
    await town.leaves_cart("c1", reachable(make_buyer), "stiefel")
    await town.passes(hours=8)
    way_out = [word for word in twilio.texts[0].body.split() if "/s/" in word][-1].rstrip(".")
    async with aiohttp.ClientSession() as phone:
        async with phone.get(way_out) as page:
            assert page.status == 200
            where = page.url
        assert await town.value("SELECT count(*) FROM suppression") == 0
        async with phone.post(where, data={"do": "unsubscribe"}) as page:
            assert page.status == 200
    await town.settles()
    assert await town.value("SELECT array_agg(channel) FROM suppression") == ["sms"]
    newest = "SELECT DISTINCT ON (purpose) purpose || ' ' || state FROM consent ORDER BY purpose, id DESC"
    said = {row[0] for row in await town.context.pool.fetch(newest)}
    assert {"sms_mkt withdrawn", "email_mkt confirmed"} <= said
