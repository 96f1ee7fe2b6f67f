"""What is held about somebody is shown with its reason, handed out whole, and erased when they ask."""

from __future__ import annotations

import json

import pytest

from daemon.errors import ConfigurationError
from daemon.flow.dossier import WHY


async def test_show_says_what_is_held_and_why(busy_town, beside):
    said = await beside(busy_town, width=200)("person", "show", "ADA@example.org")
    assert said.code == 0
    assert "person 1 of main" in said.out
    assert "email: Ada@example.org" in said.out
    for noun in ("consent", "cart", "order", "message", "event"):
        assert WHY[noun] in said.out
    assert (await beside(busy_town)("person", "show", "nobody@example.org")).code == 1


async def test_show_in_json_counts(busy_town, beside):
    [one] = json.loads((await beside(busy_town)("person", "show", "7", "--json")).out)
    assert (one["shop"], one["person"], one["erased_at"]) == ("main", 1, None)
    assert {row["what"]: row["rows"] for row in one["held"]}["cart"] == 1


async def test_export_holds_every_row_of_the_person_and_of_nobody_else(busy_town, beside):
    told = json.loads((await beside(busy_town)("person", "export", "ada@example.org")).out)
    [one] = told["people"]
    assert set(one["held"]) == set(WHY) == set(told["why"])
    assert one["held"]["person"][0]["email"] == "Ada@example.org"
    assert {row["ref"] for row in one["held"]["cart"]} == {"c1"}
    assert {row["ref"] for row in one["held"]["order"]} == {"o1"}
    assert [row["kind"] for row in one["held"]["event"]] == ["opened", "clicked"]
    assert all(row["content"]["subject"] for row in one["held"]["message"])
    assert all("Ada" in row["content"][part] for row in one["held"]["message"] for part in ("html", "text"))
    assert "bob" not in json.dumps(told)


async def test_every_table_that_knows_a_person_is_exported(busy_town):
    """A new table with a column for persons, recoveries, messages or addresses has to be told of, and erased."""
    rows = await busy_town.fetch(
        "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name IN "
        "('person_id', 'recovery_id', 'message_id', 'cart_id', 'email', 'phone', 'address_hmac', 'email_hmac', 'body')"
    )
    called = {"shop_order": "order", "event_default": "event", "inbox": "delivery"}
    tables = {called.get(row["table_name"], row["table_name"]) for row in rows}
    assert tables - {"policy"} <= set(WHY)


@pytest.mark.parametrize(("word", "by"), [("Ada@example.org", "email"), ("7", "customer"), ("1", "id")])
async def test_they_are_found_by_all_that_they_are_known_by(busy_town, beside, word, by):
    said = await beside(busy_town)("person", "show", word, "--by", by, "--json")
    assert [one["person"] for one in json.loads(said.out)] == [1]


async def test_they_are_found_by_phone(busy_town, beside):
    await busy_town.context.pool.execute("UPDATE person SET phone = '+4915112345678', phone_hmac = 'x' WHERE id = 1")
    said = await beside(busy_town)("person", "show", "+49 1511 2345678", "--json")
    assert [one["person"] for one in json.loads(said.out)] == [1]


async def test_a_word_that_could_be_several_people_is_asked_back(busy_town, beside):
    await busy_town.context.pool.execute("UPDATE identity SET value = '2' WHERE kind = 'customer' AND value = '7'")
    with pytest.raises(ConfigurationError, match="say --by"):
        await beside(busy_town)("person", "erase", "2", "--yes")


async def test_nobody_is_erased_unasked(busy_town, beside):
    with pytest.raises(ConfigurationError, match="--yes"):
        await beside(busy_town)("person", "erase", "ada@example.org")
    assert await busy_town.value("SELECT email FROM person WHERE id = 1") == "Ada@example.org"


async def test_erase_then_show(busy_town, beside):
    said = await beside(busy_town)("person", "erase", "tim@example.org", "--yes")
    assert (said.code, said.out.splitlines()[-1]) == (0, "person 4 of main is erased")
    shown = await beside(busy_town, width=200)("person", "show", "tim@example.org")
    assert "erased 2026-03-03" in shown.out
    assert "tim" not in shown.out
    again = await beside(busy_town)("person", "erase", "4", "--by", "id", "--yes")
    assert "they were already" in again.out
    await busy_town.books_are_clean()


async def test_two_are_made_one_and_parted_again(busy_town, beside):
    said = await beside(busy_town)("person", "merge", "1", "2")
    assert said.code == 0
    assert said.out.endswith("person 2 of main is person 1 now; `tillbell person unmerge 1` takes it back\n")
    shown = (await beside(busy_town, width=200)("person", "show", "1", "--by", "id")).out
    assert "merge 1 of " in shown
    assert ": one with person 2 by hand" in shown
    assert "known as customer 7 since" in shown
    parted = await beside(busy_town)("person", "unmerge", "1")
    assert parted.out.endswith("person 1 and person 2 of main are two again\nrecovery 2 of person 2 goes on\n")
    assert ", parted " in (await beside(busy_town, width=200)("person", "show", "1", "--by", "id")).out
    with pytest.raises(ConfigurationError, match="taken back already"):
        await beside(busy_town)("person", "unmerge", "1")
    with pytest.raises(ConfigurationError, match="is one already"):
        await beside(busy_town)("person", "merge", "1", "1")
    with pytest.raises(ConfigurationError, match="nothing is held about"):
        await beside(busy_town)("person", "merge", "1", "nobody@example.org")
