-- name: forget_hits
-- Raw hits lose who was behind them; their kind, time and class stay. Only what came in between the two times.
WITH old AS (
    SELECT recorded_at, id FROM event
    WHERE shop_id = :shop_id AND recorded_at > :after AND recorded_at <= :until
    ORDER BY recorded_at LIMIT :most
), done AS (
    UPDATE event e SET user_agent = '', ip_net = '' FROM old
    WHERE e.shop_id = :shop_id AND e.recorded_at = old.recorded_at AND e.id = old.id AND (e.user_agent <> '' OR e.ip_net <> '')
    RETURNING e.id
)
SELECT max(old.recorded_at) AS reached, count(*) AS seen, (SELECT count(*) FROM done) AS forgotten FROM old;

-- name: forget_content
-- What was written is forgotten; that it was written stays. Only messages behind the given id, and none behind the first
-- that is too young: so a look reads what it forgets and one message more, however many there are.
WITH next AS MATERIALIZED (
    SELECT id, planned_at FROM message WHERE shop_id = :shop_id AND id > :after ORDER BY id LIMIT :most
), old AS MATERIALIZED (
    SELECT id FROM next
    WHERE id < coalesce((SELECT min(id) FROM next WHERE planned_at > :until), 9223372036854775807)
), done AS (
    UPDATE message m SET content = NULL FROM old
    WHERE m.shop_id = :shop_id AND m.id = old.id AND m.content IS NOT NULL
        AND m.state NOT IN ('planned', 'prepared', 'sending', 'retry_wait')
    RETURNING m.id
)
SELECT max(old.id) AS reached, count(*) AS seen, (SELECT count(*) FROM done) AS forgotten FROM old;
