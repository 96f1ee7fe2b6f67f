-- name: before
-- What we knew of these carts.
SELECT id, ref, person_id, state, fingerprint, read_hash, version, source_updated_at
FROM cart WHERE shop_id = :shop_id AND ref = ANY(:refs::text[]);

-- name: keep
-- New and changed carts; an older version never overwrites a newer one. A cart that changed is looked at by enrolment
-- again; one that merely reads differently (a price, a name) keeps its time of change.
INSERT INTO cart AS c (shop_id, ref, person_id, state, stage, currency, total, total_is_estimate, lines, recovery_url, device,
    fingerprint, read_hash, source_updated_at, version, first_seen_at, changed_at, still_since, seen_at, baseline, look_at,
    answer, answered_at, closed_at)
SELECT :shop_id, n.ref, n.person_id, n.state, n.stage, n.currency, n.total, n.total_is_estimate, n.lines::jsonb, n.recovery_url, n.device,
    n.fingerprint, n.read_hash, n.source_updated_at, n.version, :now, n.changed_at, n.still_since, :now, n.baseline,
    CASE WHEN n.state = 'open' AND NOT n.baseline THEN n.still_since END,
    CASE WHEN n.baseline THEN 'known since the first look' ELSE '' END, CASE WHEN n.baseline THEN :now::timestamptz END,
    CASE WHEN n.state <> 'open' THEN :now::timestamptz END
FROM unnest(:refs::text[], :persons::bigint[], :states::text[], :stages::text[], :currencies::text[], :totals::numeric[],
    :estimates::boolean[], :lines::text[], :recovery_urls::text[], :devices::text[], :fingerprints::bytea[],
    :read_hashes::bytea[], :source_times::timestamptz[], :versions::bigint[], :changed::timestamptz[],
    :still::timestamptz[], :baselines::boolean[])
    AS n (ref, person_id, state, stage, currency, total, total_is_estimate, lines, recovery_url, device, fingerprint,
        read_hash, source_updated_at, version, changed_at, still_since, baseline)
ORDER BY n.ref
ON CONFLICT (shop_id, ref) DO UPDATE SET
    person_id = coalesce(excluded.person_id, c.person_id), state = excluded.state, stage = excluded.stage,
    currency = excluded.currency, total = excluded.total, total_is_estimate = excluded.total_is_estimate,
    lines = excluded.lines, recovery_url = excluded.recovery_url, device = excluded.device,
    fingerprint = excluded.fingerprint, read_hash = excluded.read_hash, source_updated_at = excluded.source_updated_at,
    version = excluded.version, seen_at = excluded.seen_at, closed_at = excluded.closed_at,
    first_seen_at = CASE WHEN c.state <> 'open' AND excluded.state = 'open' THEN excluded.first_seen_at ELSE c.first_seen_at END,
    changed_at = CASE WHEN c.fingerprint <> excluded.fingerprint OR c.state <> excluded.state
        THEN excluded.changed_at ELSE c.changed_at END,
    still_since = CASE WHEN c.fingerprint <> excluded.fingerprint OR c.state <> excluded.state
        THEN excluded.still_since ELSE c.still_since END,
    baseline = c.baseline AND c.fingerprint = excluded.fingerprint AND c.state = excluded.state,
    look_at = CASE WHEN excluded.state <> 'open' THEN NULL
        WHEN c.fingerprint <> excluded.fingerprint OR c.state <> excluded.state THEN excluded.still_since
        ELSE c.look_at END,
    answer = CASE WHEN c.fingerprint <> excluded.fingerprint OR c.state <> excluded.state THEN '' ELSE c.answer END,
    answered_at = CASE WHEN c.fingerprint <> excluded.fingerprint OR c.state <> excluded.state THEN NULL ELSE c.answered_at END
WHERE c.version <= excluded.version
RETURNING c.id, c.ref, c.person_id, c.state;

-- name: count_open$
SELECT count(*) FROM cart WHERE shop_id = :shop_id AND state = 'open';

-- name: absent
-- Open carts that a whole reading did not show, and whether an order explains it.
SELECT c.id, c.person_id, EXISTS (
    SELECT FROM shop_order o WHERE o.shop_id = c.shop_id AND o.standing IN ('purchase', 'pending', 'on_hold')
        AND (o.person_id = c.person_id OR (o.cart_ref <> '' AND o.cart_ref = c.ref))
        AND (o.placed_at >= c.first_seen_at OR o.first_seen_at >= c.changed_at)) AS ordered
FROM cart c
WHERE c.shop_id = :shop_id AND c.state = 'open' AND c.seen_at < :began AND NOT c.ref = ANY(:refs::text[])
ORDER BY c.id;

-- name: close
-- These are gone from the shop: bought or emptied. Without a fingerprint, whatever comes back under their name is news.
UPDATE cart c SET state = n.state, closed_at = :now, look_at = NULL, changed_at = :now, fingerprint = ''
FROM unnest(:ids::bigint[], :states::text[]) AS n (id, state)
WHERE c.shop_id = :shop_id AND c.id = n.id AND c.state = 'open'
RETURNING c.id, c.person_id, c.state;

-- name: make_baseline!
-- Going live: what is known now may not enrol until it changes.
UPDATE cart SET baseline = true, look_at = NULL, answer = 'known when the shop went live', answered_at = :now
WHERE shop_id = :shop_id AND state = 'open';

-- name: look_again!
-- Persons whose last recovery is over or whose facts changed: enrolment has another look at their carts.
UPDATE cart SET look_at = :at
WHERE shop_id = :shop_id AND person_id = ANY(:persons::bigint[]) AND state = 'open' AND NOT baseline AND answer <> 'enrolled';

-- name: ordered!
-- The carts that became these orders, by the shop's own link.
UPDATE cart c SET state = 'ordered', closed_at = :now, look_at = NULL
FROM shop_order o
WHERE o.shop_id = :shop_id AND o.id = ANY(:orders::bigint[]) AND o.standing = 'purchase' AND o.cart_ref <> ''
    AND c.shop_id = o.shop_id AND c.ref = o.cart_ref AND c.state = 'open' AND o.version >= c.version;

-- name: already_ordered!
-- The order arrived before the cart that it came from.
UPDATE cart c SET state = 'ordered', closed_at = :now, look_at = NULL
WHERE c.shop_id = :shop_id AND c.id = ANY(:ids::bigint[]) AND c.state = 'open' AND EXISTS (
    SELECT FROM shop_order o
    WHERE o.shop_id = c.shop_id AND o.cart_ref = c.ref AND o.cart_ref <> '' AND o.standing = 'purchase'
        AND o.version >= c.version);
