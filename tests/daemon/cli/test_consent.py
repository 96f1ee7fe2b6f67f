"""`tillbell consent`: what people allowed is shown with its proof, asked for, recorded and taken back."""

from __future__ import annotations

import json
import re

import pytest
from cyclopts import ValidationError

from daemon.cli.consent import app
from daemon.errors import ConfigurationError
from daemon.shops.base import Customer

NEWEST = "SELECT state FROM consent WHERE person_id = $1 AND purpose = $2 ORDER BY id DESC LIMIT 1"


def last(said):
    """The exit code, and the last line."""
    return said.code, said.out.splitlines()[-1]


YES = "Ja, schreiben Sie mir über meinen Warenkorb."


async def test_show_tells_every_word_with_its_proof(busy_town, beside):
    said = await beside(busy_town, width=200)("consent", "show", "ADA@example.org")
    assert said.code == 0
    assert said.out.startswith("person 1\n")
    line = next(one for one in said.out.splitlines() if one.strip().startswith("email_mkt"))
    for word in ("confirmed", "2026-03-02 09:00", "newsletter", "double opt-in 2025-01-01"):
        assert word in line
    [told] = json.loads((await beside(busy_town)("consent", "show", "7", "--json")).out)
    assert [row["purpose"] for row in told["consents"]] == ["email_mkt", "track_click", "track_open"]
    assert (await beside(busy_town)("consent", "show", "nobody@example.org")).code == 1


async def test_what_is_recorded_by_hand_has_its_proof_and_holds_at_once(busy_town, beside):
    await busy_town.leaves_cart("c9", Customer(ref="zoe", email="zoe@example.org"), "red", "blue")
    zoe = await busy_town.value("SELECT id FROM person WHERE email = 'zoe@example.org'")
    type_ = beside(busy_town, width=200)
    words = ("zoe@example.org", "email_mkt", "track_open", "--evidence", "form of 1 March", "--wording", YES)
    assert last(await type_("consent", "record", *words)) == (0, f"person {zoe}: email_mkt, track_open confirmed")
    shown = (await type_("consent", "show", "zoe@example.org")).out
    assert "form of 1 March" in shown
    assert YES in shown
    await busy_town.passes(hours=2)
    assert len(busy_town.letters.of("zoe@example.org")) == 1
    await busy_town.books_are_clean()


async def test_what_is_withdrawn_by_hand_stops_the_next_mail(busy_town, beside):
    tim = await busy_town.value("SELECT id FROM person WHERE email = 'tim@example.org'")
    said = await beside(busy_town)("consent", "withdraw", "tim@example.org", "email_mkt")
    assert last(said) == (0, f"person {tim}: email_mkt withdrawn")
    assert await busy_town.value(NEWEST, tim, "email_mkt") == "withdrawn"
    await busy_town.leaves_cart("c5", Customer(ref="tim", email="tim@example.org"), "red", "blue")
    await busy_town.passes(hours=3)
    assert busy_town.letters.of("tim@example.org") == []
    why = (await beside(busy_town)("why", "c5")).out
    assert "was withdrawn on 2026-03-03" in re.sub(r"\s+", " ", why)


async def test_a_request_by_hand_is_sent_by_the_daemon_and_counts_when_confirmed(busy_town, beside):
    eve = await busy_town.value("SELECT id FROM person WHERE email = 'eve@example.org'")
    words = ("consent", "request", "eve@example.org", "email_mkt", "track_open", "--wording", YES)
    said = await beside(busy_town)(*words)
    assert last(said) == (0, f"person {eve}: is asked to confirm it")
    await busy_town.passes(seconds=5)
    [mail] = busy_town.letters.of("eve@example.org")
    assert await busy_town.value(NEWEST, eve, "email_mkt") == "requested"
    again = await beside(busy_town)(*words)
    assert last(again) == (1, f"person {eve}: was asked less than ten minutes ago")
    [link] = set(re.findall(r"https?://\S+/y/[A-Za-z0-9_-]{40}", mail.get_body(("plain",)).get_content()))
    async with busy_town.http.post(link, data={"do": "confirm"}) as answer:
        assert answer.status == 200
    assert await busy_town.value(NEWEST, eve, "email_mkt") == "confirmed"
    await busy_town.passes(minutes=11)
    assert last(await beside(busy_town)(*words)) == (0, f"person {eve}: has confirmed it already")
    said = await beside(busy_town)("consent", "request", "eve@example.org", "sms_mkt", "--wording", YES)
    assert last(said) == (1, f"person {eve}: has no address for it")


@pytest.mark.parametrize(
    ("words", "because"),
    [
        (("request", "7", "email_mkt", "sms_mkt", "--wording", YES), "about one of them"),
        (("request", "7", "push_mkt", "--wording", YES), "about e-mail or text"),
        (("request", "7", "email_mkt", "--wording", " "), "what they are to confirm"),
    ],
)
async def test_what_cannot_be_asked_for(words, because):
    with pytest.raises(ConfigurationError, match=because):
        await app.run_async(words, exit_on_error=False, result_action="return_value")


async def test_a_purpose_that_is_none_is_a_mistake_of_the_command():
    with pytest.raises(ValidationError, match='"marketing" is no purpose; there are email_mkt, sms_mkt'):
        await app.run_async(["withdraw", "7", "marketing"], exit_on_error=False, result_action="return_value")
