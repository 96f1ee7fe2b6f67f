"""`replies`, `message resolve`, and what `why` and `status` tell of the post that came in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cyclopts.exceptions import CycloptsError

from daemon.flow import letterbox
from tests.flow.test_post import WITH_BOUNCES, Post


@pytest.fixture
async def post(make_town: Any, make_buyer: Any) -> Post:
    return Post(await make_town(WITH_BOUNCES), make_buyer)


async def test_a_reply_is_listed_shown_and_put_away(post, beside):
    message = await post.mail_to("ada")
    await post.brings("reply", message)
    listed = json.loads((await beside(post.town)("replies", "list", "--json")).out)["main"]
    assert [(row["message"], row["subject"]) for row in listed] == [(message, "Re: Your cart is waiting")]
    number = str(listed[0]["reply"])
    assert "Größe 39" in (await beside(post.town)("replies", "show", number)).out
    assert "replies that nobody has read: 1" in (await beside(post.town)("status")).out
    assert (await beside(post.town)("replies", "done", number)).out == "1 done\n"
    assert (await beside(post.town)("replies", "done", number)).code == 1
    assert "replies that" not in (await beside(post.town)("status")).out
    assert "In-Reply-To" in (await beside(post.town)("replies", "show", number, "--raw")).out


async def test_a_raw_reply_is_octet_for_octet_as_it_came(post, beside):
    raw = "Return-Path: <a@b.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGröße 39?\r\n".encode()
    await letterbox.keep(post.town.context, post.town.shop_id, raw)
    await post.town.settles()
    [number] = [str(row["id"]) for row in await post.town.fetch("SELECT id FROM inbox")]
    assert "Größe 39?\r\n" in (await beside(post.town)("replies", "show", number, "--raw")).out


async def test_why_tells_of_a_bounce_and_of_a_reply(post, beside):
    await post.brings("postfix-unknown-user", await post.mail_to("ada"))
    await post.brings("reply", await post.mail_to("bob"))
    told = (await beside(post.town)("why", "c-ada")).out
    assert "came back, because the address does not work (5.1.1: 550 5.1.1 … user unknown)" in told
    assert "ended: bounced" in told
    assert "not written to by e-mail any more: bounced" in told
    assert "was answered by its reader" in (await beside(post.town)("why", "c-bob")).out


@pytest.mark.parametrize(("word", "state"), [("accepted", "accepted"), ("failed", "failed")])
async def test_an_unknown_is_settled_by_a_person(post, beside, word, state):
    message = await post.mail_to("ada")
    await post.becomes_unknown(message)
    said = await beside(post.town)("message", "resolve", str(message), word, "seen in the relay's log")
    assert said.code == 0
    assert (await post.states())[0] == state
    assert "resolved by hand: seen in the relay's log" in (await beside(post.town)("why", "c-ada")).out
    again = await beside(post.town)("message", "resolve", str(message), word, "once more")
    assert again.code == 1
    await post.town.settles()
    await post.town.books_are_clean()


async def test_a_message_is_not_settled_without_a_reason(post, beside):
    with pytest.raises(CycloptsError, match="say how you know"):
        await beside(post.town)("message", "resolve", "1", "failed", " ")


async def test_check_says_when_reports_go_elsewhere(post, beside, monkeypatch):
    monkeypatch.setenv("TILLBELL_LMTP_LISTEN", "127.0.0.1:2424")
    assert "bounce_domain" not in (await beside(post.town)("check")).out
    rules = post.town.context.settings.rules_dir / "shops.yaml"
    rules.write_text(rules.read_text().replace("      bounce_domain: bounces.shop.example\n", ""))
    assert "without bounce_domain they go to the sender's domain" in (await beside(post.town)("check")).out
