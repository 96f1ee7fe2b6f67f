-- name: outgrown$
-- Whether a young table has changed so much since PostgreSQL last looked at it that its plans are guesses. Without
-- statistics "this shop" seems to pick out hardly anything, so any index that begins with it will do, and each small
-- batch reads every message of the shop. Autovacuum mends that, but looks once a minute; old tables are left to it.
SELECT EXISTS (
    SELECT FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
    WHERE s.relname = ANY(ARRAY['cart', 'person', 'identity', 'consent', 'shop_order', 'recovery', 'decision', 'message',
        'attempt', 'link', 'event_default', 'inbox'])
        AND s.n_live_tup < 200000 AND s.n_mod_since_analyze > 500 + 0.5 * greatest(c.reltuples, 0));

-- name: renew!
-- A sample of each table, whatever its size; new plans are made with it.
ANALYZE (SKIP_LOCKED) cart, person, identity, consent, shop_order, recovery, decision, message, attempt, link, event, inbox;
