"""Commands as processes: what they end with, and the sentence they say."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket

import asyncpg
import pytest
from pydantic import SecretStr

from daemon.house import own_version, pepper_of
from daemon.settings import Settings
from tests.conftest import named, on_server
from tests.flow.conftest import POLICY, SHOPS


@pytest.fixture
def settings(database, redis_url, open_folder):
    """Of an installation with one live shop, complete but for the relay."""
    rules = open_folder / "rules"
    rules.mkdir()
    (rules / "shops.yaml").write_text(SHOPS.format(holdout="0%"))
    (rules / "main.yaml").write_text(POLICY)
    return {
        "database_url": database, "redis_url": redis_url, "data_dir": str(open_folder / "data"),
        "rules_dir": str(rules), "listen": "127.0.0.1:0", "private_listen": "127.0.0.1:0",
        "secret": "s" * 40, "pepper": "p" * 40,
    }  # fmt: skip


async def test_version_and_help(typed):
    version, helped, unknown = await asyncio.gather(typed("--version"), typed("--help"), typed("serve"))
    assert (version.code, version.out) == (0, f"{own_version()}\n")
    assert helped.code == 0
    for word in ("run", "check", "why", "pause", "suppress", "report", "settings"):
        assert f" {word} " in helped.out
    assert unknown.code == 2
    assert "serve" in unknown.err
    assert "Traceback" not in unknown.err


async def test_settings_are_shown_without_their_secrets(typed, tmp_path):
    file = tmp_path / "password"
    file.write_text("hush\n")
    known = {"secret": "hush" * 10, "smtp_password_file": str(file), "database_url": "postgresql://u:hush@h/d"}
    shown, told = await asyncio.gather(
        typed("settings", poll_every="90s", **known), typed("settings", "--json", poll_every="90s", **known)
    )
    assert (shown.code, told.code) == (0, 0)
    assert "hush" not in shown.out + shown.err + told.out + told.err
    values = json.loads(told.out)
    assert (values["TILLBELL_POLL_EVERY"], values["TILLBELL_TRUSTED_PROXIES"]) == ("90s", "")
    assert (values["TILLBELL_SMTP_PASSWORD"], values["TILLBELL_PEPPER"]) == ("**********", "")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pol_every": "5m"}, "unknown setting TILLBELL_POL_EVERY; did you mean TILLBELL_POLL_EVERY?"),
        ({"smtp_password_file": "/nowhere"}, "TILLBELL_SMTP_PASSWORD_FILE: No such file or directory: /nowhere"),
    ],
)  # fmt: skip
async def test_settings_that_cannot_be(typed, settings, said):
    ended = await typed("settings", **settings)
    assert (ended.code, ended.out, ended.err) == (78, "", f"{said}\n")


async def test_check_finds_what_is_missing_and_then_is_content(typed, settings, unused_tcp_port):
    missing = await typed("check", **settings)
    assert missing.code == 1
    assert [line for line in missing.out.splitlines() if not line.startswith("note: ")] == [
        'preset default:15:26 steps[0].send: nothing can leave on email in the shop "main": '
        "TILLBELL_SMTP_HOST is not set",
        "TILLBELL_PUBLIC_BASE_URL is not set: links in mails would lead to this machine only",
    ]
    complete = {**settings, "smtp_host": "127.0.0.1", "smtp_tls": "none", "smtp_port": str(unused_tcp_port)}
    content = await typed("check", "--json", public_base_url="https://t.shop.example", **complete)
    assert (content.code, json.loads(content.out)["findings"]) == (0, [])


async def test_check_names_mistakes_in_rules_by_their_place(typed, settings, open_folder):
    (open_folder / "rules" / "main.yaml").write_text("extends: default\nstepps: []\n")
    found = await typed("check", smtp_host="127.0.0.1", public_base_url="https://t.shop.example", **settings)
    assert (found.code, found.out) == (1, 'main.yaml:2:1 stepps: unknown word "stepps"; did you mean "steps"?\n')


async def test_migrate_then_nothing_is_left_to_do(typed, settings, empty_database):
    at = {**settings, "database_url": empty_database}
    one, two, three = await asyncio.gather(*[typed("migrate", **at) for _ in range(3)])
    assert [one.code, two.code, three.code] == [0, 0, 0]
    assert one.out.count("applied") + two.out.count("applied") + three.out.count("applied") > 3
    nothing = "nothing to do: the database has the schema of this version\n"
    assert sorted(said.out == nothing for said in (one, two, three)) == [False, True, True]


async def test_a_database_without_schema_is_a_matter_of_configuration(typed, settings, empty_database):
    ended = await typed("status", **{**settings, "database_url": empty_database})
    assert ended.code == 78
    assert "run `tillbell migrate`" in ended.err


@pytest.mark.parametrize("word", ["status", "migrate"])
async def test_a_database_that_is_away_is_tried_again_later(typed, settings, unused_tcp_port, word):
    ended = await typed(word, **{**settings, "database_url": f"postgresql://x@127.0.0.1:{unused_tcp_port}/y"})
    assert ended.code == 75
    assert "Traceback" not in ended.err
    assert "try again later" in ended.err


async def test_a_database_that_does_not_let_us_in_is_a_matter_of_configuration(typed, settings):
    elsewhere = named(settings["database_url"], "nowhere")
    for ended in await asyncio.gather(
        typed("status", **{**settings, "database_url": elsewhere}),
        typed("status", **{**settings, "database_url": "postgresql://host:port/x"}),
    ):
        assert ended.code == 78
        assert "Traceback" not in ended.err
        assert ended.err.startswith("TILLBELL_DATABASE_URL: ")


async def test_a_dump_is_read_into_another_database(typed, settings, servers, open_folder, database):
    db = await asyncpg.connect(database)
    await db.execute("INSERT INTO shop (name, added_at) VALUES ('kept', now())")
    await db.close()
    file = open_folder / "all.dump"
    assert (await typed("dump", str(file), **settings)).code == 0
    assert file.stat().st_mode & 0o077 == 0
    name = f"tillbell_test_{secrets.token_hex(6)}"
    await on_server(servers.database_url, f"CREATE DATABASE {name} TEMPLATE template0")
    other = named(servers.database_url, name)
    try:
        assert (await typed("load", str(file), **{**settings, "database_url": other})).code == 0
        db = await asyncpg.connect(other)
        assert "kept" in [row["name"] for row in await db.fetch("SELECT name FROM shop")]
        await db.close()
        again = await typed("load", str(file), **{**settings, "database_url": other})
        assert again.code == 78  # never into one that is in use
        assert "Traceback" not in again.err
    finally:
        await on_server(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_port_that_is_taken_is_named(typed, settings):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = await typed("run", **{**settings, "listen": address})
    assert ended.code == 78
    assert f"TILLBELL_LISTEN: {address} cannot be listened on: Address already in use" in ended.err
    assert "Traceback" not in ended.err


async def test_another_pepper_does_not_start(typed, settings, pool):
    await pepper_of(Settings(pepper=SecretStr(settings["pepper"])), pool)
    ended = await typed("run", **{**settings, "pepper": "q" * 40})
    assert ended.code == 78
    assert "the pepper is not the one" in ended.err
    assert "Traceback" not in ended.err


async def test_shell_completion_is_installed_into_the_home(typed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    before = os.environ["HOME"]
    ended = await typed("--install-completion", "--shell", "bash")
    assert ended.code == 0, ended.err
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "tillbell" in path.read_text()]
    assert written, ended.out
    assert os.environ["HOME"] == before
