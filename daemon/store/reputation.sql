-- name: lately^
-- The newest mails that left, and how many of them people complained about or came back for good: at most `most`, since
-- `since`. Read from the newest backwards, so it costs the same however many there are.
WITH newest AS MATERIALIZED (
    SELECT m.id, m.channel, m.rehearsal, m.state, m.reason, m.sending_at FROM message m WHERE m.shop_id = :shop_id
    ORDER BY m.id DESC LIMIT 2 * :most
), sent AS (
    SELECT state, reason, row_number() OVER (ORDER BY id DESC) AS place FROM newest
    WHERE channel = :channel AND NOT rehearsal AND sending_at > :since
        AND state IN ('accepted', 'delivered', 'bounced', 'complained', 'unknown', 'unknown_final', 'failed')
    ORDER BY id DESC LIMIT :most
)
SELECT count(*) FILTER (WHERE state <> 'failed') AS sent, count(*) FILTER (WHERE state = 'complained') AS complained,
    count(*) FILTER (WHERE place <= :few) AS few,
    count(*) FILTER (WHERE place <= :few AND (state = 'bounced' AND (reason LIKE 'hard%' OR reason LIKE 'sender%')
        OR state = 'failed' AND reason LIKE '%5.1.%')) AS bounced,
    count(*) FILTER (WHERE place <= :few AND state = 'bounced' AND reason LIKE 'sender%') AS filtered
FROM sent;

-- name: lifted_at$
-- When somebody last decided to go on in spite of it: what was sent before counts no more.
SELECT max(lifted_at) FROM pause WHERE shop_id = :shop_id AND cause IN ('complaints', 'bounces', 'filtered') AND channel = :channel;

-- name: brake
-- Once: a brake that is on is not put on again.
INSERT INTO pause (shop_id, channel, reason, since, cause)
SELECT :shop_id, :channel, :reason, :now, :cause
WHERE NOT EXISTS (SELECT FROM pause z WHERE z.shop_id = :shop_id AND z.channel = :channel AND z.cause = :cause
    AND z.lifted_at IS NULL)
RETURNING id;
