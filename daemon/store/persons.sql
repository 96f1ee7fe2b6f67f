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

-- name: merge!
-- Everything of the younger belongs to the older from now on, those included who were merged into the younger before.
-- Messages are found by their recoveries, hits by their messages: nothing here reads a whole table.
-- The caller holds both locks and has ended the younger's recovery.
WITH moved_identities AS (
    UPDATE identity SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger
), moved_carts AS (
    UPDATE cart SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger
), moved_orders AS (
    UPDATE shop_order SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger
), moved_recoveries AS (
    UPDATE recovery SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger
    RETURNING id
), moved_messages AS (
    UPDATE message SET person_id = :older FROM moved_recoveries
    WHERE message.shop_id = :shop_id AND message.recovery_id = moved_recoveries.id
    RETURNING message.id
), moved_browsers AS (
    UPDATE subscription SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger
), moved_requests AS (
    UPDATE opt_in SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger
), moved_consents AS (
    UPDATE consent SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger
), moved_events AS (
    UPDATE event SET person_id = :older FROM moved_messages
    WHERE event.shop_id = :shop_id AND event.message_id = moved_messages.id
), moved_tombstones AS (
    UPDATE person SET merged_into = :older WHERE shop_id = :shop_id AND merged_into = :younger
), gone AS (
    UPDATE person SET merged_into = :older, merged_at = :at, customer_ref = NULL, email = NULL, email_hmac = NULL,
        phone = NULL, phone_hmac = NULL, facts_no = facts_no + 1
    WHERE shop_id = :shop_id AND id = :younger
    RETURNING active_at, may_be_written_to, fewer, wanted_again_at, chosen_locale
)
UPDATE person SET facts_no = facts_no + 1, active_at = greatest(person.active_at, gone.active_at),
    may_be_written_to = person.may_be_written_to AND gone.may_be_written_to, fewer = person.fewer OR gone.fewer,
    wanted_again_at = greatest(person.wanted_again_at, gone.wanted_again_at),
    chosen_locale = coalesce(nullif(person.chosen_locale, ''), gone.chosen_locale)
FROM gone WHERE shop_id = :shop_id AND id = :older;

-- name: cross!
-- Treated and held-out became one: their recoveries leave the comparison.
WITH them AS (
    UPDATE person SET crossed_at = :at WHERE shop_id = :shop_id AND id = :person RETURNING id
)
UPDATE recovery SET crossed = true FROM them WHERE recovery.shop_id = :shop_id AND recovery.person_id = them.id;
