-- name: parts
-- How many parts each of these texts takes.
SELECT id, coalesce((content ->> 'segments')::integer, 1) AS segments FROM message
WHERE shop_id = :shop_id AND id = ANY(:ids::bigint[]) ORDER BY id;

-- name: spent^
-- What went out this day and this month. The caller holds the shop's budget row, and asks in a statement of its own: what
-- another claim reserved before is seen.
SELECT coalesce(sum(cost) FILTER (WHERE sending_at >= :day), 0) AS day, coalesce(sum(cost), 0) AS month FROM message
WHERE shop_id = :shop_id AND channel = :channel AND cost IS NOT NULL AND sending_at >= :month
    AND state IN ('sending', 'accepted', 'delivered', 'bounced', 'complained', 'unknown', 'unknown_final');

-- name: reserve!
UPDATE message m SET cost = n.cost FROM unnest(:ids::bigint[], :costs::numeric[]) AS n (id, cost)
WHERE m.shop_id = :shop_id AND m.id = n.id;
