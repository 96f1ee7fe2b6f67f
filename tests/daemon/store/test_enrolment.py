"""What enrolment answers to each cart that is due: one statement for all of them, one reason for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from daemon.store import enrolment
from daemon.store.database import connect_pool
from daemon.store.enrolment import Judged
from rules.enrolment import EnrolmentTerms

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERMS = EnrolmentTerms(
    name="main",
    hash="h",
    rests_for=HOUR,
    not_older_than=timedelta(days=3),
    total_at_least=None,
    currency="",
    existing_customers_only=False,
    again_after=timedelta(days=14),
    has_condition=False,
    never_like=(),
    never_groups=(),
)
ADD_PERSON = """
INSERT INTO person (shop_id, email, email_hmac, customer_group, may_be_written_to, active_at, split_key, created_at,
    written_to_elsewhere_at)
VALUES (1, $1, $1::text::bytea, $2, $3, $4, $5, '2026-01-01', $6) RETURNING id
"""
ADD_CART = """
INSERT INTO cart (shop_id, ref, person_id, stage, currency, total, fingerprint, read_hash, first_seen_at, changed_at,
    still_since, seen_at, look_at)
VALUES (1, $1, $2, $3, 'EUR', $4, '', '', $5, $5, $5, $5, $5) RETURNING id
"""
ADD_ORDER = """
INSERT INTO shop_order (shop_id, ref, cart_ref, person_id, placed_at, status, standing, total, currency, first_seen_at,
    seen_at)
VALUES (1, $1, $2, $3, $4, 'paid', $5, 20, 'EUR', $4, $4)
"""
ADD_RECOVERY = """
INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal, started_at,
    state, ended_at, end_reason)
VALUES (1, $1, $2, $3, 'h', 'main', false, $4, $5::timestamptz, $6::text,
    CASE WHEN $6::text = 'ended' THEN $5 + interval '1 hour' END, CASE WHEN $6::text = 'ended' THEN 'expired' END)
"""


@pytest.fixture
async def db(database: str) -> Any:
    """A connection as the daemon has them, with a shop and a policy."""
    pool = await connect_pool(database, 1)
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO shop (name, added_at) VALUES ('main', '2026-01-01')")
        await connection.execute(
            "INSERT INTO policy VALUES (1, 'h', 'main', '{}', now()), (1, 'i', 'other', '{}', now())"
        )
        yield connection
    await pool.close()


async def person(db: asyncpg.Connection, email: str | None = "ada@example.org", **is_: Any) -> int:
    known = {"group": "", "may": True, "active_at": None, "split_key": 0.5, "elsewhere": None} | is_
    return await db.fetchval(ADD_PERSON, email, *known.values())


async def cart(
    db: asyncpg.Connection,
    owner: int | None,
    ref: str = "a",
    *,
    ago: timedelta = 2 * HOUR,
    total: int = 20,
    stage: str = "cart",
) -> int:
    return await db.fetchval(ADD_CART, ref, owner, stage, total, NOW - ago)


async def order(
    db: asyncpg.Connection, owner: int, ago: timedelta, cart_ref: str = "", standing: str = "purchase"
) -> None:
    await db.execute(ADD_ORDER, f"{ago}{cart_ref}", cart_ref, owner, NOW - ago, standing)


async def recovery(
    db: asyncpg.Connection, cart_id: int, owner: int, ago: timedelta, *, state: str = "ended", rehearsal: bool = False
) -> None:
    await db.execute(ADD_RECOVERY, cart_id, 1, owner, rehearsal, NOW - ago, state)


async def enrolled(
    db: asyncpg.Connection,
    *terms: EnrolmentTerms,
    answers: Mapping[tuple[int, str], bool] | None = None,
    holdout: float = 0.0,
    most: int = 100,
) -> Sequence[Judged]:
    return await enrolment.enrol(
        db, 1, terms or [TERMS], NOW, holdout=holdout, rehearsal=False, most=most, answers=answers or {}
    )


async def of_cart(db: asyncpg.Connection, cart_id: int) -> tuple[str, datetime | None]:
    row = await db.fetchrow("SELECT answer, look_at FROM cart WHERE id = $1", cart_id)
    return row["answer"], row["look_at"]


CHEAP = replace(TERMS, total_at_least=Decimal(50), currency="EUR")
FOREIGN = replace(TERMS, total_at_least=Decimal(5), currency="CHF")
REGULARS = replace(TERMS, existing_customers_only=True)
NEVER = replace(TERMS, never_like=("x", "%@example.org"), never_groups=("Staff",))


@pytest.mark.parametrize(
    ("who", "what", "terms", "answer"),
    [
        pytest.param({}, {}, TERMS, "enrolled", id="a cart at rest is followed up"),
        pytest.param({"email": None}, {}, TERMS, "no: there is nobody to write to", id="no address"),
        pytest.param({"may": False}, {}, TERMS, "no: this customer is not written to", id="a blocked customer"),
        pytest.param({}, {"ago": HOUR / 2}, TERMS, "", id="not at rest yet"),
        pytest.param({"active_at": NOW - HOUR / 2}, {}, TERMS, "", id="the customer is on the site"),
        pytest.param({}, {"stage": "payment"}, TERMS, "later: a payment is under way", id="paying"),
        pytest.param({}, {"ago": 4 * 24 * HOUR}, TERMS, "no: found too late", id="an old cart"),
        pytest.param({}, {}, CHEAP, "no: the total is below what the policy asks for", id="too little"),
        pytest.param({}, {"total": 60}, CHEAP, "enrolled", id="enough"),
        pytest.param({}, {}, FOREIGN, "no: another currency than the policy asks for", id="other money"),
        pytest.param({}, {}, REGULARS, "no: has not bought here before", id="a stranger"),
        pytest.param({"group": "Staff"}, {}, NEVER, "no: this customer group is not written to", id="staff"),
        pytest.param({"email": "Ada@Example.org"}, {}, NEVER, "no: this address is never written to", id="never"),
        pytest.param(
            {"elsewhere": NOW - HOUR}, {}, TERMS, "no: the last recovery of this person is too recent", id="elsewhere"
        ),
    ],
)
async def test_answer(db, who, what, terms, answer):
    cart_id = await cart(db, await person(db, **who), **what)
    await enrolled(db, terms)
    told, look_at = await of_cart(db, cart_id)
    assert told == answer
    assert (look_at is not None) == (answer == "" or answer.startswith("later"))
    assert await db.fetchval("SELECT count(*) FROM recovery") == (answer == "enrolled")


async def test_cart_of_nobody(db):
    cart_id = await cart(db, None)
    await enrolled(db)
    assert await of_cart(db, cart_id) == ("no: there is nobody to write to", None)


@pytest.mark.parametrize(
    ("ago", "cart_ref", "standing", "answer"),
    [
        pytest.param(HOUR, "", "purchase", "no: bought", id="bought since"),
        pytest.param(HOUR, "a", "purchase", "no: bought", id="the cart became an order"),
        pytest.param(24 * HOUR, "", "purchase", "enrolled", id="bought before"),
        pytest.param(HOUR, "", "failed", "enrolled", id="the payment failed"),
    ],
)
async def test_order_decides(db, ago, cart_ref, standing, answer):
    ada = await person(db)
    cart_id = await cart(db, ada)
    await order(db, ada, ago, cart_ref, standing)
    await enrolled(db)
    assert (await of_cart(db, cart_id))[0] == answer


async def test_regular_customer_is_taken_where_only_regulars_are(db):
    ada = await person(db)
    cart_id = await cart(db, ada)
    await order(db, ada, 24 * HOUR)
    await enrolled(db, REGULARS)
    assert (await of_cart(db, cart_id))[0] == "enrolled"


@pytest.mark.parametrize(
    ("started", "state", "rehearsal", "answer"),
    [
        pytest.param(3 * HOUR, "open", False, "later: another cart of this person is being followed up", id="open"),
        pytest.param(3 * HOUR, "open", True, "later: another cart of this person is being followed up", id="rehearsed"),
        pytest.param(24 * HOUR, "ended", False, "no: the last recovery of this person is too recent", id="recent"),
        pytest.param(24 * HOUR, "ended", True, "enrolled", id="a rehearsal does not count"),
        pytest.param(15 * 24 * HOUR, "ended", False, "enrolled", id="long ago"),
    ],
)
async def test_other_cart_of_the_same_person(db, started, state, rehearsal, answer):
    ada = await person(db)
    other = await cart(db, ada, "other", ago=30 * 24 * HOUR)
    await db.execute("UPDATE cart SET look_at = NULL")
    await recovery(db, other, ada, started, state=state, rehearsal=rehearsal)
    cart_id = await cart(db, ada)
    await enrolled(db)
    assert (await of_cart(db, cart_id))[0] == answer


async def test_same_cart_again(db):
    ada = await person(db)
    cart_id = await cart(db, ada)
    await recovery(db, cart_id, ada, HOUR)
    await enrolled(db)
    assert (await of_cart(db, cart_id))[0] == "no: nothing has changed since the last recovery of this cart"
    await db.execute("UPDATE cart SET changed_at = $1, look_at = $1", NOW - HOUR)
    await db.execute("UPDATE recovery SET started_at = $1", NOW - timedelta(days=15))
    await enrolled(db)
    assert await db.fetchval("SELECT array_agg(episode ORDER BY episode) FROM recovery") == [1, 2]


async def test_newest_of_two_carts_is_taken_and_the_other_waits(db):
    ada = await person(db)
    older, newer = await cart(db, ada, "a", ago=3 * HOUR), await cart(db, ada, "b")
    await enrolled(db)
    assert (await of_cart(db, newer)) == ("enrolled", None)
    waiting = ("later: another cart of this person is being followed up", NOW + timedelta(minutes=30))
    assert await of_cart(db, older) == waiting


async def test_first_policy_that_takes_it_wins_and_the_next_rest_is_the_shortest(db):
    long_rest = replace(TERMS, rests_for=5 * HOUR)
    other = replace(TERMS, name="other", hash="i", rests_for=3 * HOUR)
    cart_id = await cart(db, await person(db))
    await enrolled(db, long_rest, other)
    assert await of_cart(db, cart_id) == ("", NOW + HOUR)
    found = await enrolled(db, replace(other, rests_for=HOUR), TERMS)
    await db.execute("UPDATE cart SET look_at = $1", NOW)
    found = await enrolled(db, long_rest, replace(other, rests_for=HOUR), TERMS)
    assert [(one.word, one.policy) for one in found] == [("take", "other")]


async def test_no_policy_at_all(db):
    cart_id = await cart(db, await person(db))
    await enrolment.enrol(db, 1, [], NOW, holdout=0, rehearsal=False, most=9, answers={})
    assert await of_cart(db, cart_id) == ("no: no policy is for this shop", None)


@pytest.mark.parametrize(
    ("holds", "answer"),
    [
        pytest.param(True, "enrolled", id="the condition holds"),
        pytest.param(False, "no: the policy's condition does not hold", id="it does not"),
    ],
)
async def test_asks_once_and_takes_the_answer(db, holds, answer):
    asking = replace(TERMS, has_condition=True)
    cart_id = await cart(db, await person(db, group="VIP"))
    (asked,) = await enrolled(db, asking)
    assert (asked.word, asked.policy, asked.recovery_id) == ("ask", "main", None)
    assert (asked.row["total"], asked.row["currency"], asked.row["stage"]) == (20, "EUR", "cart")
    assert (asked.row["lines"], asked.row["customer_group"]) == ([], "VIP")
    assert (await of_cart(db, cart_id))[0] == ""
    await enrolled(db, asking, answers={(cart_id, "main"): holds})
    assert (await of_cart(db, cart_id))[0] == answer


async def test_each_cart_is_told_once_with_who_is_held_out(db):
    for number in range(6):
        owner = await person(db, f"p{number}@example.org", split_key=number / 10, may=number != 5)
        await cart(db, owner, f"{number}")
    found = await enrolled(db, holdout=0.2, most=4) + await enrolled(db, holdout=0.2)
    assert sorted(one.held_out for one in found if one.recovery_id) == [False, False, False, True, True]
    assert len({one.cart_id for one in found}) == len(found) == 6
