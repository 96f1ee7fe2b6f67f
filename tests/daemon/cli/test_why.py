"""`tillbell why`: a story that a shop owner can read, and the same for machines."""

from __future__ import annotations

import json
import re

import pytest

from tests.flow.test_rehearsal import shops as rehearsing

ADAS = """\
person 1 (customer 7) of main
  2026-03-02 09:00  e-mails to win back: confirmed, newsletter: double opt-in
                    2025-01-01
                    noticing that a link is followed: confirmed, newsletter:
                    double opt-in 2025-01-01
                    noticing that a mail is opened: confirmed, newsletter:
                    double opt-in 2025-01-01
  2026-03-03 09:21  order o1: bought

cart c1 of main: 2 lines, 99.80 EUR
  2026-03-02 09:00  first seen, not changed since
  recovery 1 by policy main
  2026-03-02 10:00  the cart is at rest: followed up from now on
                    send remind: remind is due 1 h after the last change
                    message 1 (remind by e-mail): planned, allowed by consent 1,
                    confirmed 2026-03-02
                    message 1 (remind by e-mail): accepted by the provider
                    wait: doubts is due 24 h after the last change
  2026-03-02 10:20  message 1 was opened by a human
                    wait: the person was active less than 1 h ago
  2026-03-02 10:21  message 1 was followed to the shop by a human
                    wait: the person was active less than 1 h ago
  2026-03-02 11:21  wait: doubts is due 24 h after the last change
  2026-03-03 09:00  send doubts: doubts is due 24 h after the last change
                    message 2 (doubts by e-mail): planned, allowed by consent 1,
                    confirmed 2026-03-02
                    message 2 (doubts by e-mail): accepted by the provider
                    wait: last-call is due 48 h after the last change
  2026-03-03 09:21  ended: bought, order o1 (by clicked link)

Times are in UTC.
"""


async def test_it_reads_like_a_story(busy_town, beside):
    why = beside(busy_town, width=80)
    said = await why("why", "c1")
    assert said.code == 0
    assert said.out.splitlines() == ADAS.splitlines()
    for word in ("7", "ADA@example.org", "Ada@example.org"):  # a customer by the shop's number, or by address
        assert (await why("why", word)).out == ADAS
    assert (await why("why", "--as", "message", "2")).out == ADAS

    bob = (await why("why", "c2")).out
    assert "not written to by e-mail any more: refused by the provider" in bob
    assert "message 3 (remind by e-mail): refused by the provider: RCPT" in bob
    assert "no confirmed" in (await why("why", "c3")).out
    assert re.search("not followed up: .*total", (await why("why", "c4")).out)

    everything = "".join([(await why("why", word, "--full")).out for word in ("c1", "c2", "c3", "c4", "7")])
    assert max(map(len, everything.splitlines())) <= 80
    assert "@" not in everything
    assert not re.search(r"held_out|email_mkt|\.\d{6}|None|True|False", everything)

    wide = await beside(busy_town, width=120)("why", "c2", "--full")
    assert max(map(len, wide.out.splitlines())) <= 120
    assert "✗ is it due? doubts is due 24 h after the last change" in wide.out
    assert "2026-03-03 10:21:00  " in wide.out


async def test_for_machines_it_has_all_rows_and_no_address(busy_town, beside):
    why = beside(busy_town)
    for word in ("c1", "c2", "c3", "c4", "bob@example.org"):
        said = await why("why", word, "--json")
        assert said.code == 0
        assert "@" not in said.out
        [told] = json.loads(said.out)
        assert list(told) == ["shop", "person", "carts", "recoveries", "decisions", "messages", "events"]
    [told] = json.loads((await why("why", "c1", "--json")).out)
    assert [(row["step"], row["state"]) for row in told["messages"]] == [("remind", "accepted"), ("doubts", "accepted")]
    assert {row["kind"] for row in told["events"]} == {"opened", "clicked"}
    assert told["messages"][0]["attempts"][0]["outcome"] == "accepted"
    assert told["person"]["consents"][0] == {
        "purpose": "email_mkt", "state": "confirmed", "at": "2026-03-02T09:00:00+00:00", "source": "newsletter",
        "evidence": "double opt-in 2025-01-01",
    }  # fmt: skip


@pytest.mark.parametrize(
    "words", [["c99"], ["--as", "message", "99"], ["--as", "cart", "word"], ["nobody@example.org"]]
)
async def test_what_is_not_known(town, beside, words):
    said = await beside(town)("why", *words)
    assert said.code == 1
    assert said.out.startswith(f'nothing is known of "{words[-1]}"')
    assert json.loads((await beside(town)("why", *words, "--json")).out) == []


async def test_words_of_a_shop_are_no_markup(town, beside, make_buyer):
    await town.leaves_cart("[/red] c1", make_buyer("1"), "red")
    assert "cart [/red] c1 of main" in (await beside(town)("why", "[/red] c1")).out


async def test_somebody_held_out_is_told_as_such(make_town, make_buyer, beside):
    town = await make_town(holdout="50%")
    town.context.chance = lambda _: 0.0
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    said = (await beside(town)("why", "c1")).out
    assert "recovery 1 by policy main (held out: nothing is sent, to compare with)" in said
    assert "message 1 (remind by e-mail): withheld: held out" in said
    assert "accepted" not in said


async def test_a_rehearsal_is_told_as_such(make_town, make_buyer, beside):
    town = await make_town(rehearsing("rehearsal"))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    said = (await beside(town)("why", "c1")).out
    assert "recovery 1 by policy main (a rehearsal)" in said
    assert "message 1 (remind by e-mail): withheld: rehearsal" in said
