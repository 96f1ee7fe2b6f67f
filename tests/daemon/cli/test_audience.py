"""Audiences as figures and files."""

import csv
import hashlib
import json
import re

import pytest

from channels.ads.files import FORMS
from daemon.cli.audience import cell, for_people
from daemon.cli.exits import FINDINGS, FINE
from tests.flow.audience_town import POLICY, Stage, platform, shops
from tests.flow.conftest import SHOPS

ROW = {
    "person_id": 7, "customer_ref": "=1+1", "email": "ada@example.org", "phone": "+491701234567", "first_name": '@"x',
    "last_name": "", "since": "2026-03-02", "until": "2026-03-05", "actual": "in",
}  # fmt: skip


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_cell_that_could_be_a_formula_begins_with_an_apostrophe(sign):
    assert cell(f"{sign}cmd") == f"'{sign}cmd"
    assert cell("plain") == "plain"
    assert cell(None) == ""


def test_list_for_people_has_no_formulas_and_every_cell_in_quotes():
    text = for_people([ROW])
    head, row = csv.reader(text.splitlines())
    assert head[:3] == ["person", "customer_ref", "email"]
    assert row[1:4] == ["'=1+1", "ada@example.org", "'+491701234567"]
    assert text.splitlines()[1].startswith('"7","\'=1+1"')


def test_list_for_a_platform_is_raw():
    form = FORMS["google"]
    assert form.write([{"emailAddress": "0" * 64}]) == f"Email,Phone\r\n{'0' * 64},\r\n"


@pytest.fixture
async def stage(make_town):
    """A town with an audience of a hundred and twenty, filled."""
    async with platform("meta") as (made, audience, words):
        stage = Stage(await make_town(shops(SHOPS, words), {"main": POLICY}), made, audience)
        await stage.crowd(120)
        await stage.syncs()
        yield stage


async def test_what_the_commands_tell_of_an_audience(stage, beside, tmp_path):
    command = beside(stage.town)
    said = await command("audience", "list", "--json")
    [size] = json.loads(said.out)["main"]
    assert (said.code, size["wanted"], size["actual"]) == (FINE, 120, 120)
    for form, heading in (("meta", "email,phone"), ("google", "Email,Phone")):
        said = await command(
            "audience", "export", "shoes", "--shop", "main", "--for", form, "--to", str(tmp_path / form)
        )
        lines = (tmp_path / form).read_text().splitlines()
        assert (said.code, lines[0], len(lines)) == (FINE, heading, 121)
        assert "example.org" not in "".join(lines)
        octets = (tmp_path / form).read_bytes()
        assert (octets.isascii(), octets.endswith(b"\r\n")) == (True, True)
        rows = list(csv.DictReader(lines))
        assert {tuple(row) for row in rows} == {tuple(heading.split(","))}
        assert rows[0][heading.split(",")[0]] == hashlib.sha256(b"crowd0@example.org").hexdigest()
        assert all(re.fullmatch("([0-9a-f]{64})?", cell) for row in rows for cell in row.values())
        assert all(any(row.values()) for row in rows)
    status = json.loads((await command("status", "--json")).out)
    assert status["audiences"]["main"][0]["actual"] == 120
    assert "audience shoes: 120 wanted, 120 in it" in (await command("status")).out
    assert "Ad audiences, since they began" in (await command("report")).out
    told = await command("why", "1", "--as", "person")
    assert "in ad audience shoes until 2026-04-01 09:00" in told.out


async def test_short_list_is_no_file_for_a_platform(stage, beside):
    await stage.town.context.pool.execute("DELETE FROM member WHERE person_id > 99")
    said = await beside(stage.town)("audience", "export", "shoes", "--shop", "main", "--for", "meta")
    assert (said.code, said.out) == (FINDINGS, "")


async def test_platform_s_problem_is_told(stage, beside):
    stage.platform.faults.append("471")
    await stage.crowd(5, "more")
    await stage.syncs()
    command = beside(stage.town)
    for words in (("audience", "list"), ("status",)):
        said = await command(*words)
        assert said.code == FINDINGS
        assert "operation_status 471" in said.out
    assert (await command("audience", "sync")).code == FINE
    assert stage.inside() == 125


async def test_audience_is_emptied_by_hand(stage, beside):
    command = beside(stage.town)
    assert (await command("audience", "drop", "shoes", "--shop", "main")).code == FINE
    assert stage.inside() == 0
    said = await command("audience", "drop", "shoes", "--shop", "main", "--forget")
    assert "forgotten, with 120 people" in said.out
    assert await stage.town.value("SELECT count(*) FROM member") == 0


async def test_erased_person_is_removed_from_the_platform_and_then_from_here(stage, beside):
    command = beside(stage.town)
    held = json.loads((await command("person", "export", "crowd7@example.org")).out)["people"][0]["held"]
    [row] = held["member"]
    assert (row["audience"], row["actual"], list(row["keys"])) == ("shoes", "in", ["EMAIL"])
    await command("person", "erase", "crowd7@example.org", "--yes")
    assert await stage.town.value("SELECT end_reason FROM member WHERE NOT wanted") == "erased"
    await stage.town.passes(minutes=15)
    assert stage.inside() == 119
    assert await stage.town.value("SELECT count(*) FROM member") == 119
