"""Many hands reach for the same message: exactly one gets it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.flow import deliver
from rules.policy import CapWords


@pytest.mark.parametrize(
    ("hands", "rounds"),
    [
        pytest.param(2, 1000, id="two workers, a thousand times", marks=pytest.mark.long),
        pytest.param(4, 1000, id="four workers, a thousand times"),
    ],
)
async def test_one_due_message_is_claimed_once(make_stage, hands, rounds):
    stage = await make_stage()
    await stage.prepared(rounds)
    workers = [await stage.beside(2) for _ in range(hands)]
    now = await stage.now()
    await stage.context.pool.execute(
        "UPDATE message SET not_before = $1::timestamptz + id * interval '1 second' - "
        "(SELECT min(id) FROM message) * interval '1 second'",
        now,
    )
    got: Counter[int] = Counter()
    for number in range(rounds):
        due = now + timedelta(seconds=number)
        async with asyncio.TaskGroup() as at_once:
            tasks = [at_once.create_task(deliver.claim(one, stage.shop_id, "email", due, 1)) for one in workers]
        got.update(claim.id for task in tasks for claim, _ in task.result()[1])
    assert len(got) == rounds
    assert set(got.values()) == {1}
    assert await stage.value("SELECT count(*) FROM attempt") == rounds
    await stage.no_deadlocks()


TEN_EACH = """
WITH more AS (
    INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal,
        started_at)
    SELECT shop_id, cart_id, i, person_id, policy_hash, policy_name, held_out, rehearsal, started_at
    FROM recovery, generate_series(2, 10) AS i
    RETURNING shop_id, id, person_id
)
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, consent_id, planned_at, not_before, not_after, content, prepared_at)
SELECT m.shop_id, more.id, m.person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis, basis_evidence,
    consent_id, planned_at, not_before, not_after, content, prepared_at
FROM message m JOIN more ON more.person_id = m.person_id
"""


async def test_a_thousand_claims_at_once_exceed_no_cap(make_stage):
    """A hundred persons with ten messages each, as programmes beside each other will have; one in twelve hours."""
    stage = await make_stage()
    await stage.prepared(100)
    await stage.context.pool.execute("DROP INDEX recovery_one_open_per_person")
    await stage.context.pool.execute(TEN_EACH)
    assert await stage.states() == {"prepared": 1000}
    now = await stage.now()

    async def claims(context):
        while await stage.value("SELECT count(*) FROM message WHERE state = 'prepared'"):
            await deliver.claim(context, stage.shop_id, "email", now, 20)

    async with asyncio.TaskGroup() as at_once:
        for _ in range(4):
            at_once.create_task(claims(await stage.beside(2)))
    assert await stage.states() == {"sending": 100, "planned": 900}
    assert await stage.value("SELECT count(DISTINCT person_id) FROM message WHERE state = 'sending'") == 100
    assert await stage.value("SELECT array_agg(DISTINCT reason) FROM message WHERE state = 'planned'") == ["cap"]
    await stage.no_deadlocks()


REACHABLE = """
WITH phones AS (
    UPDATE person SET phone = '+4915112345678', phone_hmac = convert_to('phone ' || id, 'UTF8') RETURNING shop_id, id
), browsers AS (
    INSERT INTO subscription (shop_id, person_id, endpoint, endpoint_hmac, p256dh, auth, since, seen_at)
    SELECT shop_id, id, 'https://push.example/' || id, convert_to('push ' || id, 'UTF8'), 'k', 'a', $1, $1 FROM phones
)
INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence)
SELECT shop_id, id, purpose, 'confirmed', $1, $1, 'shop', 'double opt-in'
FROM phones, unnest(ARRAY['sms_mkt', 'push_mkt']) AS purpose
"""


async def test_two_in_a_week_are_two_whatever_their_channel(make_stage):
    """Mails, texts and pushes of the same persons are due at once, and six hands reach for them. One of each is there
    already of whose fate nothing is known."""
    stage = await make_stage()
    await stage.prepared(40)
    pool, now = stage.context.pool, await stage.now()
    await pool.execute("DROP INDEX recovery_one_open_per_person")
    await pool.execute(TEN_EACH)
    await pool.execute(REACHABLE, now)
    await pool.execute("UPDATE message SET channel = (ARRAY['email', 'sms', 'webpush'])[id % 3 + 1]")
    await pool.execute(
        "UPDATE message SET state = 'unknown', sending_at = $1::timestamptz - interval '1 day', fence = id, "
        "reconcile_real = now() + interval '1 day' WHERE id IN (SELECT min(id) FROM message GROUP BY person_id)",
        now,
    )
    asked = Counter()

    async def claims(context, channel):
        context.channels[channel] = context.channels["email"]  # nothing is handed over here
        book = context.keeper.book
        caps = CapWords.model_validate({"any": "2 per 7d"})
        main = tuple(policy.altered(caps=caps) for policy in book.policies_by_shop["main"])
        context.keeper.book = replace(book, policies_by_shop={"main": main})
        due = "SELECT count(*) FROM message WHERE state = 'prepared' AND channel = $1"
        while await stage.value(due, channel):
            found, _ = await deliver.claim(context, stage.shop_id, channel, now, 20)
            asked[channel] += found

    async with asyncio.TaskGroup() as at_once:
        for channel in ("email", "sms", "webpush") * 2:
            at_once.create_task(claims(await stage.beside(2), channel))
    sent = await stage.fetch(
        "SELECT person_id, count(*), count(DISTINCT channel) FROM message WHERE sending_at IS NOT NULL GROUP BY 1"
    )
    assert len(sent) == 40
    assert {count for _, count, _ in sent} == {2}
    # Whichever hand was first: what is unknown is of all three channels, and only one of them can be the hand's own.
    assert 2 in {channels for _, _, channels in sent}
    assert await stage.states() == {"unknown": 40, "sending": 40, "expired": 320}
    reasons = await stage.fetch("SELECT DISTINCT reason FROM message WHERE state = 'expired'")
    assert any(
        "its time is over before this changes: the cap of 2 in 7 days is reached" in row["reason"] for row in reasons
    )
    assert min(asked.values()) > 0
    await stage.no_deadlocks()
