-- name: behind
-- How long the oldest thing of each kind of work has been due, unless it rests after a failure or somebody is at it.
-- Every branch ends at the first rows of a partial index. A mail may have to wait until the relay has answered.
SELECT s.shop_id, d.name, d.late FROM unnest(:shops::bigint[]) AS s (shop_id)
CROSS JOIN LATERAL (
    SELECT w.name, :now - w.due_at AS late FROM work w
    WHERE w.shop_id = s.shop_id AND w.name IN ('poll', 'mailbox', 'sweep')
        AND (w.holder IS NULL OR w.lease_until_real < clock_timestamp())
    UNION ALL (SELECT 'inbox', :now - i.received_at FROM inbox i WHERE i.shop_id = s.shop_id AND i.state = 'waiting'
        AND i.source <> 'mail' ORDER BY i.id LIMIT 1)
    UNION ALL (SELECT 'post', :now - i.received_at - interval '15 minutes' FROM inbox i
        WHERE i.shop_id = s.shop_id AND i.state = 'waiting' AND i.source = 'mail' ORDER BY i.id LIMIT 1)
    UNION ALL SELECT 'enrol', :now - min(c.look_at) FROM cart c WHERE c.shop_id = s.shop_id AND c.look_at <= :now
    UNION ALL (SELECT 'react', clock_timestamp() - e.recorded_at FROM event e
        WHERE e.shop_id = s.shop_id AND e.handled_at IS NULL ORDER BY e.recorded_at LIMIT 1)
    UNION ALL SELECT 'decide', :now - min(r.wake_at) FROM recovery r WHERE r.shop_id = s.shop_id AND r.wake_at <= :now
    UNION ALL SELECT 'prepare', :now - min(m.not_before) FROM message m
        WHERE m.shop_id = s.shop_id AND m.state = 'planned' AND m.not_before <= :now
    UNION ALL SELECT 'deliver', :now - o.not_before FROM unnest(:channels::text[]) AS n (channel) CROSS JOIN LATERAL (
        SELECT m.not_before FROM message m
        WHERE m.shop_id = s.shop_id AND m.channel = n.channel AND m.state IN ('prepared', 'retry_wait')
            AND m.retry_real IS NULL AND m.not_before <= :now ORDER BY m.not_before LIMIT 1) AS o
    UNION ALL SELECT 'deliver', clock_timestamp() - min(m.retry_real) FROM unnest(:channels::text[]) AS n (channel)
        JOIN message m ON m.shop_id = s.shop_id AND m.channel = n.channel AND m.state IN ('prepared', 'retry_wait')
            AND m.retry_real <= (SELECT clock_timestamp()) AND m.not_before <= :now
) AS d
WHERE d.late > interval '0' AND NOT EXISTS (
    SELECT FROM work r WHERE r.shop_id = s.shop_id AND r.name = d.name AND r.rest_until_real > clock_timestamp())
ORDER BY s.shop_id, d.late DESC;

-- name: waiting
-- Messages that have been due since before `late`, at most 1,000 of each channel: those never tried, and those tried in
-- vain. One that an allowance holds back is neither: its time has not come.
SELECT s.shop_id, n.channel, fresh.messages AS untried, back.messages AS in_vain
FROM unnest(:shops::bigint[]) AS s (shop_id)
CROSS JOIN unnest(:channels::text[]) AS n (channel)
CROSS JOIN LATERAL (
    SELECT count(*) AS messages FROM (
        SELECT FROM message m WHERE m.shop_id = s.shop_id AND m.channel = n.channel AND m.state IN ('prepared', 'retry_wait')
            AND m.retry_real IS NULL AND m.not_before <= :late LIMIT 1000) AS t
) AS fresh
CROSS JOIN LATERAL (
    SELECT count(*) AS messages FROM (
        SELECT m.state, m.not_before FROM message m WHERE m.shop_id = s.shop_id AND m.channel = n.channel
            AND m.state IN ('prepared', 'retry_wait') AND m.retry_real < 'infinity' ORDER BY m.retry_real LIMIT 1000) AS t
    WHERE t.state = 'retry_wait' AND t.not_before <= :late
) AS back
WHERE fresh.messages + back.messages > 0 ORDER BY s.shop_id, n.channel;

-- name: accepted_within$
-- Whether a provider has taken anything of this shop lately, on this channel or on any.
SELECT EXISTS (
    SELECT FROM attempt a
    WHERE a.shop_id = :shop_id AND a.started_real > (SELECT clock_timestamp() - :span::interval - interval '15 min')
        AND a.outcome = 'accepted' AND a.closed_real > (SELECT clock_timestamp() - :span::interval)
        AND (:channel::text IS NULL OR EXISTS (SELECT FROM message m
            WHERE m.shop_id = a.shop_id AND m.id = a.message_id AND m.channel = :channel)));

-- name: leases_overdue
-- Claims that nobody has given up or called unknown, 60 s after their lease: the sweep does not run.
SELECT s.shop_id, o.messages FROM unnest(:shops::bigint[]) AS s (shop_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS messages FROM message m WHERE m.shop_id = s.shop_id AND m.state = 'sending'
        AND m.lease_until_real < (SELECT clock_timestamp() - interval '60 seconds')
) AS o
WHERE o.messages > 0 ORDER BY s.shop_id;

-- name: beats
-- The processes that were here within a day, oldest first. One that ended in order is not among them.
SELECT process, kind, journal_lines, held, clock_timestamp() - beat_real AS silent_for, clock_timestamp() - since_real AS up_for
FROM heartbeat WHERE beat_real > clock_timestamp() - interval '1 day' ORDER BY since_real, process;

-- name: problems
-- Works that have failed several times in a row.
SELECT s.name AS shop, w.name, w.failures, w.problem FROM work w JOIN shop s ON s.shop_id = w.shop_id
WHERE w.shop_id = ANY(:shops::bigint[]) AND w.failures >= :least AND w.problem IS NOT NULL ORDER BY s.name, w.name;
