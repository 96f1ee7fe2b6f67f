"""What every table must keep to, so that the same statements also fit a database distributed by shop."""

REFERENCE_TABLES = {"alembic_version", "allowance", "clock", "heartbeat", "instance", "shop"}

# Every key of every table with its columns in order: primary, unique (also bare unique indexes) and foreign.
KEYS = """
SELECT t.relname AS table, c.conname AS key, a.attname AS first
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
WHERE n.nspname = 'public' AND c.contype IN ('p', 'u', 'f')
UNION ALL
SELECT t.relname, i.relname, pg_get_indexdef(x.indexrelid, 1, true)
FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = 'public' AND x.indisunique
"""
STATES = """
SELECT t.relname FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'state' AND a.atttypid = 'text'::regtype
WHERE n.nspname = 'public' AND t.relkind IN ('r', 'p') AND NOT EXISTS (
    SELECT FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'c' AND a.attnum = ANY(c.conkey))
"""


async def test_every_key_begins_with_the_shop(db):
    keys = await db.fetch(KEYS)
    assert len(keys) > 40
    odd = {(row["table"], row["key"]) for row in keys if row["first"] != "shop_id"}
    assert {pair for pair in odd if pair[0] not in REFERENCE_TABLES} == set()


async def test_every_table_of_a_shop_has_its_column_first(db):
    found = await db.fetch(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND ordinal_position = 1"
    )
    odd = {row["table_name"] for row in found if row["column_name"] != "shop_id"}
    assert odd - REFERENCE_TABLES == set()


async def test_every_table_has_a_primary_key(db):
    missing = await db.fetch(
        "SELECT relname FROM pg_class t WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'p')"
    )
    assert [row["relname"] for row in missing] == []


async def test_there_are_no_triggers_of_ours(db):
    assert await db.fetch("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []


async def test_every_state_has_a_check(db):
    assert [row["relname"] for row in await db.fetch(STATES)] == []


async def test_no_time_is_without_its_zone(db):
    naive = await db.fetch(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'"
    )
    assert naive == []


async def test_names_tell_shop_time_from_machine_time(db):
    """Shop time ends in _at or _since, or is one of a few short words; machine time ends in _real."""
    words = {"at", "since", "until", "not_before", "not_after", "base_shop"}
    times = await db.fetch(
        "SELECT DISTINCT column_name AS name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'"
    )
    assert [
        row["name"]
        for row in times
        if not row["name"].endswith(("_at", "_since", "_real")) and row["name"] not in words
    ] == []


async def test_every_row_belongs_to_a_shop_and_says_so_once(db):
    """By the key to shop, or by one to something of that shop that is always there: never by both, never by neither."""
    keys = await db.fetch(
        "SELECT t.relname AS table, c.confrelid = 'shop'::regclass AS to_shop, "
        "NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = ANY(c.conkey) "
        "  AND NOT a.attnotnull) AS always "
        "FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid "
        "WHERE t.relnamespace = 'public'::regnamespace AND c.contype = 'f'"
    )
    direct = {row["table"] for row in keys if row["to_shop"]}
    through = {row["table"] for row in keys if not row["to_shop"] and row["always"]}
    tables = {
        row["relname"]
        for row in await db.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
            "AND NOT relispartition"
        )
    }
    assert direct & through == set()
    assert tables - direct - through == REFERENCE_TABLES | {"event"}  # hits are kept faster than anything is looked up
