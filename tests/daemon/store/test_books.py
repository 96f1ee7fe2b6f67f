"""The books: empty when all is well, and each kind of contradiction is found when it is made once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.store import books

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEED = (Path(__file__).parent / "clean_books.sql").read_text()
PLANNED = """INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash,
    facts_no, basis, basis_evidence, planned_at, not_before, not_after) VALUES (1, {recovery}, 1, 'doubts', 'email',
    false,     '{state}', 'h', 0, 'consent', '{evidence}', '2026-03-02', '2026-03-02', '2026-03-03')"""
SENDING = """UPDATE message SET state = 'sending', accepted_at = NULL, lease_until_real = clock_timestamp() {lease};
    UPDATE attempt SET outcome = {outcome}, closed_real = {closed}"""
CORRUPTIONS = {
    "recovery open without wake time or open message": "UPDATE recovery SET wake_at = NULL WHERE id = 1",
    "recovery ended with a message on its way": PLANNED.format(recovery=2, state="planned", evidence="consent 1"),
    "message accepted without exactly one accepted attempt": "UPDATE attempt SET outcome = 'failed'",
    "attempt accepted and its message not": "UPDATE message SET state = 'retry_wait', accepted_at = NULL",
    "message sending with its lease long over": SENDING.format(
        lease="- interval '1 day'", outcome="NULL", closed="NULL"
    ),
    "message sending without an open attempt": SENDING.format(
        lease="+ interval '1 day'", outcome="'failed'", closed="clock_timestamp()"
    ),
    "message sent to somebody who is held out": "UPDATE recovery SET held_out = true WHERE id = 1",
    "message sent without a basis": "UPDATE message SET basis_evidence = ''",
    "cart at rest with neither recovery nor reason": "UPDATE cart SET answer = '' WHERE id = 1",
    "cart enrolled without a recovery": "INSERT INTO cart (shop_id, ref, currency, total, fingerprint, read_hash,"
    " first_seen_at, changed_at, still_since, seen_at, answer)"
    " SELECT 1, 'c3', 'EUR', 20, '', '', now(), now(), now(), now(), 'enrolled'",
    "recovery of a cart that is not there": "UPDATE recovery SET cart_id = 99 WHERE id = 2",
    "recovery with a policy that is not there": "UPDATE recovery SET policy_hash = 'gone' WHERE id = 2",
    "cart due for a look and overlooked": "UPDATE cart SET look_at = '2026-03-02', answer = '' WHERE id = 1",
    "recovery due and overlooked": "UPDATE recovery SET wake_at = '2026-03-02' WHERE id = 1",
    "event done without effect": "UPDATE inbox SET effect = ''",
    "recovery bought without an order": "UPDATE recovery SET order_id = NULL, evidence = NULL WHERE id = 2;"
    " DELETE FROM shop_order",
    "person merged into somebody who was merged away": "UPDATE person SET merged_into = id - 1, merged_at = now()"
    " WHERE id > 1",
    "request sending with its lease long over": "UPDATE opt_in SET state = 'sending', confirmed_at = NULL,"
    " lease_until_real = clock_timestamp() - interval '1 day'",
    "request kept though nobody confirmed it in its time": "UPDATE opt_in SET state = 'accepted', confirmed_at = NULL,"
    " not_after = '2026-03-02'",
    "request under way or confirmed without its link": "UPDATE opt_in SET token_sha256 = NULL",
    "request waiting or ended whose link still works": "UPDATE opt_in SET state = 'failed', confirmed_at = NULL",
    "request confirmed and the ledger does not say so": "DELETE FROM consent WHERE purpose = 'track_open'",
    "consent confirmed by a request that nobody confirmed": "UPDATE opt_in SET state = 'accepted', confirmed_at = NULL",
}


async def test_they_are_clean_when_all_is_well(db):
    await db.execute(SEED)
    assert await books.violations(db, NOW) == []


@pytest.mark.parametrize("kind", CORRUPTIONS)
async def test_each_contradiction_is_found_at_once_and_among_all_rows(db, kind):
    await db.execute(SEED)
    await db.execute(CORRUPTIONS[kind])
    for found in (await books.violations(db, NOW), await books.lately(db, NOW, NOW)):
        assert kind in {one.kind for one in found}
        assert {one.shop_id for one in found} == {1}


OF_WHAT_IS_UNDER_WAY = {
    "recovery open without wake time or open message",
    "recovery ended with a message on its way",
    "message sending with its lease long over",
    "message sending without an open attempt",
    "cart due for a look and overlooked",
    "recovery due and overlooked",
    "request sending with its lease long over",
    "request kept though nobody confirmed it in its time",
}


@pytest.mark.parametrize("kind", CORRUPTIONS)
async def test_one_of_long_ago_is_found_within_a_day_and_stays_until_it_is_gone(db, kind, monkeypatch):
    """What is under way is under way whatever its age; of all else only the newest rows are looked at each minute."""
    monkeypatch.setattr(books, "NEWEST", 0)  # so all that is there is of long ago
    await db.execute(SEED)
    await db.execute(CORRUPTIONS[kind])
    await db.execute("UPDATE attempt SET started_real = '2026-03-01'")
    morning = NOW.replace(hour=0)
    watch, found = books.Watch(morning), {}
    for minutes in range(0, 24 * 60 + 1, 60):
        at = morning + timedelta(minutes=minutes)
        found[at] = {one.kind for one in await watch.look(db, NOW, at)}
    noticed = [at for at, kinds in found.items() if kind in kinds]
    assert noticed[-1] == at
    assert (noticed[0] == morning) == (kind in OF_WHAT_IS_UNDER_WAY)
    assert noticed == [at for at in found if at >= noticed[0]]
    await db.execute("TRUNCATE shop CASCADE")
    assert await watch.look(db, NOW, at) == []


@pytest.mark.parametrize("top", [0, 1, 7, 1439, 100_000, 3_000_000])
def test_every_row_has_its_turn_each_day_however_rarely_it_is_looked(top):
    at, came_up = NOW - timedelta(minutes=17), []
    for step in (timedelta(seconds=50), timedelta(minutes=11), timedelta(hours=13), timedelta(hours=11)):
        came_up += books.turns(top, at, at + step)
        at += step
    assert all(0 < until - after <= books.STRETCH for after, until in came_up)
    behind = 0
    for after, until in sorted(came_up):
        assert after <= behind
        behind = max(behind, until)
    assert behind == top


def test_who_slept_for_days_reads_each_row_once():
    read = list(books.turns(50_000, NOW - timedelta(days=9), NOW))
    assert sum(until - after for after, until in read) == 50_000


def test_every_kind_is_corrupted_once():
    sql = (Path(books.__file__).parent / "books.sql").read_text()
    named = [line.split("'")[1] for line in sql.splitlines() if "' AS kind" in line or line.startswith("SELECT '")]
    assert sorted(named) == sorted(CORRUPTIONS)


async def test_what_is_under_way_has_its_time(db):
    await db.execute(SEED)
    await db.execute("UPDATE recovery SET wake_at = $1 WHERE id = 1", NOW - timedelta(seconds=30))
    assert await books.violations(db, NOW) == []
