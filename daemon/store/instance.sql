-- name: beat^
-- One more beat. What was before it is told too: who beats first after a silence learns how long it was.
UPDATE instance i SET beats = i.beats + 1, alive_real = clock_timestamp()
FROM (SELECT alive_real FROM instance FOR UPDATE) AS was
RETURNING i.id, i.beats, i.home, clock_timestamp() - was.alive_real AS silence,
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

-- name: stood_still
-- A pause that is over as soon as it is known of.
INSERT INTO pause (shop_id, reason, since, lifted_at, catch_up, cause)
SELECT s.shop_id, :reason, :now::timestamptz - :silence::interval, :now, false, 'silence' FROM shop s ORDER BY s.shop_id
RETURNING shop_id;

-- name: standstills
SELECT s.name AS shop, z.reason, z.since, z.lifted_at FROM pause z JOIN shop s ON s.shop_id = z.shop_id
WHERE NOT z.catch_up AND (z.lifted_at IS NULL OR z.lifted_at > :since) ORDER BY z.since, s.name;
