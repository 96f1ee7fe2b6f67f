"""`tillbell push-keys`, and what `check` says of pushes that could not leave."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from pydantic import SecretStr

from channels.webpush_bytes import made, signer
from daemon.book import Keeper
from daemon.cli.push import push_keys
from daemon.flow import pushes, writers
from daemon.opening import open_channels
from daemon.settings import Settings
from tests.letters import SHOPS

PUSHES = """
extends: default
steps: [{name: glance, send: webpush, after: 1h}]
without: [remind, doubts, last-call]
"""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """Settings of nobody but this test's."""
    for name in [name for name in os.environ if name.startswith("TILLBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TILLBELL_DATA_DIR", str(tmp_path / "data"))
    return monkeypatch


def told(capsys: Any) -> dict[str, str]:
    """The lines that are settings."""
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_keys_of_the_data_folder_are_made_once_and_told_again(alone, capsys):
    assert push_keys() == 0
    first = told(capsys)
    assert first["TILLBELL_PUSH_CONTACT"] == "mailto:you@shop.example"
    assert push_keys(as_json=True) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["private_key"] == first["TILLBELL_PUSH_PRIVATE_KEY"]
    assert (again["public_key"], again["new"]) == (signer(again["private_key"]).public, False)


def test_with_a_database_of_ones_own_each_call_makes_new_ones_that_work_as_settings(alone, capsys):
    alone.setenv("TILLBELL_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    keys = []
    for _ in range(2):
        push_keys()
        keys.append(told(capsys)["TILLBELL_PUSH_PRIVATE_KEY"])
    assert keys[0] != keys[1]
    alone.setenv("TILLBELL_PUSH_PRIVATE_KEY", keys[0])
    alone.setenv("TILLBELL_PUSH_CONTACT", "mailto:push@shop.example")
    push_keys(as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "private_key": keys[0],
        "public_key": signer(keys[0]).public,
        "contact": "mailto:push@shop.example",
        "new": False,
    }


DATABASE = {"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/none")}
KEY, CONTACT = {"push_private_key": SecretStr(made())}, {"push_contact": "mailto:push@shop.example"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        pytest.param({**DATABASE, **CONTACT}, "`tillbell push-keys` makes one", id="no key"),
        pytest.param({**DATABASE, **KEY}, "TILLBELL_PUSH_CONTACT is not set", id="nobody to reach"),
        pytest.param(
            {**DATABASE, **KEY, "public_base_url": "http://t.shop.example"}, "is no https address", id="not by https"
        ),
        pytest.param({**DATABASE, **KEY, **CONTACT}, "", id="both"),
        pytest.param({**DATABASE, **KEY, "public_base_url": "https://t.shop.example"}, "", id="reached by its address"),
        pytest.param(CONTACT, "", id="the key of the data folder"),
    ],
)
def test_check_says_why_no_push_could_leave_and_the_channel_is_open_if_one_could(tmp_path, settings, why):
    (tmp_path / "shops.yaml").write_text(SHOPS)
    (tmp_path / "main.yaml").write_text(PUSHES)
    keeper = Keeper(tmp_path, os.environ, None)
    chosen = Settings(**settings)
    found = [str(one) for one in writers.mistakes(keeper.book, chosen)]
    assert (pushes.unable(keeper.book.shops["main"], chosen) == "") == (why == "")
    if why:
        assert "main.yaml:3" in found[0]
        assert "nothing can leave on webpush in the shop" in found[0]
        assert why in found[0]
    else:
        assert found == []
    assert ("webpush" in open_channels(chosen, tmp_path / "data")) == (why == "")
