"""`tillbell send-test`: one marked mail through the real relay, and what the relay said."""

from __future__ import annotations

import pytest

from daemon.errors import ConfigurationError


async def test_one_marked_mail_leaves(town, beside):
    said = await beside(town)("send-test", "boss@shop.example", "--shop", "main", "--locale", "de")
    assert (said.code, said.out.splitlines()[0][:21]) == (0, "accepted by the relay")
    [(to, mail)] = town.letters.taken
    assert to == "boss@shop.example"
    assert "Probe" in mail["Subject"]
    assert await town.value("SELECT count(*) FROM message") == 0


async def test_what_the_relay_refuses_is_said(town, beside):
    town.letters.refuse["boss@shop.example"] = "550 5.1.1 no such user"
    said = await beside(town)("send-test", "boss@shop.example", "--shop", "main")
    assert said.code == 1
    assert said.out.startswith("not sent, the relay refuses it: ")
    assert "5.1.1" in said.out
    assert "no such user" in said.out


@pytest.mark.parametrize("words", [["--shop", "elsewhere"], ["--shop", "main", "--template", "nothing"]])
async def test_what_is_not_there(town, beside, words):
    with pytest.raises(ConfigurationError, match=r"elsewhere|nothing"):
        await beside(town)("send-test", "boss@shop.example", *words)
    assert town.letters.taken == []
