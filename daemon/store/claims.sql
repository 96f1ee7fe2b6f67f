-- name: wait_for!
-- Whoever claims holds the persons: once we have them, that transaction is over, one way or the other.
SELECT p.id FROM person p JOIN message m ON m.shop_id = p.shop_id AND m.person_id = p.id
WHERE m.shop_id = :shop_id AND m.id = ANY(:ids::bigint[])
ORDER BY p.id
FOR NO KEY UPDATE OF p;

-- name: still_ours
-- A statement of its own, hence a new snapshot. Only fences that were really committed are here.
SELECT m.id FROM message m JOIN unnest(:ids::bigint[], :fences::bigint[]) AS n (id, fence) ON m.id = n.id AND m.fence = n.fence
WHERE m.shop_id = :shop_id AND m.state = 'sending' AND m.lease_until_real > clock_timestamp() + :least
ORDER BY m.id;
