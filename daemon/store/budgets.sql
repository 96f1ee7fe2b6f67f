-- name: parts
-- How many parts each of these texts takes.
SELECT id, coalesce((content ->> 'segments')::integer, 1) AS segments FROM message
WHERE shop_id = :shop_id AND id = ANY(:ids::bigint[]) ORDER BY id;

-- name: spent^
-- What went out this day and this month. A claim holds the shop's budget row, and asks in a statement of its own: what
-- another one reserved before is seen.
SELECT coalesce(sum(cost) FILTER (WHERE sending_at >= :day), 0) AS day, coalesce(sum(cost), 0) AS month FROM message
WHERE shop_id = :shop_id AND channel = :channel AND cost IS NOT NULL AND sending_at >= :month
    AND state IN ('sending', 'accepted', 'delivered', 'bounced', 'complained', 'unknown', 'unknown_final');

-- name: reserve!
UPDATE message m SET cost = n.cost FROM unnest(:ids::bigint[], :costs::numeric[]) AS n (id, cost)
WHERE m.shop_id = :shop_id AND m.id = n.id;

-- name: free
-- Messages that were put off for the budget come to their turn now. What somebody is at just then is stepped over.
WITH them AS MATERIALIZED (
    SELECT id FROM message WHERE shop_id = :shop_id AND channel = :channel AND state = 'planned' AND not_before > :now
        AND reason LIKE :held
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE message m SET not_before = :now FROM them
WHERE m.shop_id = :shop_id AND m.id = them.id AND m.state = 'planned'
RETURNING m.id;

-- name: wake_held
-- Recoveries that the budget was the last thing said about, as far as they wait.
WITH them AS MATERIALIZED (
    SELECT r.id FROM recovery r CROSS JOIN LATERAL (
        SELECT d.because FROM decision d WHERE d.shop_id = r.shop_id AND d.recovery_id = r.id ORDER BY d.id DESC LIMIT 1
    ) AS newest
    WHERE r.shop_id = :shop_id AND r.state = 'open' AND r.wake_at > :now
        AND newest.because LIKE '%the budget for texts is used up%'
    ORDER BY r.id FOR NO KEY UPDATE OF r SKIP LOCKED
)
UPDATE recovery r SET wake_at = :now FROM them
WHERE r.shop_id = :shop_id AND r.id = them.id AND r.state = 'open'
RETURNING r.id;
