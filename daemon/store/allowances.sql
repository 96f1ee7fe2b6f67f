-- name: take
-- The rows of these names, ours until the transaction ends; new ones are made. In one order, so nobody waits in a circle.
INSERT INTO allowance AS a (channel, name)
SELECT :channel, n.name FROM unnest(:names::text[]) AS n (name) ORDER BY n.name
ON CONFLICT (channel, name) DO UPDATE SET channel = excluded.channel
RETURNING a.name, a.since_real, a.next_real, a.queue_real, a.slowed, a.slowed_until_real, a.used, clock_timestamp() AS at;

-- name: settle!
-- What was taken of them. They are held already, so nobody is waited for.
UPDATE allowance a SET next_real = n.next_real, queue_real = n.queue_real, slowed = n.slowed,
    slowed_until_real = n.slowed_until_real, used = n.used
FROM unnest(:names::text[], :nexts::timestamptz[], :queues::timestamptz[], :sloweds::double precision[],
    :until_reals::timestamptz[], :useds::jsonb[]) AS n (name, next_real, queue_real, slowed, slowed_until_real, used)
WHERE a.channel = :channel AND a.name = n.name;

-- name: slow_down!
-- A provider asked for less: half of what it got, for a while. Complaints of one wave count once.
WITH them AS MATERIALIZED (
    SELECT name FROM allowance WHERE channel = :channel AND name = ANY(:names::text[])
    ORDER BY name FOR NO KEY UPDATE
)
UPDATE allowance a SET slowed = least(a.slowed * 2, 64), slowed_until_real = clock_timestamp() + :span
FROM them WHERE a.channel = :channel AND a.name = them.name
    AND (a.slowed_until_real IS NULL OR a.slowed_until_real < clock_timestamp() + :span::interval - interval '10 seconds');

-- name: shares^
-- What each process holds of a rate. Asked without a lock: most of the time nothing has to change.
SELECT a.shares, extract(epoch FROM clock_timestamp())::float8 AS at FROM allowance a
WHERE a.channel = :channel AND a.name = :name;

-- name: lock_shares^
INSERT INTO allowance AS a (channel, name) VALUES (:channel, :name)
ON CONFLICT (channel, name) DO UPDATE SET channel = excluded.channel
RETURNING a.shares, extract(epoch FROM clock_timestamp())::float8 AS at;

-- name: set_shares!
UPDATE allowance SET shares = :shares WHERE channel = :channel AND name = :name;

-- name: forget!
-- Lines at which nobody stands any more.
DELETE FROM allowance a USING (
    SELECT channel, name FROM allowance
    WHERE name LIKE 'domain %' AND next_real < clock_timestamp() - interval '1 day'
        AND coalesce(queue_real, next_real) < clock_timestamp() - interval '1 day'
    ORDER BY channel, name LIMIT 1000 FOR UPDATE SKIP LOCKED
) AS old
WHERE a.channel = old.channel AND a.name = old.name;

-- name: held
-- Messages that an allowance holds back, by reason, and when the next of them is looked at again.
SELECT m.channel, m.reason, count(*) AS messages, min(m.retry_real) - clock_timestamp() AS next_in
FROM message m
WHERE m.shop_id = :shop_id AND m.state IN ('prepared', 'retry_wait') AND m.retry_real > (SELECT clock_timestamp())
    AND m.reason LIKE 'held by %'
GROUP BY 1, 2 ORDER BY 1, 2;

-- name: forget_lines!
-- Nobody stands in these lines any more: their rate is another one now.
UPDATE allowance a SET next_real = NULL, queue_real = NULL FROM (
    SELECT channel, name FROM allowance WHERE channel = :channel AND name = ANY(:names::text[])
    ORDER BY name FOR NO KEY UPDATE
) AS old
WHERE a.channel = old.channel AND a.name = old.name;

-- name: free
-- Messages that are held for these reasons are looked at again now. What somebody is at just then is stepped over: its own
-- claim says what becomes of it.
WITH them AS MATERIALIZED (
    SELECT id FROM message WHERE shop_id = :shop_id AND channel = :channel AND state IN ('prepared', 'retry_wait')
        AND retry_real > (SELECT clock_timestamp()) AND reason = ANY(:reasons::text[])
    ORDER BY id LIMIT :most FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE message m SET retry_real = clock_timestamp() FROM them
WHERE m.shop_id = :shop_id AND m.id = them.id AND m.state IN ('prepared', 'retry_wait')
RETURNING m.id;
