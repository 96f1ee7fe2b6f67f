"""A form on the shop's page, or on ours: who fills it in is asked to confirm, and nothing counts before."""

from __future__ import annotations

import re
from typing import Any

import pytest

from daemon.demo.twilio import Twilio
from tests.flow.conftest import SHOPS

PHONE, SENDER = "+4915112345678", "+4915735980000"
FORMS = """    opt_in:
      news:
        purposes: [email_mkt, track_open]
        wording: {{de: "Ja, schreiben Sie mir über meinen Warenkorb.", fr: "Oui, parlez-moi de mon panier."}}
      texts: {{purposes: [sms_mkt], wording: "Ja, auch per SMS über meinen Warenkorb."}}
    connection:
"""
ROWS = "SELECT purpose, state FROM consent ORDER BY id"


@pytest.fixture
async def town(make_town: Any, twilio: Twilio, at_twilio: dict[str, Any]) -> Any:
    made = await make_town(SHOPS.replace("    connection:\n", FORMS), twilio_from=SENDER, **at_twilio)
    made.twilio = twilio
    return made


async def visits(town, form, method="GET", lang="de", **told):
    how = {"data": told} if method == "POST" else {}
    async with town.http.request(
        method, f"{town.public}/join/main/{form}", headers={"Accept-Language": lang}, **how
    ) as answer:
        page = await answer.text()
    await town.settles()
    return answer.status, page


async def said(town):
    return [tuple(row) for row in await town.fetch(ROWS)]


async def test_looking_at_a_form_shows_its_sentence_and_changes_nothing(town):
    status, page = await visits(town, "news", lang="fr")
    assert status == 200
    assert "Oui, parlez-moi de mon panier." in page
    assert 'lang="fr"' in page
    assert 'name="email"' in page
    for form in ("news", "texts"):
        await visits(town, form)
    assert await town.value("SELECT count(*) FROM opt_in") == 0
    assert await town.value("SELECT count(*) FROM person") == 0
    assert (await visits(town, "other"))[0] == 404


async def test_an_address_is_asked_by_mail_and_its_button_counts(town):
    status, page = await visits(town, "news", "POST", email="ada@example.org")
    assert status == 200
    assert "Sehen Sie in Ihr Postfach" in page
    [mail] = town.letters.of("ada@example.org")
    text = mail.get_body(("plain",)).get_content()
    assert "Ja, schreiben Sie mir über meinen Warenkorb." in text
    assert await said(town) == [("email_mkt", "requested"), ("track_open", "requested")]
    [link] = set(re.findall(r"https?://\S+/y/[A-Za-z0-9_-]{40}", text))
    async with town.http.post(link, data={"do": "confirm"}) as answer:
        assert answer.status == 200
    assert await said(town) == [
        (one, state) for state in ("requested", "confirmed") for one in ("email_mkt", "track_open")
    ]
    again = await visits(town, "news", "POST", email="ada@example.org")
    assert again == (200, page) or "Sehen Sie in Ihr Postfach" in again[1], "the page tells nobody who agreed before"
    assert len(town.letters.of("ada@example.org")) == 1


async def test_a_number_that_the_shop_knows_gets_a_code_and_the_page_takes_it(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("7", phone=PHONE, country="DE"), "red")
    status, page = await visits(town, "texts", "POST", phone="0151 12345678")
    assert (status, 'name="code"' in page) == (200, True)
    [text] = town.twilio.to(PHONE)
    code = re.search(r"\b\d{6}\b", text.body)[0]
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    status, page = await visits(town, "texts", "POST", phone=PHONE, code=wrong)
    assert (status, "Dieser Code stimmt nicht" in page) == (422, True)
    assert ("sms_mkt", "confirmed") not in await said(town)
    status, page = await visits(town, "texts", "POST", phone=PHONE, code=code)
    assert (status, "bestätigt" in page) == (200, True)
    assert (await said(town))[-2:] == [("sms_mkt", "requested"), ("sms_mkt", "confirmed")]
    proof = await town.fetch(
        "SELECT evidence, source, ip_net FROM consent WHERE state = 'confirmed' AND purpose = 'sms_mkt'"
    )
    assert proof[0]["evidence"].endswith("by sms, code on the page")
    assert (proof[0]["source"], proof[0]["ip_net"]) == ("form texts", "127.0.0.0/24")
    await town.books_are_clean()


async def test_five_wrong_codes_and_the_right_one_is_worth_nothing(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("7", phone=PHONE, country="DE"), "red")
    await visits(town, "texts", "POST", phone=PHONE)
    code = int(re.search(r"\b\d{6}\b", town.twilio.to(PHONE)[0].body)[0])
    for step in range(1, 6):
        await visits(town, "texts", "POST", phone=PHONE, code=f"{(code + step) % 1_000_000:06}")
    assert (await visits(town, "texts", "POST", phone=PHONE, code=f"{code:06}"))[0] == 422
    assert ("sms_mkt", "confirmed") not in await said(town)


async def test_a_strangers_number_gets_no_text_and_the_page_says_the_same(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("7", phone=PHONE, country="DE"), "red")
    known = await visits(town, "texts", "POST", phone=PHONE)
    strange = await visits(town, "texts", "POST", phone="+4915187654321")
    assert (known[0], len(town.twilio.texts)) == (200, 1)
    without = re.compile(r'nonce="[^"]*"|value="\+\d+"')
    assert without.sub("", known[1]) == without.sub("", strange[1])
    assert await town.value("SELECT count(*) FROM person") == 1


async def test_who_tries_many_numbers_does_not_learn_which_are_known(town, make_buyer):
    """The limit of a client counts requests, and only known numbers make one: its page would give them away."""
    known = [f"+491511234567{digit}" for digit in range(7)]
    for digit, number in enumerate(known):
        await town.leaves_cart(f"c{digit}", make_buyer(f"k{digit}", phone=number, country="DE"), "red")
    pages = [await visits(town, "texts", "POST", phone=number) for number in (*known, "+4915187654321")]
    without = re.compile(r'nonce="[^"]*"|value="\+\d+"')
    assert len({(status, without.sub("", page)) for status, page in pages}) == 1
    assert len(town.twilio.texts) == 5


async def test_a_number_that_two_people_share_gets_no_text_for_either(town, make_buyer):
    for ref in ("7", "8"):
        await town.leaves_cart(f"c{ref}", make_buyer(ref, phone=PHONE, country="DE"), "red")
    assert (await visits(town, "texts", "POST", phone=PHONE))[0] == 200
    assert town.twilio.texts == []
    assert await town.value("SELECT count(*) FROM opt_in") == 0


async def test_a_form_is_filled_in_five_times_a_minute_by_one_client_and_never_wrongly(town):
    asked = [(await visits(town, "news", "POST", email=f"p{no}@example.org"))[0] for no in range(6)]
    assert asked == [200] * 5 + [429]
    await town.passes(minutes=2)
    for wrong in ("", "ada", "ada@example", "a@b.test, c@d.test", "a@b.test\r\nBcc: c@d.test", "ünï@example.org"):
        assert (await visits(town, "news", "POST", email=wrong))[0] == 422
    assert len(await town.fetch("SELECT FROM opt_in")) == 5
