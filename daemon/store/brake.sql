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

-- name: in_force$
-- Which pauses of a shop are in force now, as one word.
SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM pause
WHERE shop_id = :shop_id AND lifted_at IS NULL AND (until IS NULL OR until > :now);

-- name: free
-- Messages that no pause holds any more may be claimed again; they are found behind all that have a time of their own. What
-- somebody is at just now is stepped over.
WITH them AS MATERIALIZED (
    SELECT m.id FROM unnest(:channels::text[]) AS n (channel)
    JOIN message m ON m.shop_id = :shop_id AND m.channel = n.channel AND m.state IN ('prepared', 'retry_wait')
        AND m.retry_real = 'infinity'
    JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id
    WHERE NOT EXISTS (SELECT FROM pause z WHERE z.shop_id = m.shop_id AND z.lifted_at IS NULL
        AND (z.until IS NULL OR z.until > :now) AND (z.policy IS NULL OR z.policy = r.policy_name)
        AND (z.step IS NULL OR z.step = m.step) AND (z.channel IS NULL OR z.channel = m.channel))
    LIMIT :most FOR NO KEY UPDATE OF m SKIP LOCKED
)
UPDATE message m SET retry_real = NULL FROM them
WHERE m.shop_id = :shop_id AND m.id = them.id AND m.state IN ('prepared', 'retry_wait')
RETURNING m.id;

-- name: pauses
SELECT s.name AS shop, z.policy, z.step, z.channel, z.reason, z.since, z.until, z.cause
FROM pause z JOIN shop s ON s.shop_id = z.shop_id
WHERE z.lifted_at IS NULL AND (z.until IS NULL OR z.until > :now)
ORDER BY s.name, z.id;
