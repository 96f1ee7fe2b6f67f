"""`tillbell doctor`: what an operator reads, on a terminal and in a pipe."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from daemon.cli.doctor import show
from daemon.doctor.reason import Reason
from daemon.errors import ConfigurationError

REASONS = [
    Reason("dkim", "which key the relay signs with is not known", "look into a received mail", amiss=False),
    Reason("relay", "the relay mx:587 cannot be used: no connection", "see TILLBELL_SMTP_*"),
    Reason("spf", "shop [example] has no SPF record"),
]


def shown(width: int, *, terminal: bool, reasons=tuple(REASONS)) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None, highlight=False, markup=False)
    show(console, reasons)
    return out.getvalue()


def test_in_a_pipe_each_finding_is_one_line_without_colour():
    assert shown(40, terminal=False).splitlines() == [
        "note: dkim: which key the relay signs with is not known; look into a received mail",
        "finding: relay: the relay mx:587 cannot be used: no connection; see TILLBELL_SMTP_*",
        "finding: spf: shop [example] has no SPF record",
        "2 findings",
    ]


def test_on_a_narrow_terminal_findings_come_first_and_fold():
    lines = shown(44, terminal=True).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 44
    assert [line.split()[0] for line in lines if line[:1].strip()] == ["relay", "spf", "dkim", "2"]
    assert any("→ see TILLBELL_SMTP_*" in line for line in lines)


def test_all_is_well():
    assert shown(80, terminal=True, reasons=()) == "all is well\n"


async def test_offline_says_so_and_it_is_no_finding(town, beside):
    said = await beside(town)("doctor", "--offline", "--json")
    told = json.loads(said.out)
    assert {"the relay was not asked", "the DNS about shop.example was not asked"} <= {
        one["text"] for one in told["notes"]
    }
    assert said.code == 1
    about = {one["about"] for one in told["findings"]}
    assert about <= {"events", "one-click", "unsubscribe"}, told["findings"]


async def test_it_asks_the_relay_and_says_what_never_came(town, beside, monkeypatch):
    async def nobody(*_: object) -> list[str]:
        return []

    monkeypatch.setattr("daemon.doctor.names.Names.texts", nobody)
    monkeypatch.setattr("daemon.doctor.names.Names.hosts", nobody)
    monkeypatch.setattr("daemon.doctor.names.Names.addresses", nobody)
    said = await beside(town)("doctor", "--shop", "main")
    assert said.code == 1
    assert "finding: events: shop main: order.placed has never come" in said.out
    assert "finding: spf: shop.example has no SPF record" in said.out
    assert "cannot be used" not in said.out
    assert town.letters.taken == []


async def test_a_shop_that_is_not_there(town, beside):
    with pytest.raises(ConfigurationError, match="there is no shop"):
        await beside(town)("doctor", "--shop", "elsewhere", "--offline")


async def test_only_steps_that_send_mails_are_looked_at_as_mails(make_town, beside):
    policy = """
extends: default
steps:
  - {name: remind, after: 1h}
  - {name: nudge, send: sms, after: 7h}
  - {name: glance, send: webpush, after: 9h}
"""
    said = await beside(await make_town(policies={"main": policy}))("doctor", "--offline", "--json")
    assert [one["text"] for one in json.loads(said.out)["findings"] if one["about"] == "mail"] == []
