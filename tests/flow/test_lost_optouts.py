"""A backup is restored, and somebody leaves by a mail that was sent after it was made: the operator is told."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import SecretStr

from daemon.embedded.dump import dump, load
from daemon.flow import letterbox
from daemon.run import running
from daemon.store import clock
from daemon.store.database import connect_pool
from tests.conftest import named, on_server
from tests.daemon.conftest import beside, own_logging
from tests.reports import report_on

__all__ = ["beside", "own_logging"]
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
async def restored(town, make_buyer, servers, open_folder):
    """The address of a database that was restored from a backup made before two mails went out; the first house has
    stopped."""
    url = town.context.settings.database_url.get_secret_value()
    for number in ("1", "2"):
        await town.leaves_cart(f"c{number}", make_buyer(number), "red")
    await dump(url, open_folder / "before.sql.gz")
    await town.passes(hours=1, minutes=5)
    for _ in range(3):  # its next heartbeats, at once
        town.context.cut_off = True
        await town.context.may_claim()
    now = await town.now()
    town.context.stopping.set()
    name = f"{url.partition('?')[0].rpartition('/')[2]}_restored"
    await on_server(servers.database_url, f"CREATE DATABASE {name} TEMPLATE template0")
    await load(named(servers.database_url, name), open_folder / "before.sql.gz")
    pool = await connect_pool(named(servers.database_url, name), 1)
    await clock.set_clock(pool, now, Decimal(0))
    await pool.close()
    yield named(servers.database_url, name)
    await on_server(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def on_the_backup(town, url, port):
    """The same house once more, on that database."""
    settings = town.context.settings.model_copy(update={"listen": f"127.0.0.1:{port}", "database_url": SecretStr(url)})
    pool = await connect_pool(url)
    try:
        context = replace(
            town.context, settings=settings, pool=pool, process="after", deliveries={}, rung=set(), reasons=[],
            stopping=asyncio.Event(), bell=asyncio.Event(), cut_off=False,
        )  # fmt: skip
        async with running(context, ""):
            yield replace(town, context=context, public=f"http://127.0.0.1:{port}")
    finally:
        pool.terminate()


async def leaves(town, mail, wish=ONE_CLICK):
    """By the link in the head of the mail, as a mailbox provider does it."""
    token = mail["List-Unsubscribe"].split("/u/")[1][:40]
    async with town.http.post(f"{town.public}/u/{token}", data=wish) as answer:
        return answer.status


async def lost(command):
    """What doctor finds about them, as JSON and as text: (exit code, the finding or None)."""
    said = await command("doctor", "--offline", "--json")
    found = [one for one in json.loads(said.out)["findings"] if one["about"] == "lost"]
    text = await command("doctor", "--offline")
    assert text.code == said.code
    assert [one["text"] for one in found if f"finding: lost: {one['text']}; {one['hint']}" in text.out] == [
        one["text"] for one in found
    ]
    return said.code, found[0]["text"] if found else None


async def test_who_left_by_a_mail_that_the_backup_does_not_know_is_named_until_the_operator_has_seen_to_it(
    town, restored, unused_tcp_port, beside, make_buyer, capsys
):
    [first], [second] = town.letters.of("1@example.org"), town.letters.of("2@example.org")
    async with on_the_backup(town, restored, unused_tcp_port) as again:
        await again.settles()
        command = beside(again, 100_000)
        await command("resume")
        await again.settles()
        assert (await lost(command))[1] is None
        assert await leaves(again, first) == 200
        [told] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[warning")]
        assert "this database does not know the message" in told
        assert "example.org" not in told
        code, text = await lost(command)
        assert code == 1
        assert text.startswith("shop main: 1 person left or complained by mails that this database does not know")
        assert first["Message-ID"].strip("<>") in text

        assert await leaves(again, second) == await leaves(again, second, {"do": "undo"}) == 200
        assert "1 person" in (await lost(command))[1]

        assert "1 added" in (await command("suppress", "add", "1@example.org")).out
        assert (await command("suppress", "settle", first["Message-ID"])).out == "1 settled\n"
        assert (await lost(command))[1] is None
        assert await leaves(again, first) == 200  # a provider tells it twice
        assert (await lost(command))[1] is None

        for number in ("1", "2"):
            await again.leaves_cart(f"later{number}", make_buyer(number), "blue")
        await again.passes(hours=24)
        assert len(town.letters.of("1@example.org")) == 1
        assert len(town.letters.of("2@example.org")) > 1
        assert (await lost(command))[1] is None


async def test_who_complains_about_a_mail_that_the_backup_does_not_know_is_named_as_well(
    town, restored, unused_tcp_port, beside
):
    """By a report that names the mail. That somebody opens such a mail, or it comes back, is no reason."""
    numbers = [int(mail["Message-ID"].split(".")[2]) for _, mail in town.letters.taken]
    async with on_the_backup(town, restored, unused_tcp_port) as again:
        await again.settles()
        for name, number in zip(("complaint", "postfix-unknown-user"), numbers, strict=True):
            raw = report_on(again.context, name, again.shop_id, number)
            await letterbox.keep(again.context, again.shop_id, raw)
        await again.settles()
        _, text = await lost(beside(again, 100_000))
        assert "1 person left or complained" in text
        assert f".{numbers[0]}." in text
        await again.books_are_clean()


async def test_who_leaves_by_a_mail_that_is_known_is_not_lost(town, make_buyer, beside):
    """Nor is somebody who was erased since."""
    for number in ("1", "2"):
        await town.leaves_cart(f"c{number}", make_buyer(number), "red")
    await town.passes(hours=1)
    command = beside(town, 100_000)
    assert (await command("person", "erase", "2@example.org", "--yes")).code == 0
    for _, mail in town.letters.taken:
        assert await leaves(town, mail) == 200
    assert await town.value("SELECT count(*) FROM event WHERE kind = 'unsubscribed'") == 2
    assert (await lost(command))[1] is None


async def test_a_message_id_that_nobody_made_settles_nothing(town, beside):
    from daemon.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="no mail of this installation"):
        await beside(town)("suppress", "settle", "<t.1.7.000000000000@shop.example>")
