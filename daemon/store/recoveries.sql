-- name: end_of_persons
-- A stop: the open recoveries of these persons are closed and what has not left yet is cancelled, in one statement.
-- The caller holds the persons' locks.
WITH over AS (
    UPDATE recovery SET state = 'ended', ended_at = :at, end_reason = :reason, wake_at = NULL
    WHERE shop_id = :shop_id AND person_id = ANY(:persons::bigint[]) AND state = 'open'
    RETURNING id
), gone AS (
    UPDATE message SET state = 'cancelled', reason = :reason, ended_at = :at
    WHERE message.shop_id = :shop_id AND message.recovery_id = ANY(ARRAY(SELECT id FROM over))
        AND message.state IN ('planned', 'prepared', 'retry_wait')
), told AS (
    UPDATE person SET facts_no = facts_no + 1
    WHERE shop_id = :shop_id AND id = ANY(:persons::bigint[])
)
SELECT id FROM over;

-- name: purchases
-- Orders of these persons that end what is open of theirs. The caller holds the persons' locks.
SELECT o.id FROM recovery r
JOIN cart c ON c.shop_id = r.shop_id AND c.id = r.cart_id
JOIN shop_order o ON o.shop_id = r.shop_id AND o.person_id = r.person_id
WHERE r.shop_id = :shop_id AND r.person_id = ANY(:persons::bigint[]) AND r.state = 'open' AND o.standing = 'purchase'
    AND (o.placed_at >= c.first_seen_at OR o.first_seen_at > r.started_at);

-- name: bought
-- Orders that end recoveries, each with what shows that the two belong together. The caller holds the persons' locks.
-- From the orders on, one look into an index each: where statistics know of no open recovery, a plan that may begins with
-- all of them, for each order once more. For the same reason the write says "open" in words that no index knows.
WITH hit AS (
    SELECT DISTINCT ON (r.id) r.id AS recovery_id, o.id AS order_id, c.id AS cart_id,
        CASE
            WHEN o.cart_ref <> '' AND o.cart_ref = c.ref THEN 'same cart'
            WHEN EXISTS (
                SELECT FROM message m JOIN event e ON e.shop_id = m.shop_id AND e.message_id = m.id
                WHERE m.shop_id = r.shop_id AND m.recovery_id = r.id AND NOT r.held_out
                    AND e.kind = 'clicked' AND e.class IS DISTINCT FROM 'machine' AND e.at <= o.first_seen_at
            ) THEN 'clicked link'
            ELSE 'same person'
        END AS evidence
    FROM shop_order o
    CROSS JOIN LATERAL (
        SELECT * FROM recovery WHERE shop_id = o.shop_id AND person_id = o.person_id AND state = 'open' LIMIT 1) AS r
    CROSS JOIN LATERAL (
        SELECT * FROM cart WHERE shop_id = r.shop_id AND id = r.cart_id LIMIT 1) AS c
    WHERE o.shop_id = :shop_id AND o.id = ANY(:orders::bigint[]) AND o.standing = 'purchase'
        AND (o.placed_at >= c.first_seen_at OR o.first_seen_at > r.started_at)
    ORDER BY r.id, (o.cart_ref = c.ref) DESC, o.placed_at
), over AS (
    UPDATE recovery r SET state = 'ended', ended_at = :at, end_reason = 'purchase', wake_at = NULL,
        order_id = hit.order_id, evidence = hit.evidence
    FROM hit WHERE r.shop_id = :shop_id AND r.id = hit.recovery_id AND r.ended_at IS NULL
    RETURNING r.id, r.person_id, hit.cart_id, hit.evidence
), gone AS (
    UPDATE message SET state = 'cancelled', reason = 'purchase', ended_at = :at
    WHERE message.shop_id = :shop_id AND message.recovery_id = ANY(ARRAY(SELECT id FROM over))
        AND message.state IN ('planned', 'prepared', 'retry_wait')
)
SELECT id, evidence FROM over;

-- name: link_purchases!
-- Recoveries that the rules ended because of a purchase: its order was written while they were being enrolled, or came
-- with a person who was merged, so `bought` did not find them. The earliest order of the person that explains the end.
UPDATE recovery r SET order_id = hit.order_id, evidence = hit.evidence
FROM (
    SELECT DISTINCT ON (r.id) r.id AS recovery_id, o.id AS order_id,
        CASE WHEN o.cart_ref <> '' AND o.cart_ref = c.ref THEN 'same cart' ELSE 'same person' END AS evidence
    FROM recovery r
    JOIN cart c ON c.shop_id = r.shop_id AND c.id = r.cart_id
    JOIN shop_order o ON o.shop_id = r.shop_id AND o.person_id = r.person_id AND o.standing = 'purchase'
        AND (o.placed_at >= c.first_seen_at OR o.first_seen_at > r.started_at)
    WHERE r.shop_id = :shop_id AND r.id = ANY(:recoveries::bigint[])
    ORDER BY r.id, (o.cart_ref = c.ref) DESC, o.placed_at
) AS hit
WHERE r.shop_id = :shop_id AND r.id = hit.recovery_id AND r.order_id IS NULL;

-- name: wake!
-- Ask the rules again, now. Never with the same wake time as before, here and wherever else a recovery is woken: whoever
-- is deciding on older facts sees by it that they are older, even where time stands still.
UPDATE recovery SET wake_at = least(:at::timestamptz, wake_at - interval '1 us')
WHERE shop_id = :shop_id AND person_id = ANY(:persons::bigint[]) AND state = 'open';

-- name: persons_in_mode
-- Who has an open recovery that was begun as a rehearsal (or not as one).
SELECT person_id FROM recovery WHERE shop_id = :shop_id AND state = 'open' AND rehearsal = :rehearsal ORDER BY person_id;

-- name: end_of_mode$
-- The shop changed between rehearsal and live: what was begun in the other mode is over. The caller holds the persons' locks.
WITH over AS (
    UPDATE recovery SET state = 'ended', ended_at = :at, end_reason = :reason, wake_at = NULL
    WHERE shop_id = :shop_id AND rehearsal = :rehearsal AND state = 'open'
    RETURNING id
), gone AS (
    UPDATE message SET state = 'cancelled', reason = :reason, ended_at = :at
    WHERE message.shop_id = :shop_id AND message.recovery_id = ANY(ARRAY(SELECT id FROM over))
        AND message.state IN ('planned', 'prepared', 'retry_wait')
)
SELECT count(*) FROM over;
