-- name: owner$
-- Whose browser it is now.
SELECT person_id FROM subscription WHERE shop_id = :shop_id AND endpoint_hmac = :hmac;

-- name: keep$
-- One row a browser: whoever uses it now has it, with its newest keys. The caller holds the locks of both.
INSERT INTO subscription AS s (shop_id, person_id, endpoint, endpoint_hmac, p256dh, auth, public_key, device, since, seen_at)
VALUES (:shop_id, :person, :endpoint, :hmac, :p256dh, :auth, :public_key, :device, :now, :now)
ON CONFLICT (shop_id, endpoint_hmac) DO UPDATE SET p256dh = excluded.p256dh, auth = excluded.auth, public_key = excluded.public_key,
    device = coalesce(nullif(excluded.device, ''), s.device), seen_at = greatest(s.seen_at, excluded.seen_at),
    since = CASE WHEN s.person_id = excluded.person_id THEN s.since ELSE least(excluded.since, s.seen_at) END,
    person_id = excluded.person_id
RETURNING id;

-- name: trim
-- So many of a person's browsers live at once: those seen last.
WITH old AS (
    DELETE FROM subscription s USING (
        SELECT id FROM subscription WHERE shop_id = :shop_id AND person_id = :person
        ORDER BY seen_at DESC, id DESC OFFSET :most) AS n
    WHERE s.shop_id = :shop_id AND s.id = n.id
    RETURNING s.id, s.endpoint_hmac
), nameless AS (
    DELETE FROM identity i USING old
    WHERE i.shop_id = :shop_id AND i.kind = 'push' AND i.value = encode(old.endpoint_hmac, 'hex')
)
SELECT id FROM old ORDER BY id;

-- name: remove
-- This browser takes no more pushes. The caller holds its owner's lock.
WITH gone AS (
    DELETE FROM subscription WHERE shop_id = :shop_id AND endpoint_hmac = ANY(:hmacs::bytea[])
    RETURNING person_id, endpoint_hmac
), nameless AS (
    DELETE FROM identity i USING gone
    WHERE i.shop_id = :shop_id AND i.kind = 'push' AND i.value = encode(gone.endpoint_hmac, 'hex')
)
SELECT DISTINCT person_id FROM gone ORDER BY person_id;

-- name: of_person
-- Seen last, first.
SELECT id, endpoint, p256dh, auth, device, since, seen_at FROM subscription
WHERE shop_id = :shop_id AND person_id = :person ORDER BY seen_at DESC, id DESC;

-- name: forget_unseen
-- Browsers that were not seen for long.
WITH old AS (
    DELETE FROM subscription s USING (
        SELECT id FROM subscription WHERE shop_id = :shop_id AND seen_at < :until ORDER BY seen_at LIMIT :most) AS n
    WHERE s.shop_id = :shop_id AND s.id = n.id
    RETURNING s.id, s.endpoint_hmac
), nameless AS (
    DELETE FROM identity i USING old
    WHERE i.shop_id = :shop_id AND i.kind = 'push' AND i.value = encode(old.endpoint_hmac, 'hex')
)
SELECT id FROM old ORDER BY id;
