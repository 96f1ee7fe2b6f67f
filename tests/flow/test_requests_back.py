"""A mail that asks for a consent comes back: what then becomes of the request, and of the address."""

from __future__ import annotations

import re

import pytest

from daemon.flow import letterbox, optin
from daemon.flow.consents import Proof
from daemon.mail.confirmation import message_id
from daemon.shops.base import Customer
from daemon.tokens import Token, make_local_part
from tests.flow.conftest import SHOPS
from tests.reports import report

WITH_BOUNCES = SHOPS.replace("      imprint:", "      bounce_domain: bounces.shop.example\n      imprint:")
PROOF = Proof("form", wording="Ja, schreiben Sie mir über meinen Warenkorb.", ip="203.0.113.7")


async def asks(town):
    ada = Customer(email="ada@example.org")
    answer = await optin.request(town.context, town.shop_id, ada, ["email_mkt"], PROOF, await town.now())
    await town.settles()
    return answer


def link(mail):
    return re.findall(r"/y/([A-Za-z0-9_-]{40})", mail.get_body(("plain",)).get_content())[0]


async def brings(town, name, number, signed=True):
    context, shop_id = town.context, town.shop_id
    token = Token("asked", shop_id, number + (0 if signed else 7))
    verp = f"b+{make_local_part(context.secrets, token)}@bounces.shop.example"
    named = message_id((shop_id, number if signed else 99), "shop.example", context.pepper)
    await letterbox.keep(context, shop_id, report(name, verp, named))
    await town.settles()


@pytest.mark.parametrize(
    ("name", "state", "suppressed"),
    [
        pytest.param("postfix-unknown-user", "failed", [("email", "bounced")], id="no such mailbox: it is over"),
        pytest.param("complaint", "failed", [("any", "complained")], id="called spam: it is over, everywhere"),
        pytest.param("postfix-delayed", "accepted", [], id="delayed: it is still good", marks=pytest.mark.long),
        pytest.param("forged-by-a-person", "accepted", [], id="a report with a return path: it is not believed"),
        pytest.param("mailbox-full", "accepted", [], id="a full mailbox: it is still good", marks=pytest.mark.long),
    ],
)
async def test_what_comes_back_of_a_request(make_town, name, state, suppressed):
    town = await make_town(WITH_BOUNCES)
    assert await asks(town) == "asked"
    [mail] = town.letters.of("ada@example.org")
    assert re.fullmatch(r"b\+[a-z2-7]{48}@bounces\.shop\.example", town.letters.senders[-1])
    await brings(town, name, await town.value("SELECT id FROM opt_in"))
    assert await town.value("SELECT state FROM opt_in") == state
    rows = await town.fetch("SELECT channel, reason FROM suppression")
    assert [(row["channel"], row["reason"]) for row in rows] == suppressed
    found, _ = await optin.confirm(town.context, link(mail), PROOF)
    assert found == ("confirmed" if state == "accepted" else "unknown")
    await town.passes(minutes=11)
    await asks(town)
    assert len(town.letters.of("ada@example.org")) == 1
    await town.books_are_clean()


async def test_a_report_on_a_request_that_nobody_made_ends_none(make_town):
    town = await make_town(WITH_BOUNCES)
    await asks(town)
    await brings(town, "postfix-unknown-user", await town.value("SELECT id FROM opt_in"), signed=False)
    assert await town.value("SELECT state FROM opt_in") == "accepted"
    assert await town.value("SELECT effect FROM inbox") == "about a request that is not kept any more"
