"""An opt-out, a withdrawn consent or an erasure at the very moment of the claim: whoever was first gets no mail."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from daemon.flow import consents, dossier, optout
from daemon.hits import Hit
from tests.flow.faults.waves import FIFTH, NEVER, grace, in_waves

CONNECTIONS = 20
PROVIDER = 0.3
"""Seconds that the relay takes for a mail."""
WINDOW = (-0.05, 0.5)
"""Seconds from a mail's time to when somebody leaves."""
NEAR = 0.5
"""Seconds between a claim and a leave that are told as a race."""
GONE = """
SELECT person_id, min(extract(epoch FROM pg_xact_commit_timestamp(xid::xid)))::float8 FROM (
    SELECT person_id, xid FROM consent WHERE state = 'withdrawn'
    UNION ALL SELECT p.id, s.xid FROM suppression s JOIN person p ON p.email_hmac = s.address_hmac
    UNION ALL SELECT p.id, i.xid FROM identity i JOIN person p ON p.id = i.person_id AND p.erased_at IS NOT NULL
) AS gone GROUP BY person_id
"""
CLAIMS = """
SELECT m.person_id, extract(epoch FROM pg_xact_commit_timestamp(a.xid::xid))::float8 AS at
FROM attempt a JOIN message m ON m.shop_id = a.shop_id AND m.id = a.message_id
"""


async def opts_out(hand, shop_id, person, message, now):
    await optout.settle(hand.pool, Hit(uuid.uuid4(), "unsubscribed", shop_id, message, method="POST"))


async def withdraws(hand, shop_id, person, message, now):
    await consents.withdraw(hand, shop_id, person, ["email_mkt"], "by hand", now)


async def is_erased(hand, shop_id, person, message, now):
    await dossier.erase(hand.pool, hand.pepper, shop_id, person, now)


WAYS = (opts_out, withdraws, is_erased)


async def race(stage, count):
    """Everybody leaves, each in one of three ways, around the moment at which their mail is due."""
    pool = stage.context.pool
    for table in ("attempt", "consent", "suppression", "identity"):
        await pool.execute(f"ALTER TABLE {table} ADD COLUMN xid xid8 DEFAULT pg_current_xact_id()")
    await stage.prepared(count)
    await stage.relay.ask(delay=PROVIDER)
    await pool.execute(NEVER)
    await stage.worker()
    await stage.until(lambda: stage.value("SELECT count(*) > 0 FROM heartbeat"))
    rows = await stage.fetch(
        "SELECT m.id, p.id AS person, p.email FROM message m JOIN person p ON p.id = m.person_id "
        "ORDER BY md5(m.id::text)"
    )
    hand, hands, now = await stage.beside(4), asyncio.Semaphore(3), await stage.now()

    async def leaves(place, row):
        async with hands:
            await WAYS[place % 3](hand, stage.shop_id, row["person"], row["id"], now)

    await in_waves(stage, rows, WINDOW, leaves, lambda: stage.value(f"SELECT count(*) FROM ({GONE}) AS g"))

    async def over():
        return not await stage.value(
            "SELECT count(*) FROM message WHERE state IN ('prepared', 'sending', 'retry_wait')"
        )

    await stage.until(over)
    gone = dict(await stage.fetch(GONE))
    person_of = {row["email"]: row["person"] for row in rows}
    assert set(gone) == set(person_of.values()), "somebody did not leave"
    claims = [row["at"] - gone[row["person_id"]] for row in await stage.fetch(CLAIMS)]
    begun = [at - gone[person_of[address]] for address, at in (await stage.relay.ask("begun"))["begun"]]
    return claims, begun


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(90, id="ninety people"),
        pytest.param(500, id="five hundred people", marks=pytest.mark.long),
    ],
)
async def test_who_leaves_first_gets_no_mail(make_stage, count):
    stage = await make_stage(smtp_connections=str(CONNECTIONS), smtp_to_dot="5s")
    if await stage.value("SHOW track_commit_timestamp") != "on":
        pytest.skip("this server does not keep the time of commits")
    claims, begun = await race(stage, count)
    print(
        len(claims),
        "claims;",
        len([at for at in claims if at > -NEAR]),
        "near; latest",
        max(claims, default=0),
        "; first bytes, latest",
        max(begun, default=0),
    )
    assert [at for at in claims if at > 0] == []
    allowed = await grace(stage)
    assert [at for at in begun if at > allowed] == []
    assert count // FIFTH <= len(claims) < count, "each came first sometimes"
    await stage.no_deadlocks()
    await stage.books_are_clean()
