"""How the database is spoken to."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.shops.base import ShopUnavailable
from daemon.shops.dialects import DIALECTS
from daemon.shops.dialects.dialect import PARTS
from daemon.shops.oscommerce_db import BRACES, QUERIES, queries, spread, wall

Make = Callable[..., Awaitable[Any]]


def test_no_value_enters_a_statement() -> None:
    statement, values = spread("id IN %(ids)s AND name = %(name)s", {"ids": [3, 5], "name": "x'; --"})
    assert statement == "id IN (%(ids_0)s, %(ids_1)s) AND name = %(name)s"
    assert values == {"ids_0": 3, "ids_1": 5, "name": "x'; --"}
    assert spread("id IN %(ids)s", {"ids": ()}) == ("id IN (%(ids_0)s)", {"ids_0": None})


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=sorted(DIALECTS))
def test_a_dialect_fills_every_gap_it_knows(dialect: Any) -> None:
    """No misspelt part, no misspelt table: whatever a dialect tells is asked for by some query."""
    asked = set(BRACES.findall(QUERIES.read_text()))
    assert dialect.parts.keys() <= asked
    assert PARTS.keys() <= asked
    assert dialect.tables.keys() <= asked
    known = queries(dialect, "zen_")
    assert not any("{" in sql.replace("'{'", "") for sql in known.values())
    assert ("combis" in known, "recipients" in known) == (dialect.options == "combis", dialect.recipients != "none")
    assert "`zen_orders`" in known["orders_between"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-10-17 12:30:05", datetime.fromisoformat("2026-10-17 12:30:05")),
        ("2026-10-17", datetime.fromisoformat("2026-10-17")),
        ("0000-00-00 00:00:00", None),
        ("0000-00-00", None),
        ("0001-01-01", None),
        ("1000-01-01 00:00:00", None),
        ("2026-02-31 00:00:00", None),
    ],
)
def test_wall(written: str, expected: datetime | None) -> None:
    assert wall(written) == expected


async def until(shop: Any, question: str, expected: int) -> bool:
    """Whether the server comes to that count soon; each question is a round trip."""
    end = time.monotonic() + 60
    while (found := (await shop.run(question))[0][0]) != expected and time.monotonic() < end:
        pass
    return bool(found == expected)


async def test_a_slow_statement_is_given_up_by_both_sides(pretend: Make) -> None:
    """By us at once and by the server too, or it would go on for nobody; the next question has a fresh connection."""
    shop = await pretend("modified")
    connector = shop.connector(patience=1)
    began = time.monotonic()
    with pytest.raises(ShopUnavailable, match=r"did not answer within 1 s|longer than `patience`"):
        await connector.db.probe("SELECT SLEEP(30)")
    assert time.monotonic() - began < 25
    connector.db.patience = 60
    assert (await connector.carts("", 1, datetime(2026, 10, 17, tzinfo=UTC))).carts == ()
    sleeping = (
        f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{shop.account}' AND INFO LIKE '%SLEEP%'"
    )
    assert await until(shop, sleeping, 0), "the server goes on with it"


@pytest.mark.parametrize(
    ("settings", "number", "word"),
    [
        pytest.param({"password": "wrong-secret"}, 1045, "password", id="wrong password"),
        pytest.param({"user": "nobody_here"}, 1045, "user", id="unknown user"),
        pytest.param({"database": "elsewhere"}, 1044, "database", id="another database"),
        pytest.param({"unix_socket": "/nowhere"}, 2003, "unix_socket", id="nobody answers"),
        pytest.param({"unix_socket": "", "host": "127.0.0.1", "port": 9}, 2003, "host", id="nobody answers by TCP"),
        pytest.param({"dialect": "zencart2"}, 1143, "grant", id="another dialect"),
    ],
)
async def test_an_error_says_what_to_mend_and_no_secret(pretend: Make, settings: dict, number: int, word: str) -> None:
    shop = await pretend("modified")
    await shop.basket(await shop.customer(), await shop.product())
    connector = shop.connector(**settings)
    with pytest.raises(ShopUnavailable) as error:
        await connector.carts("", 1, datetime(2026, 10, 17, tzinfo=UTC))
    assert f"MySQL error {number}" in str(error.value)
    assert word in str(error.value)
    assert error.value.__cause__ is None
    shown = f"{error.value!r} {connector!r} {connector.config!r} {vars(connector)!r}"
    assert "wrong-secret" not in shown
    assert "hunter2" not in shown
    health = await connector.health(datetime(2026, 10, 17, tzinfo=UTC))
    assert health.findings
    assert health.reachable is ("dialect" in settings)


async def test_connections_are_let_go(pretend: Make) -> None:
    shop = await pretend("modified")
    connector = shop.connector()
    await connector.products(["1"], "en")
    of_ours = f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{shop.account}'"
    ((open_,),) = await shop.run(of_ours)
    assert open_ == 1
    await connector.close()
    assert await until(shop, of_ours, 0)
    assert await connector.products(["1"], "en") == {}, "and it can be asked again"
