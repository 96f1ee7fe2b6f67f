"""`tillbell suppress`: who is on the list gets nothing, however they came onto it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cyclopts.exceptions import CycloptsError

from daemon.errors import ConfigurationError
from daemon.flow.blocklists import read_list

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BLOCKS = """\
autoemail_id;customers_id;customers_email;date_block;source;simulation
1;17;ada@example.org;2025-11-03 10:00:00;newsletter;0
2;18;test@example.org;2025-11-03 10:00:00;;1
3;19;nobody;2025-11-03 10:00:00;;0
4;20;bob@example.org;0000-00-00 00:00:00;;0
"""
BOUNCES = """\
"bounce_id","customers_email_address","bounce_type","date_bounce"
1,"ada@example.org","hard","2025-11-03 10:00:00"
2,"bob@example.org","soft","2025-11-03 10:00:00"
3,"eve@example.org","blocked","2025-11-03 10:00:00"
"""
SENDS = """\
autoemail_id,customers_id,customers_email,date_sent,bounce_status,simulation
1,17,ada@example.org,2026-03-02 08:00:00,,0
2,18,bob@example.org,2026-03-01 08:00:00,H,0
3,19,eve@example.org,2026-03-02 08:00:00,,1
"""
PLAIN = "# people who asked\nada@example.org\n\n  Bob@Example.org \nno address\n"
TABLE = "Name;E-Mail;Email\nAda;;ada@example.org\n"


@pytest.fixture
def file(tmp_path):
    def write(text: str | bytes, name: str = "list.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "form", "suppressed", "sent", "problems"),
    [
        pytest.param(BLOCKS, "mailbeez-block", ["ada", "bob"], [], [":4: 'nobody'"], id="blocks of MailBeez"),
        pytest.param(BOUNCES, "mailbeez-bounces", ["ada", "eve"], [], [], id="bounces of MailBeez, the hard ones"),
        pytest.param(SENDS, "mailbeez-tracking", ["bob"], ["ada", "bob"], [], id="last sends of MailBeez"),
        pytest.param(PLAIN, "plain", ["ada", "Bob"], [], [":5: 'no address'"], id="one address a line"),
        pytest.param(TABLE, "plain", ["ada"], [], [], id="a table with a column for it"),
        pytest.param(BLOCKS.replace(";", ","), "mailbeez-block", ["ada", "bob"], [], [":4: "], id="with commas"),
        pytest.param(BLOCKS.replace("\n", "\r\n"), "mailbeez-block", ["ada", "bob"], [], [":4: "], id="from Windows"),
        pytest.param("\ufeff" + BLOCKS, "mailbeez-block", ["ada", "bob"], [], [":4: "], id="from Excel"),
        pytest.param("", "plain", [], [], [], id="nothing in it"),
    ],
)
def test_lists(file, text, form, suppressed, sent, problems):
    reading = read_list(file(text), "auto", NOW)
    assert reading.form == form
    assert [one.address.lower().partition("@")[0] for one in reading.suppressed] == [s.lower() for s in suppressed]
    assert [one.address.partition("@")[0] for one in reading.sent] == sent
    assert len(reading.problems) == len(problems)
    assert all(part in problem for part, problem in zip(problems, reading.problems, strict=True))


def test_what_a_list_says_of_an_entry(file):
    first, second = read_list(file(BLOCKS), "auto", NOW).suppressed
    assert (first.reason, first.at) == ("newsletter", datetime(2025, 11, 3, 10, tzinfo=UTC))
    assert (second.reason, second.at) == ("blocked (MailBeez)", None)


def test_a_time_to_come_is_not_believed(file):
    [one] = read_list(file(BLOCKS.replace("2025-11-03", "2031-01-01")), "auto", NOW).suppressed[:1]
    assert one.at == NOW


@pytest.mark.parametrize("content", [pytest.param(b"\xff\xfe\x00", id="no text"), pytest.param(None, id="no file")])
def test_what_is_no_list(file, tmp_path, content):
    path = tmp_path / "none" if content is None else file(content)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_list(path, "auto", NOW)


def test_of_a_thousand_bad_lines_twenty_are_named(file):
    problems = read_list(file("bad\n" * 1000), "auto", NOW).problems
    assert len(problems) == 21
    assert problems[-1] == "… and more lines like these"


async def test_who_is_added_gets_nothing_more(town, beside, make_buyer):
    command = beside(town)
    await town.leaves_cart("c1", make_buyer("1", email="Ada@Example.org"), "red")
    await town.passes(hours=2)
    said = await command("suppress", "add", "ada@example.org", "new@example.org", "--reason", "asked by phone")
    assert (said.code, said.out) == (0, "2 added\n")
    assert (await command("suppress", "add", "ADA@example.org")).out == "0 added, 1 already on the list\n"
    assert await town.ends() == {"not_allowed": 1}
    await town.passes(days=3)
    assert len(town.letters.taken) == 1

    shown = (await command("suppress", "list")).out
    assert "@" not in shown
    assert "asked by phone" in shown
    listed = json.loads((await command("suppress", "list", "--json")).out)["main"]
    assert sorted((one["reason"], one["person_id"]) for one in listed if one["person_id"]) == [("asked by phone", 1)]
    assert "any more: asked by phone (by hand)" in (await command("why", "c1")).out
    assert "ended: not to be written to" in (await command("why", "c1")).out

    # Taken off the list they can be written to again, if they may be.
    assert (await command("suppress", "remove", "ada@EXAMPLE.org")).out == "1 removed\n"
    assert (await command("suppress", "remove", "ada@example.org")).code == 1
    await town.leaves_cart("c1", make_buyer("1", email="ada@example.org"), "red", "blue")
    await town.passes(days=20)
    await town.leaves_cart("c1", make_buyer("1", email="ada@example.org"), "red")
    await town.passes(hours=2)
    assert len(town.letters.taken) > 1
    await town.books_are_clean()


async def test_a_list_of_another_system_is_taken_over(town, beside, make_buyer, file):
    command = beside(town)
    await town.leaves_cart("c1", make_buyer("1", email="ada@example.org"), "red")
    await town.leaves_cart("c2", make_buyer("2", email="bob@example.org"), "red")
    await town.leaves_cart("c3", make_buyer("3", email="eve@example.org"), "red")

    blocks = await command("suppress", "import", str(file(BLOCKS)), "--shop", "main")
    assert blocks.code == 1  # a line could not be read
    assert blocks.out.splitlines()[0] == "mailbeez-block: 2 addresses suppressed, 0 people rest after their last mail"
    assert ":4: 'nobody' is not an e-mail address" in blocks.out
    sends = await command("suppress", "import", str(file(SENDS)), "--shop", "main", "--form", "mailbeez-tracking")
    assert (sends.code, sends.out) == (
        0, "mailbeez-tracking: 0 addresses suppressed, 2 people rest after their last mail\n"
    )  # fmt: skip
    await town.passes(hours=2)
    assert [to for to, _ in town.letters.taken] == ["eve@example.org"]  # her send was only simulated
    again = await command("suppress", "import", str(file(BLOCKS)), "--shop", "main")
    assert again.out.startswith("mailbeez-block: 0 addresses suppressed")


async def test_who_was_written_to_by_another_system_rests(make_town, beside, make_buyer, file):
    town = await make_town(policies={"main": "extends: default\nstarts: {rests_for: 1h, again_after: 3d}\n"})
    await town.leaves_cart("c1", make_buyer("1", email="ada@example.org"), "red")
    sent = SENDS.splitlines()[0] + f"\n1,17,ada@example.org,{NOW - timedelta(days=2):%Y-%m-%d %H:%M:%S},,0\n"
    await beside(town)("suppress", "import", str(file(sent)), "--shop", "main")
    await town.passes(hours=23)
    assert town.letters.taken == []


@pytest.mark.parametrize(
    "words", [["add", "nonsense"], ["add", "a@example.org", "b"], ["remove", "@"], ["import", "x"]]
)
async def test_what_cannot_be_typed(town, beside, words):
    with pytest.raises(CycloptsError):
        await beside(town)("suppress", *words)
    assert await town.value("SELECT count(*) FROM suppression") == 0


@pytest.mark.parametrize("verb", ["add", "remove"])
async def test_without_an_address_there_is_nothing_to_do_and_that_is_said(typed, verb):
    said = await typed("suppress", verb)
    assert said.code == 2


async def test_who_asks_what_is_held_of_a_suppressed_address_is_told_of_its_hash(busy_town, beside, capsys):
    """Nobody here has it: it came with a list of another system."""
    await beside(busy_town)("suppress", "add", "gone@example.org", "--reason", "left by letter")
    shown, asked = [await beside(busy_town)("person", word, "Gone@example.org") for word in ("show", "export")]
    assert (shown.code, asked.code) == (1, 1)
    said = capsys.readouterr().err
    assert 'nobody is known as "Gone@example.org"; a keyed hash of it keeps main from writing to it' in said
    assert "nothing is held" not in said
    told = json.loads(asked.out)
    assert (told["people"], [row["reason"] for row in told["not_written_to"]]) == ([], ["left by letter"])
