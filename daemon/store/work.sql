-- name: add!
INSERT INTO work (shop_id, name, due_at)
SELECT :shop_id, n.name, :now FROM unnest(:names::text[]) AS n (name)
ON CONFLICT DO NOTHING;

-- name: bring_forward!
UPDATE work SET due_at = :now WHERE shop_id = :shop_id AND name = :name AND due_at > :now;

-- name: take^
-- Single-flight: the row is ours until the lease is over, unless somebody else has it. Who has it may renew it.
UPDATE work SET holder = :holder, lease_until_real = clock_timestamp() + :lease
WHERE shop_id = :shop_id AND name = :name AND (holder IS NULL OR holder = :holder OR lease_until_real < clock_timestamp())
RETURNING state, due_at, failures, last_good_at, coalesce(rest_until_real > clock_timestamp(), false) AS resting,
    (SELECT base_shop + (clock_timestamp() - base_real) * speed::float8 FROM clock) AS now;

-- name: give_back!
UPDATE work SET holder = NULL, lease_until_real = NULL
WHERE shop_id = :shop_id AND name = :name AND holder = :holder;

-- name: put_off!
-- It is next due then, unless somebody brings it forward while it is being done.
UPDATE work SET due_at = :due_at WHERE shop_id = :shop_id AND name = :name AND holder = :holder;

-- name: done!
UPDATE work SET state = :state, due_at = coalesce(:due_at, due_at), failures = 0, problem = NULL, rest_until_real = NULL,
    last_good_at = :now, last_good_real = clock_timestamp()
WHERE shop_id = :shop_id AND name = :name AND holder = :holder;

-- name: progress!
-- What has been read so far stays read, whatever becomes of the rest; the lease goes on.
UPDATE work SET state = :state, lease_until_real = clock_timestamp() + :lease
WHERE shop_id = :shop_id AND name = :name AND holder = :holder;

-- name: well!
-- It works again.
UPDATE work SET failures = 0, problem = NULL, rest_until_real = NULL
WHERE shop_id = :shop_id AND name = :name AND failures > 0;

-- name: failed!
-- Back-off doubles from 1 s to a minute: within that time what was away is noticed to be back.
UPDATE work SET failures = failures + 1, problem = :problem,
    rest_until_real = clock_timestamp() + least(60, power(2, least(failures, 6))) * interval '1 second'
WHERE shop_id = :shop_id AND name = :name;

-- name: serialise
-- One writer of carts and orders a shop at a time, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('tillbell keep', :shop_id));

-- name: due
-- What each shop has to do now. Every branch is answered from a partial index, so nothing due costs next to nothing. It is
-- asked four times a second: the lists are values that no planner sees, or it would plan anew each time, and as it then
-- does not know how much is due, each branch goes along its index to the first there is.
SELECT s.shop_id, d.name FROM unnest((SELECT :shops::bigint[])) AS s (shop_id)
CROSS JOIN LATERAL (
    SELECT w.name FROM work w
    WHERE w.shop_id = s.shop_id AND w.name IN ('poll', 'mailbox', 'sweep', 'audiences') AND w.due_at <= :now
        AND (w.holder IS NULL OR w.lease_until_real < clock_timestamp())
    UNION ALL SELECT 'inbox' WHERE (
        SELECT true FROM inbox i WHERE i.shop_id = s.shop_id AND i.state = 'waiting' AND i.source <> 'mail'
            AND i.source NOT LIKE 'channel %' ORDER BY i.id LIMIT 1)
    UNION ALL SELECT 'callbacks' WHERE (
        SELECT true FROM inbox i WHERE i.shop_id = s.shop_id AND i.state = 'waiting' AND i.source LIKE 'channel %' AND NOT EXISTS (
            SELECT FROM message m WHERE m.shop_id = i.shop_id AND m.id = i.message_id AND m.state = 'sending')
        ORDER BY i.id LIMIT 1)
    UNION ALL SELECT 'post' WHERE (
        SELECT true FROM inbox i WHERE i.shop_id = s.shop_id AND i.state = 'waiting' AND i.source = 'mail' AND NOT EXISTS (
            SELECT FROM message m WHERE m.shop_id = i.shop_id AND m.id = i.message_id AND m.state = 'sending')
        ORDER BY i.id LIMIT 1)
    UNION ALL SELECT 'reconcile' WHERE EXISTS (
        SELECT FROM message m JOIN attempt a ON a.shop_id = m.shop_id AND a.message_id = m.id AND a.fence = m.fence
        WHERE m.shop_id = s.shop_id AND m.state = 'unknown' AND m.channel <> 'email'
            AND m.channel = ANY((SELECT :channels::text[])::text[]) AND m.look_ups < 3 AND m.content IS NOT NULL
            AND a.closed_real + (ARRAY['30 s', '2 min', '10 min']::interval[])[m.look_ups + 1] <= (SELECT clock_timestamp())
            AND (m.looked_up_real IS NULL OR m.looked_up_real + interval '1 minute' <= (SELECT clock_timestamp())))
    UNION ALL SELECT 'enrol' WHERE (
        SELECT true FROM cart c WHERE c.shop_id = s.shop_id AND c.look_at <= :now ORDER BY c.look_at LIMIT 1)
    UNION ALL SELECT 'react' WHERE (
        SELECT true FROM event e WHERE e.shop_id = s.shop_id AND e.handled_at IS NULL ORDER BY e.recorded_at LIMIT 1)
    UNION ALL SELECT 'decide' WHERE (
        SELECT true FROM recovery r WHERE r.shop_id = s.shop_id AND r.wake_at <= :now ORDER BY r.wake_at LIMIT 1)
    UNION ALL SELECT 'confirm' WHERE EXISTS (
        SELECT FROM opt_in o WHERE o.shop_id = s.shop_id AND o.channel = ANY((SELECT :channels::text[])::text[])
            AND o.state = 'waiting'
            AND (o.retry_real IS NULL OR o.retry_real <= (SELECT clock_timestamp())) AND NOT EXISTS (SELECT FROM channel_rest z
                WHERE z.shop_id = s.shop_id AND z.channel = o.channel AND z.until_real > clock_timestamp()))
    UNION ALL SELECT 'prepare' WHERE (
        SELECT true FROM message m WHERE m.shop_id = s.shop_id AND m.state = 'planned' AND m.not_before <= :now
        ORDER BY m.not_before LIMIT 1)
    UNION ALL SELECT 'deliver' WHERE EXISTS (
        SELECT FROM unnest((SELECT :channels::text[])) AS n (channel) WHERE NOT EXISTS (SELECT FROM channel_rest z
                WHERE z.shop_id = s.shop_id AND z.channel = n.channel AND z.until_real > clock_timestamp())
            AND coalesce(
                (SELECT true FROM message m WHERE m.shop_id = s.shop_id AND m.channel = n.channel
                    AND m.state IN ('prepared', 'retry_wait') AND m.retry_real IS NULL AND m.not_before <= :now
                    ORDER BY m.not_before LIMIT 1),
                (SELECT true FROM message m WHERE m.shop_id = s.shop_id AND m.channel = n.channel
                    AND m.state IN ('prepared', 'retry_wait') AND m.retry_real <= (SELECT clock_timestamp())
                    AND m.not_before <= :now ORDER BY m.retry_real LIMIT 1), false))
) AS d
WHERE NOT EXISTS (
    SELECT FROM work r WHERE r.shop_id = s.shop_id AND r.name = d.name AND r.rest_until_real > clock_timestamp());

-- name: next_instant$
-- The earliest shop time after now at which something of these shops is due.
SELECT min(t) FROM unnest(:shops::bigint[]) AS s (shop_id)
CROSS JOIN LATERAL (
    SELECT min(w.due_at) AS t FROM work w WHERE w.shop_id = s.shop_id AND w.name = 'poll' AND w.due_at > :now
    UNION ALL SELECT min(z.until) FROM pause z WHERE z.shop_id = s.shop_id AND z.lifted_at IS NULL AND z.until > :now
    UNION ALL SELECT min(c.look_at) FROM cart c WHERE c.shop_id = s.shop_id AND c.look_at > :now
    UNION ALL SELECT min(r.wake_at) FROM recovery r WHERE r.shop_id = s.shop_id AND r.wake_at > :now
    UNION ALL SELECT min(m.not_before) FROM message m
        WHERE m.shop_id = s.shop_id AND m.state IN ('planned', 'prepared', 'retry_wait') AND m.not_before > :now
    UNION ALL SELECT min(b.until) FROM member b WHERE b.shop_id = s.shop_id AND b.ended_at IS NULL AND b.until > :now
) AS d;

-- name: busy$
-- Whether anything of these shops is being done right now.
SELECT EXISTS (SELECT FROM work WHERE shop_id = ANY(:shops::bigint[]) AND lease_until_real > clock_timestamp())
    OR EXISTS (SELECT FROM message WHERE shop_id = ANY(:shops::bigint[]) AND state = 'sending')
    OR EXISTS (SELECT FROM opt_in WHERE shop_id = ANY(:shops::bigint[]) AND state = 'sending');

-- name: status
SELECT name, due_at, failures, problem, last_good_at, last_good_real,
    clock_timestamp() - last_good_real AS silent_for, state
FROM work WHERE shop_id = :shop_id ORDER BY name;
