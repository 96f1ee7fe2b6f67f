-- name: lock
-- In the order that every writer keeps, waiting for whoever holds one.
SELECT id FROM person
WHERE shop_id = :shop_id AND id = ANY(:persons::bigint[])
ORDER BY id
FOR NO KEY UPDATE;

-- name: lock_recoveries
-- Their open recoveries, in the order that every writer keeps: outcomes and decisions are written without the persons'
-- locks. A statement of its own, so that the next one sees what was written while we waited.
SELECT id FROM recovery
WHERE shop_id = :shop_id AND person_id = ANY(:persons::bigint[]) AND state = 'open'
ORDER BY id
FOR NO KEY UPDATE;

-- name: lock_all_recoveries
-- The ended ones, too, for whoever writes all messages of these persons: an outcome that comes late locks its recovery first.
SELECT id FROM recovery WHERE shop_id = :shop_id AND person_id = ANY(:persons::bigint[])
ORDER BY id
FOR NO KEY UPDATE;

-- name: known
-- Who is behind these customer references and addresses. Joined from the asked side: each is one look into the index.
SELECT i.kind, i.value, i.since, p.id, p.customer_ref, p.email, p.is_guest,
    EXISTS (SELECT FROM identity c WHERE c.shop_id = p.shop_id AND c.person_id = p.id AND c.kind = 'customer') AS has_account
FROM (
    SELECT 'customer' AS kind, unnest(:refs::text[]) AS value UNION ALL SELECT 'email', unnest(:emails::text[])
) AS asked
JOIN identity i ON i.shop_id = :shop_id AND i.kind = asked.kind AND i.value = asked.value
JOIN person p ON p.shop_id = i.shop_id AND p.id = i.person_id;

-- name: new_ids
SELECT nextval(pg_get_serial_sequence('person', 'id')) AS id FROM generate_series(1, :count);

-- name: add!
INSERT INTO person (shop_id, id, split_key, created_at) OVERRIDING SYSTEM VALUE
SELECT :shop_id, n.id, n.split_key, :at FROM unnest(:ids::bigint[], :split_keys::float8[]) AS n (id, split_key) ORDER BY n.id;

-- name: identify!
-- An identity that somebody else had moves to the one named here.
INSERT INTO identity (shop_id, kind, value, person_id, since)
SELECT :shop_id, n.kind, n.value, n.person_id, :at
FROM unnest(:kinds::text[], :values::text[], :persons::bigint[]) AS n (kind, value, person_id)
ORDER BY n.kind, n.value
ON CONFLICT (shop_id, kind, value) DO UPDATE SET person_id = excluded.person_id, since = excluded.since
WHERE identity.person_id <> excluded.person_id;

-- name: forget_address!
-- The old addresses of persons whose e-mail changed: the identity moves, nobody is merged.
DELETE FROM identity i
USING unnest(:persons::bigint[], :emails::text[]) AS n (person_id, email)
WHERE i.shop_id = :shop_id AND i.kind = 'email' AND i.person_id = n.person_id AND i.value <> n.email;

-- name: describe
-- What the shop says of them now; only rows that differ are written, and a difference that matters raises facts_no.
UPDATE person p SET
    customer_ref = n.customer_ref, email = n.email, email_hmac = n.email_hmac, phone = n.phone, phone_hmac = n.phone_hmac,
    first_name = n.first_name, last_name = n.last_name, locale = n.locale, zone = n.zone, country = n.country,
    customer_group = n.customer_group, is_guest = n.is_guest, may_be_written_to = n.may_be_written_to,
    region = n.region, described_version = :version, facts_no = p.facts_no + 1
FROM unnest(:persons::bigint[], :customer_refs::text[], :emails::text[], :email_hmacs::bytea[], :phones::text[],
    :phone_hmacs::bytea[], :first_names::text[], :last_names::text[], :locales::text[], :zones::text[], :countries::text[],
    :groups::text[], :guests::boolean[], :may::boolean[], :regions::text[])
    AS n (id, customer_ref, email, email_hmac, phone, phone_hmac, first_name, last_name, locale, zone, country,
        customer_group, is_guest, may_be_written_to, region)
WHERE p.shop_id = :shop_id AND p.id = n.id AND p.described_version <= :version
    AND (p.customer_ref, p.email, p.phone, p.first_name, p.last_name, p.locale, p.zone, p.country,
         p.customer_group, p.is_guest, p.may_be_written_to, p.region)
    IS DISTINCT FROM (n.customer_ref, n.email, n.phone, n.first_name, n.last_name, n.locale, n.zone, n.country,
         n.customer_group, n.is_guest, n.may_be_written_to, n.region)
RETURNING p.id;

-- name: seen_active
-- Seen on the site: the ladder waits until they rest again.
UPDATE person p SET active_at = n.at, facts_no = p.facts_no + 1
FROM unnest(:persons::bigint[], :times::timestamptz[]) AS n (id, at)
WHERE p.shop_id = :shop_id AND p.id = n.id AND (p.active_at IS NULL OR p.active_at < n.at)
RETURNING p.id;

-- name: raise_facts!
UPDATE person SET facts_no = facts_no + 1 WHERE shop_id = :shop_id AND id = ANY(:persons::bigint[]);

-- name: consents_of
-- The newest word on each purpose.
SELECT DISTINCT ON (person_id, purpose) person_id, purpose, state, at, evidence
FROM consent WHERE shop_id = :shop_id AND person_id = ANY(:persons::bigint[])
ORDER BY person_id, purpose, id DESC;

-- name: emails
SELECT id, email FROM person WHERE shop_id = :shop_id AND id = ANY(:persons::bigint[]) AND email IS NOT NULL ORDER BY id;

-- name: written_to_elsewhere
UPDATE person p SET written_to_elsewhere_at = greatest(p.written_to_elsewhere_at, n.at)
FROM unnest(:hmacs::bytea[], :times::timestamptz[]) AS n (hmac, at)
WHERE p.shop_id = :shop_id AND p.email_hmac = n.hmac AND p.merged_into IS NULL
RETURNING p.id;

-- name: split_keys
SELECT id, split_key FROM person WHERE shop_id = :shop_id AND id = ANY(:persons::bigint[]) ORDER BY id;
