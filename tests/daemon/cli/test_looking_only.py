"""A command that only looks changes no row, whatever stands in the rule files."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from daemon.errors import ConfigurationError
from daemon.house import house
from daemon.settings import Settings
from tests.flow.conftest import POLICY, SHOPS

LIVE = SHOPS.format(holdout="0%")
REHEARSAL = LIVE.replace("mode: live", "mode: rehearsal")
NEW = LIVE.partition("shops:\n")[2].replace("  main:", "  new:")
LOOKS = {
    "status": 0,
    "why nobody": 1,
    "report": 0,
    "books": 0,
    "check": 1,
    "doctor --offline": 1,
    "person show nobody@example.org": 1,
    "person export nobody@example.org": 1,
    "replies list": 0,
    "replies show 1": 1,
    "suppress list": 0,
    "send-test boss@shop.example --shop main": 1,
    "send-test boss@shop.example --shop new": 1,
}


@pytest.fixture
def chosen(database: str, redis_url: str, open_folder: Any, unused_tcp_port: int) -> Settings:
    """Of an installation that no daemon has served yet; nothing listens where its relay should be."""
    rules = open_folder / "rules"
    rules.mkdir()
    (rules / "shops.yaml").write_text(REHEARSAL)
    (rules / "main.yaml").write_text(POLICY)
    return Settings(
        database_url=SecretStr(database),
        redis_url=SecretStr(redis_url),
        data_dir=open_folder / "data",
        rules_dir=rules,
        smtp_host="127.0.0.1",
        smtp_port=unused_tcp_port,
        smtp_tls="none",
        secret=SecretStr("s" * 40),
        pepper=SecretStr("p" * 40),
    )


def installation(chosen: Settings) -> Any:
    return SimpleNamespace(context=SimpleNamespace(settings=chosen))


async def rows(db: asyncpg.Connection[asyncpg.Record]) -> dict[str, str]:
    """Every table with all its rows and the transaction that wrote each."""
    tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    whole = "SELECT coalesce(string_agg(t.xmin || t::text, ';' ORDER BY t::text), '') FROM {} t"
    return {name: await db.fetchval(whole.format(name)) for (name,) in tables}


async def test_a_mode_that_stands_in_the_file_waits_for_the_daemon(chosen, database, db, beside):
    async with house(chosen, database):
        pass
    (chosen.rules_dir / "shops.yaml").write_text(LIVE + NEW)
    before, command = await rows(db), beside(installation(chosen))
    for words, code in LOOKS.items():
        said = await command(*words.split())
        assert (said.code, await rows(db) == before) == (code, True), (words, said.out)
    assert await db.fetch("SELECT name, mode FROM shop") == [("main", "rehearsal")]
    async with house(chosen, database):
        pass
    assert await db.fetch("SELECT name, mode FROM shop ORDER BY name") == [("main", "live"), ("new", "live")]
    assert await rows(db) != before


async def test_who_looks_is_told_of_the_mode_and_of_the_shop_that_is_new(chosen, database, beside):
    async with house(chosen, database):
        pass
    (chosen.rules_dir / "shops.yaml").write_text(LIVE + NEW)
    command = beside(installation(chosen))
    told = json.loads((await command("doctor", "--offline", "--json")).out)
    assert "shop main: shops.yaml says live, and it is still rehearsal" in [one["text"] for one in told["notes"]]
    assert "shop new: the database does not know it yet" in [one["text"] for one in told["findings"]]
    assert json.loads((await command("check", "--json")).out)["notes"] == [
        "shop new: the database does not know it yet: the daemon makes it known when it starts (`tillbell run`)"
    ]
    with pytest.raises(ConfigurationError, match=r'the shop "new" stands in shops\.yaml and the database does not'):
        await command("report", "--shop", "new")
    with pytest.raises(ConfigurationError, match=r'there is no shop "knew"; there are: main$'):
        await command("report", "--shop", "knew")


async def test_a_database_without_tables_gets_none(chosen, empty_database, beside):
    bare = chosen.model_copy(update={"database_url": SecretStr(empty_database)})
    command = beside(installation(bare))
    told = json.loads((await command("check", "--json")).out)
    assert ["the database has no schema of tillbell yet" in note for note in told["notes"]] == [True]
    assert "tillbell" not in "".join(told["findings"])
    assert (await command("send-test", "boss@shop.example", "--shop", "main")).code == 1
    for words in ("status", "doctor --offline", "why nobody", "books"):
        with pytest.raises(ConfigurationError, match=r"no schema of tillbell yet.*run `tillbell migrate`"):
            await command(*words.split())
    db = await asyncpg.connect(empty_database)
    assert await rows(db) == {}
    await db.close()
