-- name: add
INSERT INTO suppression (shop_id, channel, address_hmac, reason, source, since)
SELECT :shop_id, :channel, n.hmac, n.reason, :source, n.since
FROM unnest(:hmacs::bytea[], :reasons::text[], :times::timestamptz[]) AS n (hmac, reason, since)
ORDER BY n.hmac
ON CONFLICT (shop_id, channel, address_hmac) DO UPDATE SET reason = excluded.reason, source = excluded.source, since = excluded.since
WHERE suppression.source = 'merge'
RETURNING address_hmac;

-- name: remove
DELETE FROM suppression WHERE shop_id = :shop_id AND channel = :channel AND address_hmac = ANY(:hmacs::bytea[])
RETURNING address_hmac;

-- name: owners
SELECT id FROM person WHERE shop_id = :shop_id AND (email_hmac = ANY(:hmacs::bytea[]) OR phone_hmac = ANY(:hmacs::bytea[]))
    AND merged_into IS NULL
ORDER BY id;

-- name: of_addresses
SELECT s.name AS shop, z.channel, z.reason, z.source, z.since FROM suppression z JOIN shop s ON s.shop_id = z.shop_id
WHERE z.shop_id = ANY(:shops::bigint[]) AND z.address_hmac = ANY(:hmacs::bytea[]) ORDER BY s.name, z.since, z.channel;

-- name: all
SELECT s.channel, encode(s.address_hmac, 'hex') AS address, s.reason, s.source, s.since, p.id AS person_id
FROM suppression s LEFT JOIN person p ON p.shop_id = s.shop_id AND p.email_hmac = s.address_hmac AND p.merged_into IS NULL
WHERE s.shop_id = :shop_id ORDER BY s.since, s.address_hmac;
