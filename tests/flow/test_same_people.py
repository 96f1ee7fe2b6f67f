"""Whatever comes first of a customer, they come to be the same people; and parting undoes what merging did.

An account may be told of without its address at first; in the end the shop tells it.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.context import Context
from daemon.flow import keep, merging
from daemon.settings import Settings
from daemon.shops.base import CartSnapshot, Customer, Line, OrderSnapshot
from daemon.store.database import Connection, connect_pool
from daemon.tokens import Secrets

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADDRESS = {"1": "ada@example.org", "2": "bob@example.org"}
"""The address of each account: as in every shop, no two accounts have the same."""
WHO = [*((ref, ADDRESS[ref]) for ref in ADDRESS), ("", ADDRESS["1"]), ("", ADDRESS["2"]), ("", "eve@example.org")]


def cart(number: int, ref: str, email: str) -> CartSnapshot:
    who = Customer(ref=ref, email=email, phone="+4915112345678", is_guest=not ref)
    return CartSnapshot(f"c{number}", who, (Line("A", "Boots", Decimal(1), Decimal(20)),), "EUR", Decimal(20))


def order(number: int, ref: str, email: str) -> OrderSnapshot:
    return OrderSnapshot(
        ref=f"o{number}", placed_at=NOW, status="paid", standing="purchase", total=Decimal(9), currency="EUR",
        customer_ref=ref, email=email, phone="+4915112345678",
    )  # fmt: skip


arrivals = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["cart", "order"]), st.sampled_from(WHO)),
        st.tuples(st.just("cart"), st.sampled_from([("1", ""), ("2", "")])),
    ),
    min_size=2,
    max_size=6,
)


async def lives(context: Context, db: Connection, story: list[tuple[int, str, tuple[str, str]]]) -> int:
    """A shop to which these arrive in this order: its number."""
    name = f"s{len(context.shop_ids)}"
    shop_id: int = await db.fetchval("INSERT INTO shop (name, added_at) VALUES ($1, now()) RETURNING shop_id", name)
    context.shop_ids[name] = shop_id
    context.keeper.book.shops[name] = cast("Any", SimpleNamespace(holdout=0.5, country=""))
    for number, what, who in story:
        look = keep.Look(NOW, number, pushed=True)
        if what == "cart":
            await keep.keep_carts(context, db, shop_id, [cart(number, *who)], look)
        else:
            await keep.keep_orders(context, db, shop_id, [order(number, *who)], look)
    return shop_id


async def people(db: Connection, shop_id: int) -> set[frozenset[str]]:
    """Each person as what is theirs."""
    rows = await db.fetch(
        "SELECT person_id, 'cart ' || ref AS thing FROM cart WHERE shop_id = $1 UNION ALL "
        "SELECT person_id, 'order ' || ref FROM shop_order WHERE shop_id = $1 UNION ALL "
        "SELECT person_id, kind || ' ' || value FROM identity WHERE shop_id = $1",
        shop_id,
    )
    mine: dict[int, set[str]] = {}
    for row in rows:
        mine.setdefault(row["person_id"], set()).add(row["thing"])
    return {frozenset(things) for things in mine.values()}


async def rows(db: Connection, shop_id: int) -> list[str]:
    """All that says who is who."""
    found = []
    for table in ("person", "identity", "cart", "shop_order", "consent"):
        found += await db.fetch(
            f"SELECT (to_jsonb(t) - 'facts_no')::text AS row FROM {table} t WHERE shop_id = $1", shop_id
        )
    return sorted(row["row"] for row in found)


async def test_any_order_of_arrival_gives_the_same_people_and_parting_them_undoes_it(database: str) -> None:
    pool = await connect_pool(database, 1)
    context = Context(
        settings=Settings(),
        pool=pool,
        secrets=Secrets(1, {1: b"x" * 32}),
        pepper=b"p" * 32,
        data_dir=Path("/nowhere"),
        keeper=cast("Any", SimpleNamespace(book=SimpleNamespace(shops={}))),
        process="t",
    )
    stories: list[tuple[list[Any], list[Any]]] = []

    @settings(max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(arrivals.flatmap(lambda told: st.tuples(st.just(told), st.permutations(range(len(told))))))
    def collect(case: tuple[list[tuple[str, tuple[str, str]]], list[int]]) -> None:
        told, places = case
        one = [(number, *what) for number, what in enumerate(told, start=1)]
        last = [(99 + no, "cart", (ref, address)) for no, (ref, address) in enumerate(ADDRESS.items())]
        stories.append(([*one, *last], [*[one[place] for place in places], *last]))

    collect()
    merged = 0
    for one, other in stories:
        async with pool.acquire() as db, db.transaction():
            here, there = await lives(context, db, one), await lives(context, db, other)
            assert await people(db, here) == await people(db, there), (one, other)
            merged += await db.fetchval("SELECT count(*) FROM merge WHERE shop_id = $1", here)
            alive = "SELECT id FROM person WHERE shop_id = $1 AND merged_into IS NULL ORDER BY id"
            ids = [row["id"] for row in await db.fetch(alive, here)]
            before = await rows(db, here)
        for older, younger in itertools.pairwise(ids):
            number = await merging.by_hand(pool, here, older, younger, 0.5, NOW)
            await merging.undo(pool, here, number, NOW)
            assert await rows(cast("Any", pool), here) == before
    await pool.close()
    assert merged > 5, "too few of them turned out to be one"
