"""Somebody whom the shop does not name: their browser alone stands for them, until the shop says who they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from channels.webpush_bytes import made, signer
from daemon.clock import machine_now
from daemon.demo.push_service import PushService
from daemon.flow import dossier, merging
from tests.flow.test_onsite import ADA, WITH_SCRIPT, Browser, cart

LADDER = """
extends: default
starts: {rests_for: 1h}
quiet:
steps:
  - {name: remind, after: 1h}
  - {name: welcome-back, send: onsite, after: 2h}
  - {name: glance, send: webpush, after: 4h}
without: [doubts, last-call]
"""


@pytest.fixture
async def service() -> Any:
    running = PushService(lambda: machine_now().timestamp())
    await running.start()
    yield running
    await running.close()


@pytest.fixture
async def town(make_town: Any, service: PushService) -> Any:
    key = made()
    built = await make_town(
        WITH_SCRIPT,
        {"main": LADDER},
        push_private_key=SecretStr(key),
        push_contact="mailto:push@shop.example",
        push_hosts=(service.url,),
    )
    built.public_key = signer(key).public
    return built


@pytest.fixture
async def stranger(town: Any) -> Browser:
    browser = Browser(town)
    await browser.allows()
    return browser


async def takes_pushes(town: Any, service: PushService, browser: Browser) -> Any:
    one = service.browser(town.public_key)
    told = {"endpoint": one.endpoint, "keys": {"p256dh": one.p256dh, "auth": one.auth}}
    await browser.asks("subscriptions", subscription=told, wording="May we remind you of your cart?")
    return one


async def test_a_cart_of_nobody_by_name_is_won_back_in_their_browser(
    town: Any, stranger: Browser, service: PushService
):
    await stranger.tells("cart", cart())
    assert (await stranger.asks("notices"))["push"]["key"] == town.public_key
    assert await town.value("SELECT count(*) FROM person") == 0  # an empty cart is nobody's
    await stranger.tells("cart", cart("red"))
    person = await town.value("SELECT id FROM person")
    [found] = await dossier.find(town.context.pool, town.context.pepper, [town.shop_id], f"#{person}")
    held = await dossier.held(town.context.pool, town.shop_id, found.id)
    assert (held["visitor"][0]["allowed"], len(held["delivery"])) == (["notices", "push", "report"], 2)
    pushes = await takes_pushes(town, service, stranger)
    await town.passes(hours=3)
    assert town.letters.taken == []
    notice = (await stranger.asks("notices"))["notice"]
    assert notice["url"] == "https://shop.example/cart"
    other = Browser(town)
    await other.allows()
    assert (await other.asks("notices"))["notice"] is None
    await town.passes(hours=3)
    [shown] = pushes.shown.values()
    assert shown["body"] == "Schuh red liegt noch darin."
    states = await town.fetch("SELECT step, channel, state, basis FROM message ORDER BY id")
    assert [tuple(one) for one in states] == [
        ("welcome-back", "onsite", "accepted", "none_required"),
        ("glance", "webpush", "accepted", "consent"),
    ]
    assert await stranger.asks("unsubscriptions", endpoint="https://push.example/x") == {"unsubscribed": False}
    assert await stranger.asks("unsubscriptions", endpoint=pushes.endpoint) == {"unsubscribed": True}
    assert await town.value("SELECT count(*) FROM subscription") == 0
    await stranger.tells("purchase")
    assert (await stranger.asks("notices"))["notice"] is None
    assert await town.ends() == {"emptied": 1}
    await town.books_are_clean()


@pytest.mark.long
async def test_who_is_here_again_is_left_alone_until_they_rest(town: Any, stranger: Browser):
    await stranger.tells("cart", cart("red"))
    await town.passes(hours=1, minutes=50)
    await stranger.tells("checkout")
    assert await town.value("SELECT stage FROM cart") == "checkout"
    await town.passes(minutes=30)
    assert await town.value("SELECT count(*) FROM message") == 0
    await town.passes(minutes=31)
    assert await town.value("SELECT count(*) FROM message WHERE state = 'accepted'") == 1


async def test_who_says_at_the_till_who_they_are_has_bought(town: Any, stranger: Browser):
    await stranger.tells("cart", cart("red"))
    await town.passes(hours=3)
    stranger.logs_in(email="guest@example.org", order="o1", total="49.90", currency="EUR")
    await stranger.tells("purchase")
    assert await town.ends() == {"purchase": 1}
    people = await town.fetch("SELECT email, merged_into FROM person ORDER BY id")
    assert [tuple(one) for one in people] == [("guest@example.org", None), (None, people_id(people))]
    assert await town.value("SELECT kind FROM merge") == "onsite"
    await town.books_are_clean()


def people_id(people: Any) -> int:
    return int(people[1]["merged_into"])


async def test_a_signed_order_without_a_name_ends_it_too(town: Any, stranger: Browser):
    await stranger.tells("cart", cart("red"))
    await town.passes(hours=3)
    stranger.logs_in(order="o1", total="49.90", currency="EUR")
    await stranger.tells("purchase")
    assert await town.ends() == {"purchase": 1}
    assert await town.value("SELECT person_id IS NOT NULL FROM shop_order")
    await town.books_are_clean()


async def test_who_logs_in_is_one_with_whom_the_shop_knew_and_so_is_the_cart(town: Any, stranger: Browser):
    await town.leaves_cart("c0", ADA)
    await stranger.tells("cart", cart("red"))
    await town.passes(hours=3)
    stranger.logs_in(customer="7")
    await stranger.tells("visit")
    assert await town.ends() == {"named": 1}
    carts = await town.fetch(
        "SELECT c.state, p.customer_ref FROM cart c JOIN person p ON p.id = c.person_id ORDER BY c.id"
    )
    assert [tuple(one) for one in carts] == [("emptied", "7"), ("emptied", "7"), ("open", "7")]
    await town.passes(hours=2)
    assert len(town.letters.of("ada@example.org")) == 1
    await town.books_are_clean()


async def test_once_the_shop_named_somebody_a_stranger_there_speaks_for_nobody(town: Any, stranger: Browser):
    await stranger.tells("cart", cart("red"))
    for who in ({"customer": "7"}, {"customer": "8", "email": "bob@example.org"}):
        stranger.logs_in(**who)
        await stranger.tells("visit")
    stranger.badge = ""
    await stranger.tells("cart", cart("blue"))
    names = await town.fetch("SELECT customer_ref FROM person WHERE merged_into IS NULL ORDER BY 1")
    assert [row["customer_ref"] for row in names] == ["7", "8"]
    assert await town.value("SELECT count(*) FROM merge") == 1
    assert "blue" not in str(await town.value("SELECT array_agg(lines::text) FROM cart"))


@pytest.mark.long
async def test_who_was_parted_from_a_customer_is_not_made_one_with_them_again(town: Any, stranger: Browser):
    await stranger.tells("cart", cart("red"))
    stranger.logs_in(customer="7")
    await stranger.tells("visit")
    number = await town.value("SELECT id FROM merge")
    await merging.undo(town.context.pool, town.shop_id, number, await town.now())
    await stranger.tells("visit")
    assert await town.value("SELECT count(*) FROM person WHERE merged_into IS NULL") == 2
    assert await town.value("SELECT count(*) FROM merge") == 1


async def test_who_takes_everything_back_is_nobody_any_more(town: Any, stranger: Browser, service: PushService):
    await takes_pushes(town, service, stranger)
    await stranger.tells("cart", cart("canary"))
    assert await town.value("SELECT count(*) FROM person") == 1
    await town.passes(hours=3)
    await stranger.asks("visitors", allow=[])
    await town.settles()
    assert await town.ends() == {"erased": 1}
    for table in ("visitor", "identity", "subscription"):
        assert await town.value(f"SELECT count(*) FROM {table}") == 0
    for table in ("person", "cart", "message", "decision"):
        rows = await town.fetch(f"SELECT * FROM {table}")
        assert "canary" not in str([list(row.values()) for row in rows])
    await town.passes(days=2)
    assert service.taken == []
    await town.books_are_clean()


@pytest.mark.long
async def test_browsers_that_do_not_come_any_more_leave_nothing(town: Any, stranger: Browser):
    await stranger.tells("cart", cart("canary"))
    await town.passes(days=402)
    assert await town.value("SELECT count(*) FROM visitor") == 0
    assert "canary" not in str([list(row.values()) for row in await town.fetch("SELECT * FROM cart")])
    assert await town.value("SELECT erased_at IS NOT NULL FROM person")
    assert timedelta(days=400) == town.context.settings.keep_browsers


async def test_a_customer_without_an_address_is_reached_on_the_site(town: Any, stranger: Browser):
    other = Browser(town)
    await other.allows("report")
    await other.tells("cart", cart("red"))
    assert await town.value("SELECT count(*) FROM person") == 0  # who wants no notices and no pushes is not followed
    stranger.logs_in(customer="99")
    await stranger.tells("cart", cart("red"))
    await town.passes(hours=3)
    assert (await stranger.asks("notices"))["notice"] is not None
    assert await town.value("SELECT email FROM person") is None
