"""What nobody confirmed in seven days is deleted, and with it whoever was known by nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from daemon.flow import optin
from daemon.flow.consents import Proof
from daemon.shops.base import Customer
from daemon.store import optins

FORM = Proof("form", wording="Ja, schreiben Sie mir.", source_url="https://shop.example/news", ip="203.0.113.7")


async def test_a_stranger_who_never_confirmed_is_gone_and_a_customer_stays(town):
    await town.leaves_cart("c1", Customer("7", "ada@example.org"), "red")
    for name in ("ada", "eve", "zoe"):
        asker = Customer(email=f"{name}@example.org")
        assert await optin.request(town.context, town.shop_id, asker, ["email_mkt"], FORM, await town.now()) == "asked"
    await town.settles()
    [mail] = town.letters.of("zoe@example.org")
    token = re.findall(r"/y/([A-Za-z0-9_-]{40})", mail.get_body(("plain",)).get_content())[0]
    assert (await optin.confirm(town.context, token, FORM))[0] == "confirmed"
    await town.passes(days=6, hours=23)
    assert await town.value("SELECT count(*) FROM opt_in") == 3
    await town.passes(hours=2)
    people = await town.fetch("SELECT email FROM person ORDER BY email")
    assert [row["email"] for row in people] == ["ada@example.org", "zoe@example.org"]
    assert [row["state"] for row in await town.fetch("SELECT state FROM opt_in")] == ["confirmed"]
    words = await town.fetch(
        "SELECT p.email, k.state, k.ip_net, k.source_url FROM consent k "
        "JOIN person p ON p.id = k.person_id ORDER BY k.id"
    )
    network, page = "203.0.113.0/24", "https://shop.example/news"
    assert [tuple(row) for row in words] == [
        ("ada@example.org", "requested", "", ""),
        ("zoe@example.org", "requested", network, page),
        ("zoe@example.org", "confirmed", network, page),
    ]
    assert await town.value("SELECT count(*) FROM identity WHERE value = 'eve@example.org'") == 0
    await town.books_are_clean()


async def test_whoever_is_known_by_any_table_is_no_stranger(db):
    sql = Path(optins.__file__).with_suffix(".sql").read_text("utf-8")
    asked = sql[sql.index("-- name: delete_strangers") : sql.index("-- name: of_token^")]
    rows = await db.fetch(
        "SELECT DISTINCT table_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND column_name = 'person_id'"
    )
    by_recovery = {"message", "event", "event_default"}
    for table in {row["table_name"] for row in rows} - by_recovery:
        assert re.search(rf"FROM {table} ", asked), table
