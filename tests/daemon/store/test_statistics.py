"""A table that grows fast is looked at anew, so that small batches stay small."""

from daemon.store import statistics

GROWN = """
SELECT s.n_mod_since_analyze FROM pg_stat_user_tables s WHERE relname = 'person'
"""


async def test_young_table_that_grew_is_looked_at_once(pool):
    async with pool.acquire() as db:
        assert not await statistics.keep_fresh(db)
        await db.execute("INSERT INTO shop (name, added_at) VALUES ('main', now())")
        await db.execute("INSERT INTO person (shop_id, created_at) SELECT 1, now() FROM generate_series(1, 2000)")
        await db.execute("SELECT pg_stat_force_next_flush()")
        assert await statistics.keep_fresh(db)
        await db.execute("SELECT pg_stat_force_next_flush()")
        assert await db.fetchval(GROWN) == 0
        assert not await statistics.keep_fresh(db)
