-- name: forget_hits
-- Raw hits lose who was behind them; their kind, time and class stay. Of hits that say the same of a mail whose recovery is
-- over, the newest stays and the others go: that it happened is known, how often is not. Only what came in between the two
-- times.
WITH old AS MATERIALIZED (
    SELECT recorded_at, id FROM event
    WHERE shop_id = :shop_id AND recorded_at > :after AND recorded_at <= :until
    ORDER BY recorded_at LIMIT :most
), gone AS (
    DELETE FROM event e USING old
    WHERE e.shop_id = :shop_id AND e.recorded_at = old.recorded_at AND e.id = old.id AND e.handled_at IS NOT NULL
        AND e.kind IN ('opened', 'clicked', 'viewed', 'landed', 'dismissed')
        AND NOT EXISTS (SELECT FROM recovery r WHERE r.shop_id = e.shop_id AND r.id = e.recovery_id AND r.state = 'open')
        AND EXISTS (SELECT FROM event n WHERE n.shop_id = e.shop_id AND n.message_id = e.message_id AND n.at >= e.at
            AND (n.at, n.id) > (e.at, e.id) AND n.kind = e.kind AND n.class IS NOT DISTINCT FROM e.class
            AND n.link_no IS NOT DISTINCT FROM e.link_no)
    RETURNING e.recorded_at, e.id
), done AS (
    UPDATE event e SET user_agent = '', ip_net = ''
    FROM old LEFT JOIN gone ON gone.recorded_at = old.recorded_at AND gone.id = old.id
    WHERE e.shop_id = :shop_id AND e.recorded_at = old.recorded_at AND e.id = old.id AND gone.id IS NULL
        AND (e.user_agent <> '' OR e.ip_net <> '')
    RETURNING e.id
)
SELECT max(old.recorded_at) AS reached, count(*) AS seen,
    (SELECT count(*) FROM done) + (SELECT count(*) FROM gone) AS forgotten
FROM old;

-- name: forget_content
-- What was written is forgotten; that it was written stays. Only messages behind the given id, and none behind the first
-- that is too young: so a look reads what it forgets and one message more, however many there are.
WITH next AS MATERIALIZED (
    SELECT id, planned_at FROM message WHERE shop_id = :shop_id AND id > :after ORDER BY id LIMIT :most
), old AS MATERIALIZED (
    SELECT id FROM next
    WHERE id < coalesce((SELECT min(id) FROM next WHERE planned_at > :until), 9223372036854775807)
), done AS (
    UPDATE message m SET content = NULL, letter = NULL FROM old
    WHERE m.shop_id = :shop_id AND m.id = old.id AND m.content IS NOT NULL
        AND m.state NOT IN ('planned', 'prepared', 'sending', 'retry_wait')
    RETURNING m.id
)
SELECT max(old.id) AS reached, count(*) AS seen, (SELECT count(*) FROM done) AS forgotten FROM old;
