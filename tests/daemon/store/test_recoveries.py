"""What orders end, in a shop where all recoveries were over when PostgreSQL last counted them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from daemon.store import recoveries

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
OPEN, BOUGHT = 2000, 200
OVER = """
INSERT INTO shop (name, added_at) VALUES ('main', '2026-03-01');
INSERT INTO policy (shop_id, hash, name, body, first_used_at) VALUES (1, 'h', 'main', '{}', '2026-03-01');
INSERT INTO person (shop_id, created_at) SELECT 1, '2026-03-01' FROM generate_series(1, 2000);
INSERT INTO cart (shop_id, ref, person_id, currency, total, fingerprint, read_hash, first_seen_at, changed_at,
    still_since, seen_at, answer)
SELECT 1, 'c' || id, id, 'EUR', 20, '', '', '2026-03-01', '2026-03-01', '2026-03-01', '2026-03-01', 'enrolled'
FROM person;
INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal, started_at,
    state, end_reason, ended_at)
SELECT 1, id, 1, person_id, 'h', 'main', false, false, '2026-03-01', 'ended', 'expired', '2026-03-02' FROM cart;
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, planned_at, not_before, not_after, reason, ended_at)
SELECT 1, id, person_id, 'remind', 'email', false, 'cancelled', 'h', 0, 'consent', 'c', '2026-03-02', '2026-03-02',
    '2026-03-03', 'expired', '2026-03-02' FROM recovery;
ANALYZE
"""
UNDER_WAY = """
UPDATE recovery SET state = 'open', end_reason = NULL, ended_at = NULL;
UPDATE message SET state = 'planned', reason = NULL, ended_at = NULL;
INSERT INTO shop_order (shop_id, ref, cart_ref, person_id, placed_at, status, standing, total, currency, first_seen_at,
    seen_at)
SELECT 1, ref, ref, person_id, '2026-03-02', 'paid', 'purchase', 20, 'EUR', '2026-03-02', '2026-03-02'
FROM cart WHERE id <= 200
"""


async def test_a_page_of_orders_is_not_held_against_each_open_recovery(db):
    await db.execute(OVER)
    await db.execute(UNDER_WAY)
    orders = [row["id"] for row in await db.fetch("SELECT id FROM shop_order")]
    asked = []
    undone = db.transaction()
    await undone.start()
    with db.query_logger(asked.append):
        ended = await recoveries.bought(db, 1, orders, AT)
    await undone.rollback()
    assert len(ended) == len(orders) == BOUGHT
    [one] = [one for one in asked if "FROM shop_order" in one.query]  # asyncpg asks some of its own
    [(told,)] = await db.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {one.query}", *one.args)
    assert handled(json.loads(told)[0]["Plan"]) < 10 * (OPEN + BOUGHT)
    assert await db.fetchval("SELECT count(*) FROM message WHERE state = 'cancelled'") == BOUGHT


def handled(plan):
    """Rows that all parts of a plan have had in hand."""
    own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Join Filter", 0)) * (
        plan["Actual Loops"]
    )
    return own + sum(handled(one) for one in plan.get("Plans", ()))
