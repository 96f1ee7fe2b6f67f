"""Web push as a step of the ladder: shown once, clicked, or its browser is gone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr

from channels.webpush_bytes import made, signer
from daemon.clock import machine_now
from daemon.demo.push_service import PushService
from daemon.flow import reconcile
from daemon.flow.subscriptions import Wish, subscribe, unsubscribe

POLICY = """
extends: default
starts: {rests_for: 1h}
quiet:
steps:
  - {name: remind, after: 1h}
  - {name: glance, send: webpush, after: 7h, unless: {remind: [opened, clicked]}}
  - {name: doubts, after: 24h, unless: {glance: [clicked]}}
  - {name: last-call, after: 48h, unless: {glance: [clicked]}}
"""


@pytest.fixture
async def service():
    made_ = PushService(lambda: machine_now().timestamp())
    await made_.start()
    yield made_
    await made_.close()


@pytest.fixture
async def town(make_town, service):
    key = made()
    built = await make_town(
        policies={"main": POLICY},
        push_private_key=SecretStr(key),
        push_contact="mailto:push@shop.example",
        push_hosts=(service.url,),
    )
    built.public_key = signer(key).public
    return built


@pytest.fixture
async def ada(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("ada", first_name="Ada"), "boots")
    return await town.value("SELECT id FROM person WHERE customer_ref = 'ada'")


async def takes_pushes(town, service, person, *, later=timedelta()):
    """One more browser of theirs, with their consent."""
    browser = service.browser(town.public_key)
    wish = Wish(browser.endpoint, browser.p256dh, browser.auth, wording="May we remind you of your cart?")
    await subscribe(town.context, town.shop_id, person, wish, await town.now() + later)
    return browser


async def states(town):
    rows = await town.fetch("SELECT step, state, reason FROM message ORDER BY id")
    return {row["step"]: (row["state"], row["reason"]) for row in rows}


async def test_mail_that_nobody_opened_is_followed_by_a_push_and_its_click_ends_the_ladder(town, service, ada):
    browser = await takes_pushes(town, service, ada)
    await town.passes(hours=8)
    [notice] = browser.shown.values()
    assert notice["title"] == "Ihr Warenkorb bei Laden"
    assert notice["body"] == "Schuh boots liegt noch darin."
    assert notice["lang"] == "de"
    assert [button["title"] for button in notice["actions"]] == ["Zum Warenkorb", "Abmelden"]
    token = re.fullmatch(r"http://127\.0\.0\.1:\d+/c/([\w-]{40})", notice["url"])[1]
    async with town.http.get(f"{town.public}/c/{token}", allow_redirects=False, headers=PERSON) as answer:
        assert answer.status == 302
        assert answer.headers["Location"].startswith("https://shop.example/cart?")
        assert "utm_medium=webpush" in answer.headers["Location"]
    await town.passes(hours=60)
    assert [mail["subject"] for mail in town.letters.of("ada@example.org")] == ["Ihr Warenkorb bei Laden"]
    assert len(service.taken) == 1
    await town.books_are_clean()


PERSON = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html",
    "Accept-Language": "de",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
}


async def test_without_a_browser_the_step_is_left_out_and_the_next_one_comes(town, service, ada):
    await town.passes(hours=50)
    assert service.taken == []
    assert set(await states(town)) == {"remind", "doubts", "last-call"}
    assert any("there is no address for webpush" in because for because in await asked(town))


async def asked(town):
    return [row["q"] for row in await town.fetch("SELECT questions::text AS q FROM decision")]


async def test_without_their_own_consent_there_is_no_push(town, service, ada):
    browser = service.browser(town.public_key)
    wish = Wish(browser.endpoint, browser.p256dh, browser.auth)
    await subscribe(town.context, town.shop_id, ada, wish, await town.now())
    await town.passes(hours=50)
    assert service.taken == []
    assert any("a purchase does not stand in for it on webpush" in because for because in await asked(town))


async def test_browser_that_is_gone_is_removed_and_the_next_one_shows_it(town, service, ada):
    old = await takes_pushes(town, service, ada)
    new = await takes_pushes(town, service, ada, later=timedelta(minutes=1))
    service.end(new.endpoint)
    await town.passes(hours=8)
    assert len(old.shown) == 1
    assert await states(town) == {"remind": ("accepted", None), "glance": ("accepted", None)}
    assert await town.value("SELECT count(*) FROM subscription") == 1
    assert await town.value("SELECT count(*) FROM identity WHERE kind = 'push'") == 1
    tries = await town.fetch("SELECT a.outcome, a.code FROM attempt a JOIN message m ON m.id = a.message_id "
                             "WHERE m.step = 'glance' ORDER BY a.fence")  # fmt: skip
    assert [(one["outcome"], one["code"]) for one in tries] == [("retry_wait", "410"), ("accepted", "")]
    assert await town.value("SELECT tries FROM message WHERE step = 'glance'") == 1
    await town.books_are_clean()


async def test_when_the_last_browser_is_gone_the_push_failed_and_why_says_so(town, service, ada):
    only = await takes_pushes(town, service, ada)
    service.end(only.endpoint)
    await town.passes(hours=50)
    told = await states(town)
    assert told["glance"] == ("failed", "410")
    assert told["last-call"][0] == "accepted"
    assert await town.value("SELECT count(*) FROM subscription") == 0
    errors = await town.fetch("SELECT error FROM attempt WHERE code = '410'")
    assert [one["error"] for one in errors] == ["the subscription is over"]
    await town.books_are_clean()


async def test_key_that_is_not_believed_rests_the_channel_and_costs_nobody_a_try(town, service, ada):
    await takes_pushes(town, service, ada)

    async def mood(request):
        return web.Response(status=403)

    service.mood = mood
    await town.passes(hours=7, minutes=1)
    assert await town.value("SELECT count(*) FROM channel_rest WHERE channel = 'webpush'") == 1
    assert await town.value("SELECT tries FROM message WHERE step = 'glance'") == 0
    assert (await states(town))["glance"] == ("retry_wait", "403")


async def test_whoever_unsubscribes_their_browser_gets_none(town, service, ada):
    browser = await takes_pushes(town, service, ada)
    await town.passes(hours=2)
    await unsubscribe(town.context, town.shop_id, browser.endpoint)
    await town.passes(hours=50)
    assert service.taken == []
    assert "glance" not in await states(town)


async def test_two_attempts_of_one_push_bear_the_same_topic_and_tag(town, service, ada):
    browser = await takes_pushes(town, service, ada)
    topics = []

    async def mood(request):
        topics.append(request.headers["Topic"])
        return web.Response(status=503, headers={"Retry-After": "0"}) if len(topics) == 1 else None

    service.mood = mood
    await town.passes(hours=8)
    assert len(topics) == 2
    assert topics[0] == topics[1] == next(iter(browser.shown))
    assert len(topics[0]) <= 32


async def test_rehearsal_pushes_to_nobody(make_town, make_buyer, service):
    from tests.flow.conftest import SHOPS

    key = made()
    built = await make_town(
        SHOPS.replace("mode: live", "mode: rehearsal\n    rehearsal_to: me@shop.example"),
        {"main": POLICY},
        push_private_key=SecretStr(key),
        push_contact="mailto:push@shop.example",
        push_hosts=(service.url,),
    )
    built.public_key = signer(key).public
    await built.leaves_cart("c1", make_buyer("ada"), "boots")
    ada = await built.value("SELECT id FROM person WHERE customer_ref = 'ada'")
    await takes_pushes(built, service, ada)
    await built.passes(hours=8)
    assert service.taken == []
    assert (await states(built))["glance"] == ("withheld", "rehearsal")


async def looks_up(town):
    """The three look-ups that no push service can answer, so much machine time later."""
    pool = town.context.pool
    for _ in reconcile.AFTER:
        await pool.execute("UPDATE attempt SET closed_real = closed_real - interval '11 min' WHERE outcome = 'unknown'")
        await pool.execute("UPDATE message SET looked_up_real = looked_up_real - interval '61 s'")
        await reconcile.look_up(town.context, town.shop_id, await town.now())
    await town.settles()


@pytest.fixture
async def unanswered(town, service, ada):
    """A browser that was shown a push whose answer was lost on the way back."""
    browser = await takes_pushes(town, service, ada)

    async def mood(request):
        service.mood = None
        answer = await service.push(request)
        request.transport.abort()
        return answer

    service.mood = mood
    await town.passes(hours=7, minutes=1)
    assert (await states(town))["glance"][0] == "unknown"
    assert len(browser.shown) == 1
    return browser


async def test_push_without_an_answer_goes_out_once_more_and_replaces_itself(town, service, unanswered):
    await looks_up(town)
    assert (await states(town))["glance"][0] == "accepted"
    assert len(service.taken) == 2
    assert len(unanswered.shown) == 1
    await town.books_are_clean()


async def test_push_without_an_answer_is_never_shown_by_another_browser(town, service, ada, unanswered):
    other = await takes_pushes(town, service, ada, later=timedelta(minutes=1))
    await looks_up(town)
    assert (await states(town))["glance"][0] == "accepted"
    assert (len(unanswered.shown), len(other.shown)) == (1, 0)
    await town.books_are_clean()


async def test_push_whose_browser_went_away_unanswered_is_shown_by_no_other(town, service, ada, unanswered):
    await unsubscribe(town.context, town.shop_id, unanswered.endpoint)
    other = await takes_pushes(town, service, ada, later=timedelta(minutes=1))
    await looks_up(town)
    assert (await states(town))["glance"][0] == "unknown"
    assert other.shown == {}
    await town.books_are_clean()
