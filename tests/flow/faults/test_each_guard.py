"""The guards of the promise, each by itself and in as few steps as it takes: without it, exactly its test goes red."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from channels.base import Outcome
from daemon.flow import deliver, enrol, ingest, keep, optout, outcomes, stop
from daemon.flow.keep import Look
from daemon.hits import Hit
from daemon.store import decisions, enrolment, messages, work
from daemon.store.database import again
from daemon.store.decisions import Result
from rules.enrolment import terms

SOME = 5
ONE_MORE = """
WITH more AS (
    INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal,
        started_at)
    SELECT shop_id, cart_id, 2, person_id, policy_hash, policy_name, held_out, rehearsal, started_at FROM recovery
    RETURNING shop_id, id, person_id
)
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, consent_id, planned_at, not_before, not_after, content, prepared_at)
SELECT m.shop_id, more.id, m.person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis, basis_evidence,
    consent_id, planned_at, not_before, not_after, content, prepared_at
FROM message m JOIN more ON more.person_id = m.person_id
"""
"""A second recovery of the same person, as programmes beside each other will have."""


async def claimed(stage):
    """What one claim takes, as a channel has it in hand."""
    _, found = await deliver.claim(stage.context, stage.shop_id, "email", await stage.now(), 64)
    return [SimpleNamespace(id=one.id, fence=one.fence, address="p@example.org") for one, _ in found]


async def told(stage, message, state, **more):
    await outcomes.write(stage.context, stage.shop_id, "email", [(message, Outcome(state, **more))])


async def somebody_waits(stage):
    """For a lock that another transaction of this test's database holds."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return await stage.value(waits) > 0


async def test_a_step_that_is_decided_again_is_one_message(make_stage):
    stage = await make_stage()
    await stage.prepared(SOME)
    now = await stage.now()
    await stage.context.pool.execute("UPDATE recovery SET wake_at = $1", now)
    asked = await stage.fetch("SELECT m.*, r.wake_at FROM message m JOIN recovery r ON r.id = m.recovery_id")
    results = [
        Result(
            recovery_id=one["recovery_id"],
            was_wake=one["wake_at"],
            verdict="send",
            because="as if it had never been said",
            questions=[],
            facts={},
            facts_no=one["facts_no"],
            policy_hash=one["policy_hash"],
            step=one["step"],
            channel=one["channel"],
            basis=one["basis"],
            evidence=one["basis_evidence"],
            consent_id=one["consent_id"],
            not_after=one["not_after"],
            state="planned",
        )
        for one in asked
    ]
    async with stage.context.pool.acquire() as db, db.transaction():
        assert len(await decisions.record(db, stage.shop_id, results, now)) == SOME
    assert await stage.value("SELECT count(*) FROM message") == SOME


async def test_two_carts_of_one_person_that_are_taken_at_once_are_one_recovery(make_stage):
    stage = await make_stage()
    now = await stage.now()
    left_at = now - timedelta(hours=2)
    carts = [stage.cart(1, left_at), replace(stage.cart(1, left_at), ref="another")]
    await enrol.resting_carts(stage.context, stage.shop_id, now)  # there is none yet; it keeps the policies
    asked = [terms(policy) for policy in stage.context.keeper.book.policies_by_shop["main"]]

    async def body(db):
        await work.serialise(db, stage.shop_id)
        return await keep.keep_carts(
            stage.context, db, stage.shop_id, carts, Look(left_at, ingest.micros(left_at), pushed=True)
        )

    await again(stage.context.pool, body)
    other = await stage.beside(2)
    async with stage.context.pool.acquire() as db:
        first = db.transaction()
        await first.start()
        await enrolment.enrol(db, stage.shop_id, asked, now, holdout=0, rehearsal=False, most=1, answers={})
        second = asyncio.create_task(enrol.resting_carts(other, stage.shop_id, now))

        async def meets_the_first():
            return second.done() or await somebody_waits(stage)

        await stage.until(meets_the_first)
        await first.commit()
    await second
    assert await stage.value("SELECT count(*) FROM recovery") == 1


async def test_the_word_of_an_older_claim_changes_nothing(make_stage):
    stage = await make_stage()
    await stage.prepared(1)
    [older] = await claimed(stage)
    await told(stage, older, "retry_wait", again_after=timedelta())
    [newer] = await claimed(stage)
    assert newer.id == older.id
    await told(stage, older, "failed")
    assert await stage.states() == {"sending": 1}
    await told(stage, newer, "accepted")
    assert await stage.states() == {"accepted": 1}


async def test_a_lost_claim_is_unknown_and_nobody_claims_it_again(make_stage):
    stage = await make_stage()
    await stage.prepared(SOME)
    assert len(await claimed(stage)) == SOME
    await stage.leases_end()
    await stop.sweep(stage.context, stage.shop_id, await stage.now())
    assert await claimed(stage) == []
    assert await stage.states() == {"unknown": SOME}


async def test_a_message_of_a_recovery_that_is_over_is_cancelled_at_the_gate(make_stage):
    stage = await make_stage()
    await stage.prepared(SOME)
    await stage.context.pool.execute(
        "UPDATE recovery SET state = 'ended', ended_at = $1, end_reason = 'expired', wake_at = NULL", await stage.now()
    )
    assert await claimed(stage) == []
    assert await stage.states() == {"cancelled": SOME}


async def test_a_purchase_between_the_claim_and_the_first_byte_stops_it(make_stage):
    stage = await make_stage()
    await stage.prepared(2)
    taken = await claimed(stage)
    await stage.buys(stage.context, 0)
    buyer = await stage.value(
        "SELECT m.id FROM message m JOIN person p ON p.id = m.person_id WHERE p.customer_ref = 'k0'"
    )
    sender = deliver.delivery(stage.context, stage.shop_id, stage.context.channels["email"])
    assert {one.id: await sender.may_leave(one) for one in taken} == {one.id: one.id != buyer for one in taken}


@asynccontextmanager
async def begun_claim(stage, most):
    """A claim between its locks and its end; how many persons it holds."""
    now = await stage.now()
    async with stage.context.pool.acquire() as db, db.transaction():
        yield len(await messages.due_people(db, stage.shop_id, "email", now, most, None))


async def test_an_opt_out_waits_for_a_claim_that_has_begun(make_stage):
    """So no claim is committed after it. A purchase waits for the same lock."""
    stage = await make_stage()
    await stage.prepared(1)
    other = await stage.beside(2)
    message = await stage.value("SELECT id FROM message")
    async with begun_claim(stage, 64) as held:
        assert held == 1
        hit = Hit(uuid.UUID(int=message), "unsubscribed", stage.shop_id, message)
        opt_out = asyncio.create_task(optout.settle(other.pool, hit))

        async def meets_the_claim():
            return opt_out.done() or await somebody_waits(stage)

        await stage.until(meets_the_claim)
        overtook = opt_out.done()
    assert await opt_out
    assert not overtook
    assert await claimed(stage) == []


async def test_while_a_claim_looks_at_somebody_no_other_takes_another_message_of_theirs(make_stage):
    """Two at once would each count the messages without the other's, and exceed the cap together."""
    stage = await make_stage()
    await stage.prepared(1)
    await stage.context.pool.execute("DROP INDEX recovery_one_open_per_person")
    await stage.context.pool.execute(ONE_MORE)
    async with begun_claim(stage, 1) as held:
        assert held == 1
        assert await claimed(stage) == []
    assert len(await claimed(stage)) == 1


async def test_what_was_decided_on_older_facts_goes_back_and_not_out(make_stage):
    stage = await make_stage()
    await stage.prepared(2)
    await stage.context.pool.execute("UPDATE person SET facts_no = facts_no + 1 WHERE customer_ref = 'k0'")
    assert len(await claimed(stage)) == 1
    assert await stage.states() == {"planned": 1, "sending": 1}
    assert await stage.value("SELECT reason FROM message WHERE state = 'planned'") == "decided on older facts"


async def test_what_was_made_ready_an_hour_ago_is_made_anew(make_stage):
    stage = await make_stage()
    await stage.prepared(2)
    oldest = "(SELECT min(id) FROM message)"
    await stage.context.pool.execute(
        f"UPDATE message SET prepared_at = prepared_at - interval '61 min' WHERE id = {oldest}"
    )
    assert len(await claimed(stage)) == 1
    assert await stage.value("SELECT reason FROM message WHERE state = 'planned'") == "prepared too long ago"


OBJECTIONS = {
    "suppressed": "INSERT INTO suppression (shop_id, channel, address_hmac, reason, source, since) "
    "SELECT shop_id, 'any', email_hmac, 'by hand', 'by hand', $1 FROM person WHERE customer_ref = 'k0'",
    "withdrawn": "INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source) "
    "SELECT shop_id, id, 'email_mkt', 'withdrawn', $1, $1, 'by hand' FROM person WHERE customer_ref = 'k0'",
    "not to be written to": "UPDATE person SET may_be_written_to = $1::timestamptz IS NULL WHERE customer_ref = 'k0'",
}


@pytest.mark.parametrize("objection", OBJECTIONS.values(), ids=OBJECTIONS)
async def test_whoever_objects_between_the_claim_and_the_first_byte_is_not_written_to(make_stage, objection):
    """Each word for itself, though mostly it ends the recovery as well."""
    stage = await make_stage()
    await stage.prepared(2)
    taken = [(one.id, one.fence) for one in await claimed(stage)]
    await stage.context.pool.execute(objection, await stage.now())
    theirs = await stage.value(
        "SELECT m.id FROM message m JOIN person p ON p.id = m.person_id AND p.customer_ref = 'k0'"
    )
    wanted = await messages.still_wanted(stage.context.pool, stage.shop_id, taken)
    assert wanted == {number for number, _ in taken} - {theirs}


async def test_what_may_have_been_taken_counts_for_the_caps(make_stage):
    """Nobody knows whether it arrived: another one right behind it could be one too many."""
    stage = await make_stage()
    await stage.prepared(1)
    await stage.context.pool.execute("DROP INDEX recovery_one_open_per_person")
    await stage.context.pool.execute(ONE_MORE)
    [first] = await claimed(stage)
    await told(stage, first, "unknown")
    assert await claimed(stage) == []
    assert await stage.value("SELECT reason FROM message WHERE id <> $1", first.id) == "cap"


async def test_a_message_whose_recovery_ended_on_the_wire_is_not_tried_again(make_stage):
    stage = await make_stage()
    await stage.prepared(1)
    [one] = await claimed(stage)
    await stage.buys(stage.context, 0)
    await told(stage, one, "retry_wait", again_after=timedelta())
    assert await stage.states() == {"cancelled": 1}


async def test_claims_wait_for_opt_outs_on_the_disk_of_a_web_process(make_stage):
    stage = await make_stage()
    await stage.prepared(1)
    beat = "INSERT INTO heartbeat VALUES ('other', 'web', '1', $1, clock_timestamp()) ON CONFLICT (process)"
    beat += " DO UPDATE SET journal_lines = $1, beat_real = clock_timestamp()"
    await stage.context.pool.execute(beat, 3)
    assert await deliver.due_messages(stage.context, stage.shop_id, await stage.now()) == 0
    assert await stage.states() == {"prepared": 1}
    await stage.context.pool.execute(beat, 0)
    assert await deliver.due_messages(stage.context, stage.shop_id, await stage.now()) == 1
