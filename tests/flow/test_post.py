"""Stories of what comes back by mail: a bounce, a complaint, a reply, proof of an unknown, and what is not believed."""

from __future__ import annotations

import asyncio
import smtplib
from typing import Any

import pytest

from daemon.flow import dossier, letterbox
from daemon.store import inbox
from tests.flow.conftest import SHOPS
from tests.reports import report_on, verp

WITH_BOUNCES = SHOPS.replace("      imprint:", "      bounce_domain: bounces.shop.example\n      imprint:")


class Post:
    """A town whose mails come back."""

    def __init__(self, town: Any, make_buyer: Any) -> None:
        self.town, self.make_buyer = town, make_buyer

    async def mail_to(self, who: str = "ada") -> int:
        """A cart is left, and its first mail sent; the number of the message."""
        await self.town.leaves_cart(f"c-{who}", self.make_buyer(who), "red")
        await self.town.passes(hours=1, minutes=1)
        return await self.town.value(
            "SELECT max(m.id) FROM message m JOIN person p ON p.id = m.person_id WHERE p.email = $1",
            f"{who}@example.org",
        )

    async def brings(self, name: str, message: int) -> None:
        """The postman brings a report on that message, and it is worked off."""
        raw = report_on(self.town.context, name, self.town.shop_id, message)
        await letterbox.keep(self.town.context, self.town.shop_id, raw)
        await self.town.settles()

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.town.fetch("SELECT state FROM message ORDER BY id")]

    async def events(self) -> list[str]:
        return [row["kind"] for row in await self.town.fetch("SELECT kind FROM event ORDER BY recorded_at")]

    async def suppressed(self) -> list[tuple[str, str]]:
        rows = await self.town.fetch("SELECT channel, reason FROM suppression ORDER BY since")
        return [(row["channel"], row["reason"]) for row in rows]

    async def effects(self) -> list[str]:
        return [row["effect"] for row in await self.town.fetch("SELECT effect FROM inbox ORDER BY id")]

    async def becomes_unknown(self, message: int) -> None:
        await self.town.context.pool.execute(
            "UPDATE message SET state = 'unknown', accepted_at = NULL, reconcile_real = now() + interval '1 day',"
            " reason = 'lease over' WHERE id = $1", message,
        )  # fmt: skip
        await self.town.context.pool.execute("UPDATE attempt SET outcome = 'unknown' WHERE message_id = $1", message)


@pytest.fixture
async def post(make_town: Any, make_buyer: Any) -> Post:
    return Post(await make_town(WITH_BOUNCES), make_buyer)


async def test_an_address_that_does_not_exist_gets_no_second_mail(post):
    message = await post.mail_to("ada")
    await post.brings("postfix-unknown-user", message)
    await post.town.passes(days=4)
    assert len(post.town.letters.taken) == 1
    assert await post.town.ends() == {"bounced": 1}
    assert await post.states() == ["bounced"]
    assert await post.suppressed() == [("email", "bounced")]
    await post.town.books_are_clean()


async def test_whoever_complains_hears_no_more_of_us(post):
    message = await post.mail_to("ada")
    await post.brings("complaint", message)
    assert await post.town.ends() == {"complained": 1}
    await post.town.passes(days=20)
    await post.town.leaves_cart("later", post.make_buyer("ada"), "blue")
    await post.town.passes(days=4)
    assert len(post.town.letters.taken) == 1
    assert await post.suppressed() == [("any", "complained")]
    assert "complained" in await post.states()
    await post.town.books_are_clean()


async def test_a_reply_ends_it_and_waits_to_be_read(post):
    message = await post.mail_to("ada")
    await post.brings("reply", message)
    await post.town.passes(days=4)
    assert len(post.town.letters.taken) == 1
    assert await post.town.ends() == {"replied": 1}
    [waiting] = await inbox.unread(post.town.context.pool, post.town.shop_id)
    assert waiting.message_id == message
    assert await post.suppressed() == []
    await post.town.books_are_clean()


async def test_a_report_of_delivery_proves_an_unknown(post):
    message = await post.mail_to("ada")
    await post.becomes_unknown(message)
    await post.brings("postfix-delivered", message)
    assert await post.states() == ["delivered"]
    row = (await post.town.fetch("SELECT reason, accepted_at >= sending_at AS ok FROM message"))[0]
    assert (row["reason"], row["ok"]) == ("proven by a report: delivered", True)
    await post.town.books_are_clean()


async def test_a_mail_server_brings_a_bounce_by_lmtp(make_town, make_buyer, unused_tcp_port):
    post = Post(await make_town(WITH_BOUNCES, lmtp_listen=f"127.0.0.1:{unused_tcp_port}"), make_buyer)
    message = await post.mail_to("ada")
    context, town = post.town.context, post.town
    raw = report_on(context, "postfix-unknown-user", town.shop_id, message)

    def deliver() -> dict[str, tuple[int, bytes]]:
        with smtplib.LMTP("127.0.0.1", unused_tcp_port) as client:
            to = [
                verp(context, town.shop_id, message).upper(),
                "b+nonsense@bounces.shop.example",
                "x@elsewhere.example",
            ]
            return client.sendmail("", to, raw)

    refused = await asyncio.to_thread(deliver)
    assert {code for code, _ in refused.values()} == {550}
    assert len(refused) == 2
    await town.settles()
    assert await post.states() == ["bounced"]
    await asyncio.to_thread(deliver)
    await town.settles()
    assert await post.events() == ["bounced"]


async def test_a_reply_to_the_shop_comes_by_lmtp(make_town, make_buyer, unused_tcp_port):
    post = Post(await make_town(WITH_BOUNCES, lmtp_listen=f"127.0.0.1:{unused_tcp_port}"), make_buyer)
    message = await post.mail_to("ada")
    raw = report_on(post.town.context, "reply", post.town.shop_id, message)

    def deliver() -> None:
        with smtplib.SMTP("127.0.0.1", unused_tcp_port) as client:
            client.sendmail("ada@example.org", ["Laden@shop.example"], raw)

    await asyncio.to_thread(deliver)
    await post.town.settles()
    assert await post.town.ends() == {"replied": 1}
    assert await inbox.count_unread(post.town.context.pool, post.town.shop_id) == 1


@pytest.mark.parametrize("name", ["mailbox-full", "gmail-dmarc", "postfix-delayed", "vacation", "forged-signature"])
async def test_what_says_nothing_of_the_address_stops_nothing(post, name):
    await post.brings(name, await post.mail_to("ada"))
    await post.town.passes(hours=24)
    assert len(post.town.letters.taken) == 2
    assert await post.suppressed() == []
    await post.town.books_are_clean()


async def test_a_reply_stops_nothing_where_the_policy_says_so(make_town, make_buyer):
    policy = "extends: default\nstops_on: [purchase]\nsteps: [{name: remind, after: 1h}, {name: doubts, after: 24h}]\n"
    post = Post(await make_town(WITH_BOUNCES, {"main": policy}), make_buyer)
    await post.brings("reply", await post.mail_to("ada"))
    await post.town.passes(hours=25)
    assert len(post.town.letters.taken) == 2
    assert await inbox.count_unread(post.town.context.pool, post.town.shop_id) == 1


async def test_a_mail_that_was_refused_for_a_dead_address_waits_at_no_gate(post):
    """The second mail is prepared when the report on the first one comes: it does not leave any more."""
    message = await post.mail_to("ada")
    await post.town.passes(hours=22)
    await post.town.context.pool.execute(
        "INSERT INTO pause (shop_id, reason, since) SELECT shop_id, 'x', now() FROM shop"
    )
    await post.town.passes(hours=1, minutes=30)
    assert await post.states() == ["accepted", "prepared"]
    await post.brings("postfix-unknown-user", message)
    await post.town.context.pool.execute("UPDATE pause SET lifted_at = now()")
    await post.town.passes(hours=2)
    assert (await post.states())[1] == "cancelled"
    assert len(post.town.letters.taken) == 1


async def test_an_erased_person_s_replies_and_reports_are_gone(post):
    message = await post.mail_to("ada")
    await post.brings("reply", message)
    await post.brings("postfix-delayed", message)
    context = post.town.context
    person = await post.town.value("SELECT id FROM person")
    await dossier.erase(context.pool, context.pepper, post.town.shop_id, person, await post.town.now())
    await post.brings("postfix-unknown-user", message)
    assert await post.town.value("SELECT count(*) FROM inbox WHERE body <> ''") == 0
    assert await post.town.value("SELECT count(*) FROM inbox WHERE state = 'waiting'") == 0
    assert await inbox.count_unread(context.pool, post.town.shop_id) == 0
