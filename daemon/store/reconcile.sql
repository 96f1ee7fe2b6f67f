-- name: due
-- Messages whose outcome nobody knows and whose provider can be asked, so long after the attempt as the next look-up wants.
-- One that got no answer is asked about again after a minute.
SELECT m.id, m.channel, m.fence, m.recovery_id, m.person_id, m.step, m.rehearsal, m.content, m.letter, m.sending_at, m.not_after,
    m.look_ups, a.started_real
FROM message m JOIN attempt a ON a.shop_id = m.shop_id AND a.message_id = m.id AND a.fence = m.fence
WHERE m.shop_id = :shop_id AND m.state = 'unknown' AND m.channel <> 'email' AND m.channel = ANY(:channels::text[])
    AND m.look_ups < cardinality(:after::interval[]) AND m.content IS NOT NULL
    AND a.closed_real + (:after::interval[])[m.look_ups + 1] <= (SELECT clock_timestamp())
    AND (m.looked_up_real IS NULL OR m.looked_up_real + interval '1 minute' <= (SELECT clock_timestamp()))
ORDER BY m.id LIMIT :most;

-- name: looked_up!
-- Asked about without an end to it; `counts` where the provider said that it is not there. Two that asked at the same time
-- count once.
UPDATE message m SET look_ups = m.look_ups + CASE WHEN n.counts THEN 1 ELSE 0 END, looked_up_real = clock_timestamp()
FROM unnest(:ids::bigint[], :fences::bigint[], :counts::boolean[], :befores::integer[])
    AS n (id, fence, counts, look_ups)
WHERE m.shop_id = :shop_id AND m.id = n.id AND m.fence = n.fence AND m.state = 'unknown' AND m.look_ups = n.look_ups;

-- name: not_sent
-- The provider was asked often enough and does not have it: it goes out once more, if it still may, and never again. The
-- caller holds the persons' locks.
WITH r AS MATERIALIZED (
    SELECT r.id, r.state, r.end_reason, m.id AS message_id FROM message m
    JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id
    JOIN unnest(:ids::bigint[], :fences::bigint[]) AS n (id, fence) ON n.id = m.id AND n.fence = m.fence
    WHERE m.shop_id = :shop_id AND m.state = 'unknown'
    ORDER BY r.id, m.id FOR NO KEY UPDATE OF r
), n AS (
    SELECT r.*, CASE WHEN m.sent_again THEN 'given_up' WHEN r.state = 'ended' THEN 'cancelled'
        WHEN m.not_after < :now THEN 'expired' ELSE 'retry_wait' END AS becomes
    FROM r JOIN message m ON m.shop_id = :shop_id AND m.id = r.message_id
), moved AS (
    UPDATE message m SET state = n.becomes, reconcile_real = NULL, look_ups = 0, looked_up_real = NULL,
        sent_again = sent_again OR n.becomes = 'retry_wait',
        retry_real = CASE WHEN n.becomes = 'retry_wait' THEN clock_timestamp() END,
        reason = CASE WHEN n.becomes = 'cancelled' THEN coalesce(n.end_reason, 'ended') ELSE 'the provider does not have it' END,
        ended_at = CASE WHEN n.becomes <> 'retry_wait' THEN :now::timestamptz END
    FROM n WHERE m.shop_id = :shop_id AND m.id = n.message_id AND m.state = 'unknown'
    RETURNING m.id, m.fence, m.state, m.recovery_id
), closed AS (
    UPDATE attempt a SET outcome = 'retry_wait', code = 'absent', error = 'the provider was asked and does not have it'
    FROM moved WHERE a.shop_id = :shop_id AND a.message_id = moved.id AND a.fence = moved.fence
), woken AS (
    UPDATE recovery r SET wake_at = least(:now, r.wake_at - interval '1 us') FROM moved
    WHERE r.shop_id = :shop_id AND r.id = moved.recovery_id AND r.state = 'open' AND moved.state <> 'retry_wait'
)
SELECT id, state FROM moved ORDER BY id;
