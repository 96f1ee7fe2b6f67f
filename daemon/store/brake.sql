-- name: pause
INSERT INTO pause (shop_id, policy, step, channel, reason, since, until)
SELECT s.shop_id, :policy, :step, :channel, :reason, :now, :until
FROM unnest(:shops::bigint[]) AS s (shop_id) ORDER BY s.shop_id
RETURNING id;

-- name: resume
-- Lifts the pauses that say exactly this; without policy, step and channel all of the shop's.
UPDATE pause SET lifted_at = :now
WHERE shop_id = ANY(:shops::bigint[]) AND lifted_at IS NULL
    AND (:policy::text IS NULL OR policy = :policy) AND (:step::text IS NULL OR step = :step)
    AND (:channel::text IS NULL OR channel = :channel)
RETURNING id, reason;

-- name: pauses
SELECT s.name AS shop, z.policy, z.step, z.channel, z.reason, z.since, z.until, z.cause
FROM pause z JOIN shop s ON s.shop_id = z.shop_id
WHERE z.lifted_at IS NULL AND (z.until IS NULL OR z.until > :now)
ORDER BY s.name, z.id;
