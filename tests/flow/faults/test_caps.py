"""Caps hold whatever their size, and however many claims are made at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from daemon.flow import deliver
from rules.policy import CapWords

from .test_one_claim import REACHABLE

MORE = """
WITH more AS (
    INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal,
        started_at)
    SELECT shop_id, cart_id, i, person_id, policy_hash, policy_name, held_out, rehearsal, started_at
    FROM recovery, generate_series(2, $1) AS i
    RETURNING shop_id, id, person_id
)
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, consent_id, planned_at, not_before, not_after, content, prepared_at)
SELECT m.shop_id, more.id, m.person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis, basis_evidence,
    consent_id, planned_at, not_before, not_after, content, prepared_at
FROM message m JOIN more ON more.person_id = m.person_id
"""
CLAIMS, HANDS, PEOPLE, EACH, FEW = 1008, 24, 50, 20, 5
WAYS = ("email", "sms", "webpush")


async def crowd(stage: Any, people: int, each: int, cap: str) -> None:
    """So many persons with so many messages each, all due, as programmes beside each other will have."""
    await stage.prepared(people)
    await stage.context.pool.execute("DROP INDEX recovery_one_open_per_person")
    await stage.context.pool.execute(MORE, each)
    await stage.context.pool.execute("UPDATE message SET not_after = not_before + interval '40 days'")
    book, caps = stage.context.keeper.book, CapWords.model_validate({"any": cap})
    main = tuple(policy.altered(caps=caps) for policy in book.policies_by_shop["main"])
    stage.context.keeper.book = replace(book, policies_by_shop={"main": main})


@pytest.mark.long
async def test_a_thousand_claims_side_by_side_exceed_no_cap(make_stage):
    """A thousand claims, twenty-four at any moment, on three channels, each hand with connections of its own. Each
    channel has a few before they begin: who gets how many of the rest is chance."""
    stage = await make_stage()
    await crowd(stage, PEOPLE, EACH, "2 per 7d")
    now = await stage.now()
    await stage.context.pool.execute(REACHABLE, now)
    await stage.context.pool.execute("UPDATE message SET channel = ($1::text[])[id % 3 + 1]", [*WAYS])
    hands = [await stage.beside(2) for _ in range(HANDS)]
    for channel in WAYS:
        stage.context.channels[channel] = stage.context.channels["email"]  # nothing is handed over here
    asked: Counter[str] = Counter()

    async def claims(number: int, times: int, most: int) -> None:
        for _ in range(times):
            _, taken = await deliver.claim(hands[number], stage.shop_id, WAYS[number % 3], now, most)
            asked.update(claims=1, taken=len(taken))

    for number in range(len(WAYS)):
        await claims(number, 1, FEW)
    await asyncio.gather(*(claims(number, CLAIMS // HANDS, 20) for number in range(HANDS)))
    while await stage.value("SELECT count(*) FROM message WHERE state = 'prepared'"):
        for number in range(len(WAYS)):  # what nobody else holds any more
            await claims(number, 1, 20)
    sent = await stage.fetch("SELECT person_id, count(*) FROM message WHERE sending_at IS NOT NULL GROUP BY 1")
    assert asked["claims"] >= CLAIMS
    assert asked["taken"] == 2 * PEOPLE
    assert (len(sent), {count for _, count in sent}) == (PEOPLE, {2})
    assert await stage.value("SELECT count(DISTINCT channel) FROM message WHERE state = 'sending'") == 3
    await stage.no_deadlocks()


async def test_a_cap_of_more_than_two_hundred_binds(make_stage):
    stage = await make_stage()
    await crowd(stage, 1, 260, "250 per 7d")
    now = await stage.now()
    await stage.context.pool.execute(
        "UPDATE message SET state = 'accepted', fence = id, sending_at = $1::timestamptz - id * interval '1 minute', "
        "accepted_at = $1 WHERE id IN (SELECT id FROM message ORDER BY id LIMIT 248)",
        now,
    )
    while await stage.value("SELECT count(*) FROM message WHERE state = 'prepared'"):
        await deliver.claim(stage.context, stage.shop_id, "email", now, 20)
    assert await stage.states() == {"accepted": 248, "sending": 2, "planned": 10}
    assert await stage.value("SELECT array_agg(DISTINCT reason) FROM message WHERE state = 'planned'") == ["cap"]
