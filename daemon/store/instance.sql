-- name: beat^
-- One more beat. What was before it is told too: who works and beats first after a silence of all who work learns how long
-- it was, and who beats first after the server's clock was put back learns by how much.
UPDATE instance i SET beats = i.beats + 1, alive_real = clock_timestamp(),
    worked_real = CASE WHEN :works THEN clock_timestamp() ELSE least(i.worked_real, clock_timestamp()) END
FROM (SELECT alive_real, worked_real FROM instance FOR UPDATE) AS was
RETURNING i.id, i.beats, i.home,
    CASE WHEN :works THEN clock_timestamp() - was.worked_real ELSE interval '0' END AS silence,
    greatest(was.alive_real - clock_timestamp(), interval '0') AS put_back,
    (SELECT system_identifier FROM pg_control_system()) || ':'
        || (SELECT oid FROM pg_database WHERE datname = current_database()) AS here;

-- name: settle!
-- This is where it lives, and what any host remembers is behind it from now on.
UPDATE instance SET home = :home, beats = greatest(beats, :beats);

-- name: hold
-- Nothing is sent until somebody says `resume`, and then nothing that was due before.
INSERT INTO pause (shop_id, reason, since, catch_up, cause)
SELECT s.shop_id, :reason, :now, false, 'forgotten' FROM shop s
WHERE NOT EXISTS (SELECT FROM pause z WHERE z.shop_id = s.shop_id AND z.lifted_at IS NULL AND NOT z.catch_up)
ORDER BY s.shop_id
RETURNING shop_id;

-- name: leap^
-- Numbers that were handed out since a backup was made stand in the links of mails that are out there: nobody else may get
-- them.
SELECT setval(pg_get_serial_sequence('message', 'id'), nextval(pg_get_serial_sequence('message', 'id')) + :by::bigint) AS messages,
    setval(pg_get_serial_sequence('opt_in', 'id'), nextval(pg_get_serial_sequence('opt_in', 'id')) + :by::bigint) AS requests,
    setval('fence', nextval('fence') + :by::bigint) AS fences;

-- name: put_back!
-- The server's clock was put back: what it had stamped into its future is moved by as much, so that nothing is held until
-- the clock is there again. A message that somebody is at just now gets its stamp from them. A silence that ended in the
-- future was none.
WITH waiting AS MATERIALIZED (
    SELECT m.shop_id, m.id FROM shop s JOIN message m ON m.shop_id = s.shop_id AND m.channel = ANY(:channels::text[])
        AND m.state IN ('prepared', 'retry_wait') AND m.retry_real > (SELECT clock_timestamp()) AND m.retry_real < 'infinity'
    ORDER BY m.shop_id, m.id FOR NO KEY UPDATE OF m SKIP LOCKED
), waits AS (
    UPDATE message m SET retry_real = m.retry_real - :by::interval FROM waiting w WHERE m.shop_id = w.shop_id AND m.id = w.id
), leased AS MATERIALIZED (
    SELECT m.shop_id, m.id FROM shop s JOIN message m ON m.shop_id = s.shop_id AND m.state = 'sending'
        AND m.lease_until_real > (SELECT clock_timestamp())
    ORDER BY m.shop_id, m.id FOR NO KEY UPDATE OF m SKIP LOCKED
), leases AS (
    UPDATE message m SET lease_until_real = m.lease_until_real - :by::interval FROM leased w
    WHERE m.shop_id = w.shop_id AND m.id = w.id
), doubtful AS MATERIALIZED (
    SELECT m.shop_id, m.id FROM shop s JOIN message m ON m.shop_id = s.shop_id AND m.state = 'unknown'
        AND m.reconcile_real > (SELECT clock_timestamp())
    ORDER BY m.shop_id, m.id FOR NO KEY UPDATE OF m SKIP LOCKED
), doubts AS (
    UPDATE message m SET reconcile_real = m.reconcile_real - :by::interval FROM doubtful w
    WHERE m.shop_id = w.shop_id AND m.id = w.id
), works AS (
    UPDATE work SET rest_until_real = rest_until_real - :by::interval, lease_until_real = lease_until_real - :by::interval,
        last_good_real = least(last_good_real, clock_timestamp()),
        due_at = CASE WHEN due_at > :now THEN greatest(:now, due_at - :by::interval * (SELECT speed::float8 FROM clock))
            ELSE due_at END
), rests AS (
    UPDATE channel_rest SET until_real = until_real - :by::interval
), beats AS (
    UPDATE heartbeat SET beat_real = least(beat_real, clock_timestamp()), since_real = least(since_real, clock_timestamp())
), silences AS (
    DELETE FROM pause WHERE cause = 'silence' AND lifted_at > :now
), counted AS MATERIALIZED (
    SELECT channel, name FROM allowance ORDER BY channel, name FOR NO KEY UPDATE
)
UPDATE allowance a SET since_real = least(a.since_real, clock_timestamp()), next_real = a.next_real - :by::interval,
    queue_real = a.queue_real - :by::interval, slowed_until_real = a.slowed_until_real - :by::interval,
    shares = (SELECT coalesce(jsonb_object_agg(e.key, e.value || jsonb_build_object(
        'until', (e.value ->> 'until')::float8 - extract(epoch FROM :by::interval))), '{}') FROM jsonb_each(a.shares) AS e)
FROM counted c WHERE a.channel = c.channel AND a.name = c.name;

-- name: stood_still
-- A pause that is over as soon as it is known of.
INSERT INTO pause (shop_id, reason, since, lifted_at, catch_up, cause)
SELECT s.shop_id, :reason, :now::timestamptz - :silence::interval, :now, false, 'silence' FROM shop s ORDER BY s.shop_id
RETURNING shop_id;

-- name: standstills
SELECT s.name AS shop, z.reason, z.since, z.lifted_at FROM pause z JOIN shop s ON s.shop_id = z.shop_id
WHERE NOT z.catch_up AND (z.lifted_at IS NULL OR z.lifted_at > :since) ORDER BY z.since, s.name;
