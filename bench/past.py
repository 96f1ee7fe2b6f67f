"""A shop's past in any size, made inside the database: nothing of it is due, all of it lies in the cycle's tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

CHUNK = 50_000
AT_ONCE = 2
"""Connections that write a past."""
UNREAD = ("person_by_email", "person_by_phone", "order_seen", "decision_of_recovery", "message_counted")
"""Indexes that nothing looks into while carts are kept: made when all is there."""
POLICY = """
INSERT INTO policy (shop_id, hash, name, body, first_used_at) VALUES ($1, 'past', 'past', '{}', $2)
ON CONFLICT DO NOTHING
"""
# Of ten carts nine were bought or emptied and one lies there with its answer; a third became orders; a fourth had a
# recovery with one mail that was opened. $1 the shop, $2 the first number, $3 how many, $4 shop time now.
ADD = """
WITH people AS (
    INSERT INTO person (shop_id, customer_ref, email, email_hmac, first_name, last_name, locale, zone, country,
        created_at)
    SELECT $1::bigint, 'past-' || i, 'past' || i || '@mail.example', sha256(('past' || i)::bytea), 'Ada',
        'Kundin ' || i, 'de-DE', 'Europe/Berlin', 'DE', $4::timestamptz - interval '90 days'
    FROM generate_series($2::bigint, $2::bigint + $3::bigint - 1) AS i
    RETURNING id, substr(customer_ref, 6)::bigint AS i, email
), known AS (
    INSERT INTO identity (shop_id, kind, value, person_id, since)
    SELECT $1, 'customer', 'past-' || i, id, $4 FROM people UNION ALL SELECT $1, 'email', email, id, $4 FROM people
), carts AS (
    INSERT INTO cart (shop_id, ref, person_id, state, currency, total, lines, fingerprint, read_hash, first_seen_at,
        changed_at, still_since, seen_at, answer, answered_at, closed_at)
    SELECT $1, 'past-' || i, id, CASE WHEN i % 10 > 0 THEN 'ordered' ELSE 'open' END, 'EUR', 49.90,
        jsonb_build_array(jsonb_build_object('key', 'A' || i, 'name', 'Laufschuh ' || i % 500, 'quantity', '1')),
        sha256(i::text::bytea), sha256(i::text::bytea), at, at, at, at, 'no: found too late', at,
        CASE WHEN i % 10 > 0 THEN at END
    FROM people CROSS JOIN LATERAL (SELECT $4 - (4 + i % 90) * interval '1 day' AS at) AS t
    RETURNING id, person_id, ref, state, changed_at, substr(ref, 6)::bigint AS i
), bought AS (
    INSERT INTO shop_order (shop_id, ref, cart_ref, person_id, placed_at, status, standing, total, currency,
        first_seen_at, seen_at)
    SELECT $1, ref, ref, person_id, changed_at, 'paid', 'purchase', 49.90, 'EUR', changed_at, changed_at
    FROM carts WHERE i % 3 = 1 AND state = 'ordered'
), recoveries AS (
    INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal,
        started_at, state, end_reason, ended_at)
    SELECT $1, id, 1, person_id, 'past', 'past', false, false, changed_at, 'ended', 'nothing_left',
        changed_at + interval '3 days'
    FROM carts WHERE i % 4 = 0
    RETURNING id, person_id, started_at + interval '1 hour' AS at
), decided AS (
    INSERT INTO decision (shop_id, recovery_id, at, verdict, step, because, facts_no, policy_hash)
    SELECT $1, id, at, 'send', 'remind', 'due', 0, 'past' FROM recoveries
), messages AS (
    INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
        basis_evidence, planned_at, not_before, not_after, content, prepared_at, sending_at, fence, tries, accepted_at)
    SELECT $1, id, person_id, 'remind', 'email', false, 'accepted', 'past', 0, 'consent', 'opt-in', at, at,
        at + interval '1 day', '{"subject": "past"}', at, at, nextval('fence'), 1, at
    FROM recoveries
    RETURNING id, recovery_id, person_id, fence, accepted_at
), attempts AS (
    INSERT INTO attempt (shop_id, message_id, fence, started_at, outcome, closed_real)
    SELECT $1, id, fence, accepted_at, 'accepted', accepted_at FROM messages
)
INSERT INTO event (shop_id, id, kind, message_id, recovery_id, person_id, at, class, handled_at)
SELECT $1, gen_random_uuid(), 'opened', id, recovery_id, person_id, accepted_at, 'human', accepted_at FROM messages
"""


@asynccontextmanager
async def filling(url: str) -> AsyncIterator[None]:
    """Inside it the server of `url` logs no whole pages and makes few checkpoints: keys in no order touch as many pages
    as there are rows. Afterwards it does again, statistics are fresh and all is on the disk."""
    db = await asyncpg.connect(url, command_timeout=3600)
    try:
        for said in ("full_page_writes = off", "max_wal_size = '4GB'", "checkpoint_timeout = '1h'"):
            await db.execute(f"ALTER SYSTEM SET {said}")
        await db.execute("SELECT pg_reload_conf()")
        indexes = await db.fetch("SELECT indexname, indexdef FROM pg_indexes WHERE indexname = ANY($1)", UNREAD)
        for one in indexes:
            await db.execute(f"DROP INDEX {one['indexname']}")
        yield
        await db.execute("SET maintenance_work_mem = '512MB'")
        for one in indexes:
            await db.execute(one["indexdef"])
        await db.execute("VACUUM ANALYZE")
        await db.execute("ALTER SYSTEM RESET ALL")
        await db.execute("SELECT pg_reload_conf()")
        await db.execute("CHECKPOINT")
    finally:
        await db.close()


async def add_past(url: str, shop_id: int, first: int, many: int, now: datetime) -> None:
    """`many` carts more, with what hangs on them. Keys are not looked up while it is written: it is made to fit."""
    chunks = iter(range(first, first + many, CHUNK))

    async def some() -> None:
        db = await asyncpg.connect(url, command_timeout=3600)
        try:
            await db.execute("SET session_replication_role = replica")
            await db.execute("SET synchronous_commit = off")
            await db.execute(POLICY, shop_id, now)
            for start in chunks:
                await db.execute(ADD, shop_id, start, min(CHUNK, first + many - start), now)
        finally:
            await db.close()

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
