"""One cart through the house: the ten steps as ten short paragraphs, on real servers."""

from __future__ import annotations

from datetime import timedelta

from daemon import tokens
from daemon.shops.base import ConsentHint, Customer

ADA = Customer(
    ref="7",
    email="Ada@example.org",
    first_name="Ada",
    locale="de-DE",
    consents=tuple(
        ConsentHint(purpose, "confirmed", None, "newsletter", "double opt-in 2025-01-01")
        for purpose in ("email_mkt", "track_open", "track_click")
    ),
)

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


async def test_one_cart(town, links_of):
    # 1 polled, 2 kept: the shop tells of a cart; it becomes a cart and a person.
    await town.leaves_cart("c1", ADA, "red", "blue")
    [cart] = await town.fetch("SELECT * FROM cart")
    assert cart["state"] == "open"
    assert cart["person_id"] == await town.value("SELECT person_id FROM identity WHERE kind = 'email'")

    # 3 enrolled: an hour at rest makes it a recovery, not a minute less.
    await town.passes(minutes=59)
    assert await town.value("SELECT count(*) FROM recovery") == 0
    await town.passes(minutes=1)
    [recovery] = await town.fetch("SELECT * FROM recovery")
    assert (recovery["cart_id"], recovery["episode"], recovery["held_out"]) == (cart["id"], 1, False)

    # 4 decided: the rules say to send the first step, and why.
    sent = await town.value("SELECT because FROM decision WHERE verdict = 'send'")
    assert sent == "remind is due 1 h after the last change"

    # 5 prepared, 6 claimed, 7 sent, 8 recorded: one mail, one attempt, with its legal basis.
    [mail] = town.letters.of("Ada@example.org")
    assert "Ada" in mail.get_body(("plain",)).get_content()
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    [message] = await town.fetch("SELECT * FROM message")
    assert (message["state"], message["step"], message["basis"]) == ("accepted", "remind", "consent")
    assert await town.value("SELECT array_agg(outcome) FROM attempt") == ["accepted"]

    # 9 tracked: she opens it after a while and follows the link to her cart.
    await town.passes(minutes=20)
    links = links_of(mail)
    async with town.http.get(f"{town.public}/o/{links['o'][0]}.gif", headers=BROWSER) as answer:
        assert answer.content_type == "image/gif"
    to_cart = await town.value("SELECT no FROM link WHERE kind = 'cart'")
    [link] = {link for link in links["c"] if tokens.read(town.context.secrets, link).link_no == to_cart}
    async with town.http.get(f"{town.public}/c/{link}", allow_redirects=False, headers=BROWSER) as answer:
        assert answer.status == 302
        assert answer.headers["Location"].startswith("https://shop.example/cart")
    await town.settles()
    assert await town.value("SELECT array_agg(kind ORDER BY kind) FROM event") == ["clicked", "opened"]

    # The cart lies on, so the second step follows a day after the last change.
    await town.passes(hours=24)
    assert [mail["Subject"] for mail in town.letters.of("Ada@example.org")] != []
    assert await town.value("SELECT array_agg(step ORDER BY id) FROM message") == ["remind", "doubts"]

    # 10 stopped: she buys; the recovery is closed with its evidence, and no third mail is ever sent.
    await town.buys("o1", ADA)
    [recovery] = await town.fetch("SELECT * FROM recovery")
    assert (recovery["state"], recovery["end_reason"], recovery["evidence"]) == ("ended", "purchase", "clicked link")
    await town.passes(days=3)
    assert len(town.letters.of("Ada@example.org")) == 2
    await town.books_are_clean()


async def test_nothing_is_sent_to_somebody_without_basis(town):
    await town.leaves_cart("c1", Customer(ref="8", email="bob@example.org"), "red")
    await town.passes(days=4)
    assert town.letters.taken == []
    assert any("no confirmed" in because or "basis" in because for because in await town.because())
    await town.books_are_clean()


async def test_who_bought_before_gets_mail_that_names_the_order(town):
    eve = Customer(ref="9", email="eve@example.org")
    await town.buys("o-old", eve, ago=timedelta(days=40))
    await town.leaves_cart("c9", eve, "red")
    await town.passes(hours=2)
    assert len(town.letters.of("eve@example.org")) == 1
    [message] = await town.fetch("SELECT basis, basis_evidence, tracked FROM message")
    assert message["basis"] == "existing_customer"
    assert "o-old" in message["basis_evidence"]
    assert message["tracked"] is False
