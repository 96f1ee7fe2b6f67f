"""A new shop is a rehearsal: it decides for real and writes to nobody but the test address."""

from __future__ import annotations

import re

REHEARSAL = """
shops:
  main:
    connector: push
    mode: {mode}
    {to}
    url: https://shop.example
    locale: de-DE
    holdout: 0%
    legal: de
    sender:
      name: Laden
      address: laden@shop.example
      imprint: [Laden GmbH, "Hauptstraße 1, 10115 Berlin"]
    connection:
      secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
"""


def shops(mode: str, to: str = "") -> str:
    return REHEARSAL.replace("{mode}", mode).replace("{to}", f"rehearsal_to: {to}" if to else "")


async def test_it_writes_only_to_the_test_address(make_town, make_buyer, links_of):
    town = await make_town(shops("rehearsal", "boss@shop.example"))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=25)
    assert {to for to, _ in town.letters.taken} == {"boss@shop.example"}
    first = town.letters.taken[0][1]
    assert "Rehearsal" in first["Subject"] or "Probe" in first["Subject"]
    assert await town.value("SELECT bool_and(rehearsal) FROM message")

    # Its links are inert: nothing is recorded, nobody is unsubscribed, and the page says what this is.
    url = first["List-Unsubscribe"].strip("<>")
    async with town.http.post(url, data={"List-Unsubscribe": "One-Click"}) as answer:
        assert answer.status == 200
    links = links_of(first)
    async with town.http.get(f"{town.public}/c/{links['c'][0]}", allow_redirects=False) as answer:
        assert re.search("rehearsal|Probe", await answer.text(), re.IGNORECASE)
    async with town.http.get(f"{town.public}/o/{links['o'][0]}.gif"):
        pass
    await town.settles()
    assert await town.value("SELECT count(*) FROM event") == 0
    assert await town.value("SELECT count(*) FROM suppression") == 0
    await town.books_are_clean()


async def test_without_an_address_it_writes_to_nobody(make_town, make_buyer):
    town = await make_town(shops("rehearsal"))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(days=3)
    assert town.letters.taken == []
    rows = await town.fetch("SELECT step, state, reason FROM message ORDER BY id")
    assert [row["step"] for row in rows] == ["remind", "doubts", "last-call"]
    assert {(row["state"], row["reason"]) for row in rows} == {("withheld", "rehearsal")}


async def test_going_live_ends_rehearsals_and_starts_from_a_baseline(make_town, make_buyer):
    town = await make_town(shops("rehearsal", "boss@shop.example"))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.leaves_cart("c2", make_buyer("2"), "red")
    await town.passes(hours=2)
    (town.context.settings.rules_dir / "shops.yaml").write_text(shops("live"))
    from daemon.run import reload

    await reload(town.context)
    assert await town.ends() == {"rehearsal_over": 2}
    before = len(town.letters.taken)
    await town.passes(days=3)
    assert len(town.letters.taken) == before
    await town.leaves_cart("c1", make_buyer("1"), "red", "blue")
    await town.passes(hours=2)
    assert [to for to, _ in town.letters.taken[before:]] == ["1@example.org"]
    assert await town.value("SELECT NOT rehearsal FROM message ORDER BY id DESC LIMIT 1")
    await town.books_are_clean()


async def test_back_to_rehearsal_no_customer_is_written_to_any_more(make_town, make_buyer):
    town = await make_town(shops("live"))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    assert [to for to, _ in town.letters.taken] == ["1@example.org"]
    (town.context.settings.rules_dir / "shops.yaml").write_text(shops("rehearsal", "boss@shop.example"))
    from daemon.run import reload

    await reload(town.context)
    assert await town.ends() == {"not_live": 1}
    await town.passes(days=3)
    assert [to for to, _ in town.letters.taken] == ["1@example.org"]
    await town.books_are_clean()


async def test_a_live_message_does_not_leave_once_the_shop_rehearses(town, make_buyer):
    """Another process has changed the mode, and ours has not read the file yet."""
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.context.pool.execute("UPDATE shop SET mode = 'rehearsal'")
    await town.passes(hours=2)
    assert town.letters.taken == []
    assert await town.value("SELECT state FROM message") == "cancelled"


async def test_a_refused_test_address_suppresses_no_customer(make_town, make_buyer):
    town = await make_town(shops("rehearsal", "boss@shop.example"))
    town.letters.refuse["boss@shop.example"] = "550 5.1.1 no such user"
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    assert await town.value("SELECT state FROM message") == "failed"
    assert await town.value("SELECT count(*) FROM suppression") == 0
    await town.books_are_clean()
