-- name: register^
-- The shop's row, made if it is new. One that had been taken out is back.
INSERT INTO shop (name, mode, added_at) VALUES (:name, 'rehearsal', :now)
ON CONFLICT (name) DO UPDATE SET left_at = NULL
RETURNING shop_id, mode;

-- name: set_mode!
UPDATE shop SET mode = :mode, live_since = CASE WHEN :mode::text = 'live' THEN :now ELSE live_since END
WHERE shop_id = :shop_id;

-- name: all
SELECT shop_id, name, mode, left_at FROM shop ORDER BY shop_id;

-- name: take_out
-- All shops that are not among these; since when is kept.
WITH news AS (
    UPDATE shop SET left_at = :now WHERE name <> ALL(:names::text[]) AND left_at IS NULL RETURNING shop_id
)
SELECT s.shop_id, s.name, n.shop_id IS NOT NULL AS is_new FROM shop s LEFT JOIN news n ON n.shop_id = s.shop_id
WHERE s.name <> ALL(:names::text[]) ORDER BY s.shop_id;

-- name: pepper_fingerprint$
-- The fingerprint that this database was made with; the first one to ask sets it.
WITH made AS (
    INSERT INTO instance (pepper_fingerprint) VALUES (:fingerprint) ON CONFLICT DO NOTHING RETURNING pepper_fingerprint
)
SELECT pepper_fingerprint FROM made UNION ALL SELECT pepper_fingerprint FROM instance LIMIT 1;

-- name: known_fingerprint$
-- The fingerprint that this database was made with, null before a first process that acts.
SELECT pepper_fingerprint FROM instance LIMIT 1;

-- name: beat!
INSERT INTO heartbeat (process, kind, version, journal_lines, held, beat_real)
VALUES (:process, :kind, :version, :journal_lines, :held, clock_timestamp())
ON CONFLICT (process) DO UPDATE SET journal_lines = excluded.journal_lines, held = excluded.held,
    beat_real = excluded.beat_real;

-- name: leave!
DELETE FROM heartbeat WHERE process = :process OR beat_real < clock_timestamp() - interval '1 day';

-- name: journals_waiting$
-- Web processes whose disks may hold an opt-out that the database does not know: they say so, or they have not reported
-- since the database (or our way to it) came back. A process that stays silent is waited for at most a minute; and when the
-- server's clock was put back to before that, only what they say counts.
SELECT count(*) FROM heartbeat, greatest(pg_postmaster_start_time(), :since::timestamptz) AS back
WHERE kind IN ('all', 'web') AND beat_real > back - interval '1 day' AND CASE
    WHEN beat_real > back OR back > clock_timestamp() THEN journal_lines > 0 AND beat_real > clock_timestamp() - interval '60 seconds'
    ELSE clock_timestamp() < back + interval '60 seconds' END;

-- name: beats
SELECT process, kind, version, journal_lines, clock_timestamp() - beat_real AS silent_for, held FROM heartbeat ORDER BY process;
