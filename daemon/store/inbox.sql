-- name: keep!
-- Deliveries, raw. One that we have already is not written again; sorted, so that two groups never wait for each other
-- in a circle. Shop time is the database's, so the hook asks for nothing before it writes.
INSERT INTO inbox (shop_id, source, delivery_id, body, received_at)
SELECT n.shop_id, n.source, n.delivery_id, n.body, clock.base_shop + (clock_timestamp() - clock.base_real) * clock.speed::float8
FROM unnest(:shops::bigint[], :sources::text[], :deliveries::text[], :bodies::bytea[])
    AS n (shop_id, source, delivery_id, body)
CROSS JOIN clock
ORDER BY n.shop_id, n.source, n.delivery_id
ON CONFLICT (shop_id, source, delivery_id) DO NOTHING;

-- name: waiting
-- What has had no effect yet, oldest first.
SELECT id, source, delivery_id, body, received_at
FROM inbox
WHERE shop_id = :shop_id AND state = 'waiting'
ORDER BY id
LIMIT :most;

-- name: shops_waiting
-- The shops that have something waiting, so that nothing is forgotten when a ring was lost.
SELECT shop_id FROM shop
WHERE EXISTS (SELECT 1 FROM inbox WHERE inbox.shop_id = shop.shop_id AND inbox.state = 'waiting')
ORDER BY shop_id;

-- name: close
-- Each with what came of it; one that is closed already stays as it is.
UPDATE inbox SET state = n.state, effect = n.effect, done_at = :now
FROM unnest(:ids::bigint[], :states::text[], :effects::text[]) AS n (id, state, effect)
WHERE inbox.shop_id = :shop_id AND inbox.id = n.id AND inbox.state = 'waiting'
RETURNING inbox.id;
