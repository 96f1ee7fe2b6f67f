"""Double opt-in as stories: the mail that asks, the button that confirms, and who may have it asked how often."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from channels.base import Event
from daemon.flow import callbacks, consents, optin
from daemon.flow.consents import Proof
from daemon.shops.base import ConsentHint, Customer
from daemon.store import brake, inbox, work
from daemon.store.brake import Scope
from daemon.store.database import again

ADA = Customer(email="ada@example.org", locale="de-DE")
WORDING = "Ja, schreiben Sie mir über meinen Warenkorb und über ähnliche Waren."
FORM = Proof("footer", wording=WORDING, source_url="https://shop.example/news", ip="203.0.113.7", user_agent="Firefox")


async def asks(town, customer=ADA, proof=FORM, purposes=("email_mkt", "track_open")):
    answer = await optin.request(town.context, town.shop_id, customer, purposes, proof, await town.now())
    await town.settles()
    return answer


def link_in(mail):
    [link] = set(re.findall(r"https?://\S+/y/[A-Za-z0-9_-]{40}", mail.get_body(("plain",)).get_content()))
    return link


async def ledger(town):
    rows = await town.fetch(
        "SELECT purpose, state, source, evidence, source_url, ip_net, user_agent, "
        "requested_at IS NOT NULL AS requested, confirmed_at IS NOT NULL AS confirmed, w.text AS wording "
        "FROM consent k JOIN wording w ON w.sha256 = k.wording_sha256 ORDER BY k.id"
    )
    return [tuple(row) for row in rows]


async def states(town):
    return [tuple(row) for row in await town.fetch("SELECT purpose, state FROM consent ORDER BY id")]


async def test_a_request_goes_out_by_mail_without_advertising(town):
    assert await asks(town) == "asked"
    [mail] = town.letters.of("ada@example.org")
    assert mail["Subject"] == "Bitte bestätigen Sie Ihre Anmeldung bei Laden"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in mail
    for kind in ("plain", "html"):
        body = mail.get_body((kind,)).get_content()
        assert WORDING in body
        assert "Laden GmbH" in body
        assert "<img" not in body
    assert await states(town) == [("email_mkt", "requested"), ("track_open", "requested")]
    assert await town.value("SELECT state FROM opt_in") == "accepted"
    token = link_in(mail).rsplit("/", 1)[1]
    assert token not in str(await town.fetch("SELECT * FROM opt_in"))
    await town.books_are_clean()


async def test_a_request_that_certainly_did_not_leave_is_tried_again_and_the_old_link_is_dead(town):
    town.letters.refuse["ada@example.org"] = "450 later"
    await asks(town)
    assert town.letters.of("ada@example.org") == []
    assert tuple((await town.fetch("SELECT state, token_sha256 FROM opt_in"))[0]) == ("waiting", None)
    town.letters.refuse.clear()
    await town.context.pool.execute("UPDATE opt_in SET retry_real = clock_timestamp()")
    town.context.ring("confirm", town.shop_id)
    await town.settles()
    assert len(town.letters.of("ada@example.org")) == 1


async def test_a_hundred_clients_bring_one_address_three_mails_a_day_at_most(town):
    """Twenty at once, each half hour."""

    async def asks_from(ip):
        proof = Proof("form", wording=WORDING, ip=ip)
        return await optin.request(town.context, town.shop_id, ADA, ["email_mkt"], proof, await town.now())

    answers = []
    for wave in range(5):
        answers += await asyncio.gather(*(asks_from(f"198.51.{wave}.{n}") for n in range(20)))
        await town.settles()
        await town.passes(minutes=30)
    assert answers.count("asked") == 3
    assert len(town.letters.of("ada@example.org")) == 3


async def test_one_client_may_ask_for_five_a_minute(town):
    said = [await asks(town, Customer(email=f"p{n}@example.org")) for n in range(7)]
    assert said == ["asked"] * 5 + ["too many"] * 2
    await town.passes(minutes=2)
    assert await asks(town, Customer(email="p9@example.org")) == "asked"


async def test_who_was_asked_a_moment_ago_is_not_asked_again(town):
    said = [await asks(town) for _ in range(2)]
    await town.passes(minutes=11)
    assert [*said, await asks(town)] == ["asked", "too soon", "asked"]


async def test_the_brake_holds_requests_and_none_is_lost(town):
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "wrong words", await town.now(), None)
    assert await asks(town) == "asked"
    await town.settles()
    assert await town.fetch("SELECT state, reason FROM opt_in") == [("waiting", "paused: wrong words")]
    await brake.resume(town.context.pool, [town.shop_id], Scope(), await town.now())
    await town.context.pool.execute("UPDATE opt_in SET retry_real = NULL")  # its minute of machine time
    town.context.ring("confirm", town.shop_id)
    await town.settles()
    assert len(town.letters.of("ada@example.org")) == 1


async def test_a_request_does_not_undo_a_withdrawal(town):
    """Somebody else asks for a customer who took their consent back: only the button counts."""
    await asks(town)
    [person] = await town.fetch("SELECT id FROM person")
    now = await town.now()
    await consents.withdraw(town.context, town.shop_id, person["id"], ["email_mkt"], "by hand", now)
    await town.passes(minutes=11)
    assert await asks(town) == "asked"
    newest = "SELECT state FROM consent WHERE purpose = 'email_mkt' ORDER BY id DESC LIMIT 1"
    assert await town.value(newest) == "withdrawn"
    answer, _ = await optin.confirm(
        town.context, link_in(town.letters.of("ada@example.org")[-1]).rsplit("/", 1)[1], FORM
    )
    assert (answer, await town.value(newest)) == ("confirmed", "confirmed")


async def test_the_button_counts_once_and_says_who_when_and_what(town):
    await asks(town)
    token = link_in(town.letters.of("ada@example.org")[0]).rsplit("/", 1)[1]
    await town.passes(hours=3)
    click = Proof("button on the page", ip="2001:db8::1", user_agent="Safari")
    found = [(await optin.confirm(town.context, token, click))[0] for _ in range(3)]
    assert found == ["confirmed", "already", "already"]
    number = await town.value("SELECT id FROM opt_in")
    proof = f"double opt-in {number} by email, button on the page"
    assert (await ledger(town))[2:] == [
        (
            purpose,
            "confirmed",
            "footer",
            proof,
            "https://shop.example/news",
            "2001:db8::/48",
            "Safari",
            True,
            True,
            WORDING,
        )
        for purpose in ("email_mkt", "track_open")
    ]
    assert await town.value("SELECT count(*) FROM wording") == 1


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        pytest.param("UPDATE opt_in SET not_after = '2026-03-02 08:00Z'", "over", id="after seven days"),
        pytest.param("UPDATE person SET email = 'b@c.de', email_hmac = 'x'", "over", id="the address is another one"),
        pytest.param("DELETE FROM opt_in", "unknown", id="erased"),
    ],
)
async def test_a_link_is_not_good_for_ever(town, then, expected):
    await asks(town)
    token = link_in(town.letters.of("ada@example.org")[0]).rsplit("/", 1)[1]
    await town.context.pool.execute(then)
    assert (await optin.confirm(town.context, token, FORM))[0] == expected
    assert ("email_mkt", "confirmed") not in await states(town)


async def test_who_complained_is_not_asked(town):
    await asks(town)
    await town.context.pool.execute(
        "INSERT INTO suppression SELECT shop_id, 'email', email_hmac, 'complained', 'x', now() FROM person"
    )
    await town.passes(minutes=11)
    await asks(town)
    assert len(town.letters.of("ada@example.org")) == 1
    assert await town.value("SELECT reason FROM opt_in ORDER BY id DESC LIMIT 1") == "suppressed"


async def test_a_code_from_a_text_is_good_for_five_guesses(town):
    phone = Customer(email="ada@example.org", phone="+491701234567", ref="17")
    assert await asks(town, phone, purposes=["sms_mkt"]) == "asked"
    await town.context.pool.execute(
        "UPDATE person SET phone = '+491701234567', phone_hmac = (SELECT address_hmac FROM opt_in)"
    )
    number = await town.value("SELECT id FROM opt_in")
    await town.context.pool.execute(
        "UPDATE opt_in SET state = 'accepted', fence = 1, sending_at = requested_at, token_sha256 = $1",
        optin.code_hash(town.context, number, "123456"),
    )

    async def enters(code):
        return await optin.by_code(town.context, town.shop_id, "+491701234567", code, Proof("shop"))

    assert [await enters(f"00000{n}") for n in range(4)] == ["unknown"] * 4
    assert await enters("123456") == "confirmed"
    assert await states(town) == [("sms_mkt", "requested"), ("sms_mkt", "confirmed")]
    assert await optin.answered(town.context, town.shop_id, "+491701234567", " Ja! ", Proof("text")) == "unknown"


async def test_a_yes_by_text_confirms_and_any_other_word_does_not(town):
    phone = Customer(email="ada@example.org", phone="+491701234567", ref="17")
    await asks(town, phone, purposes=["sms_mkt"])
    await town.context.pool.execute(
        "UPDATE person SET phone = '+491701234567', phone_hmac = (SELECT address_hmac FROM opt_in)"
    )
    await town.context.pool.execute(
        "UPDATE opt_in SET state = 'accepted', fence = 1, sending_at = requested_at, token_sha256 = sha256('x')"
    )
    said = [
        await optin.answered(town.context, town.shop_id, "+491701234567", text, Proof("text"))
        for text in ("who is this?", "JA", "JA")
    ]
    assert said == ["unknown", "confirmed", "unknown"]


async def test_a_yes_that_the_provider_brings_confirms_and_is_no_reply_for_a_person(town):
    phone = Customer(email="ada@example.org", phone="+491701234567", ref="17")
    await asks(town, phone, purposes=["sms_mkt"])
    await town.context.pool.execute(
        "UPDATE person SET phone = '+491701234567', phone_hmac = (SELECT address_hmac FROM opt_in)"
    )
    await town.context.pool.execute(
        "UPDATE opt_in SET state = 'accepted', fence = 1, sending_at = requested_at, token_sha256 = sha256('x')"
    )
    for key, text in (("in 1", "Yes."), ("in 2", "yes")):
        event = Event("replied", key, address="+491701234567", text=text)
        await inbox.keep(town.context.pool, callbacks.deliveries(town.context, "sms", [event]))
        town.context.ring("callbacks", town.shop_id)
        await town.settles()
    effects = await town.fetch("SELECT effect FROM inbox ORDER BY id")
    assert [row["effect"] for row in effects] == ["YES: a consent is confirmed", "replied by sms"]
    assert await states(town) == [("sms_mkt", "requested"), ("sms_mkt", "confirmed")]


async def test_a_shop_asks_by_an_event_and_the_page_confirms(town):
    """From the shop's form to the button in the browser."""
    hint = ConsentHint("email_mkt", "requested", None, "footer", wording=WORDING, ip="203.0.113.7", ask=True)

    async def told(db):
        await work.serialise(db, town.shop_id)
        await optin.ask_as_told(town.context, db, town.shop_id, replace(ADA, consents=(hint,)), await town.now())

    await again(town.context.pool, told)
    await town.settles()
    link = link_in(town.letters.of("ada@example.org")[0])
    async with town.http.get(link) as answer:
        page = await answer.text()
        assert answer.status == 200
    assert WORDING in page
    assert await states(town) == [("email_mkt", "requested")]
    for expected in ("bestätigt", "bestätigt"):
        async with town.http.post(link, data={"do": "confirm"}) as answer:
            assert (answer.status, expected in await answer.text()) == (200, True)
    assert await states(town) == [("email_mkt", "requested"), ("email_mkt", "confirmed")]
    async with town.http.get(link[:-4] + "AAAA") as answer:
        assert answer.status == 404
    async with town.http.post(link, data={"do": "other"}) as answer:
        assert answer.status == 400


async def test_requests_keep_to_what_the_relay_and_the_providers_allow(make_town):
    """They count in the same rows as all other mails, so what they take is no longer there for those."""
    town = await make_town(smtp_per_day=2, smtp_domain_rates="slow.example=1/h")
    await asks(town)
    await asks(town, replace(ADA, email="one@slow.example"))
    await asks(town, replace(ADA, email="two@slow.example"))
    assert await town.value("SELECT reason FROM opt_in WHERE state = 'waiting'") == (
        "held by the allowance of the relay: 2 in 24 hours"
    )
    town.context.settings = town.context.settings.model_copy(update={"smtp_per_day": 9})
    await town.context.pool.execute("UPDATE opt_in SET retry_real = clock_timestamp() WHERE state = 'waiting'")
    town.context.ring("confirm", town.shop_id)
    await town.settles()
    assert await town.value("SELECT reason FROM opt_in WHERE state = 'waiting'") == (
        "held by the allowance of slow.example: 1/h"
    )
    assert [to for to, _ in town.letters.taken] == ["ada@example.org", "one@slow.example"]
