-- name: merge$
-- Everything of the younger belongs to the older from now on, those included who were merged into the younger before.
-- Messages are found by their recoveries, hits by their messages: nothing here reads a whole table. What the older lacks
-- is taken over; who is held out, not written to, or objected on either side is so as one. All that moves is kept.
-- The caller holds both locks and has ended the younger's recovery.
WITH o AS MATERIALIZED (
    SELECT * FROM person WHERE shop_id = :shop_id AND id = :older
), y AS MATERIALIZED (
    SELECT * FROM person WHERE shop_id = :shop_id AND id = :younger
), identities AS (
    UPDATE identity SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger
    RETURNING kind, value, since
), carts AS (
    UPDATE cart SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger RETURNING id
), orders AS (
    UPDATE shop_order SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger RETURNING id
), recoveries AS (
    UPDATE recovery SET person_id = :older, crossed = crossed OR :crossed
    WHERE shop_id = :shop_id AND person_id = :younger
    RETURNING id
), messages AS (
    UPDATE message SET person_id = :older FROM recoveries
    WHERE message.shop_id = :shop_id AND message.recovery_id = recoveries.id
    RETURNING message.id
), events AS (
    UPDATE event SET person_id = :older FROM messages
    WHERE event.shop_id = :shop_id AND event.message_id = messages.id
), crossed AS (
    UPDATE recovery SET crossed = true
    WHERE shop_id = :shop_id AND person_id = :older AND :crossed AND NOT crossed
    RETURNING id
), consents AS (
    UPDATE consent SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger RETURNING id
), subscriptions AS (
    UPDATE subscription SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger RETURNING id
), requests AS (
    UPDATE opt_in SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger RETURNING id
), stones AS (
    UPDATE person SET merged_into = :older WHERE shop_id = :shop_id AND merged_into = :younger RETURNING id
), apart AS (
    UPDATE parted SET person_id = :older WHERE shop_id = :shop_id AND person_id = :younger AND other <> :older
        AND NOT EXISTS (SELECT FROM parted q WHERE q.shop_id = :shop_id AND q.person_id = :older AND q.other = parted.other)
    RETURNING other
), others AS (
    UPDATE parted SET other = :older WHERE shop_id = :shop_id AND other = :younger AND person_id <> :older
        AND NOT EXISTS (SELECT FROM parted q WHERE q.shop_id = :shop_id AND q.other = :older AND q.person_id = parted.person_id)
    RETURNING person_id
), addresses AS MATERIALIZED (
    SELECT DISTINCT a.kind, a.hmac FROM (SELECT * FROM o UNION ALL SELECT * FROM y) AS p
    CROSS JOIN LATERAL (VALUES ('email', p.email_hmac), ('phone', p.phone_hmac)) AS a (kind, hmac) WHERE a.hmac IS NOT NULL
), objections AS (
    INSERT INTO suppression (shop_id, channel, address_hmac, reason, source, since)
    SELECT DISTINCT ON (s.channel, t.hmac) :shop_id, s.channel, t.hmac, s.reason, 'merge', s.since
    FROM addresses a JOIN suppression s ON s.shop_id = :shop_id AND s.address_hmac = a.hmac
    JOIN addresses t ON t.hmac <> a.hmac AND t.kind = CASE s.channel WHEN 'sms' THEN 'phone' WHEN 'email' THEN 'email' ELSE t.kind END
    WHERE s.reason NOT IN ('refused by the mail server', 'refused by the provider', 'bounced')
    ORDER BY s.channel, t.hmac, s.since
    ON CONFLICT DO NOTHING
    RETURNING channel, encode(address_hmac, 'hex') AS hmac
), gone AS (
    UPDATE person SET merged_into = :older, merged_at = :at, customer_ref = NULL, email = NULL, email_hmac = NULL,
        phone = NULL, phone_hmac = NULL, facts_no = facts_no + 1
    WHERE shop_id = :shop_id AND id = :younger
), kept AS (
    UPDATE person p SET facts_no = p.facts_no + 1, active_at = greatest(p.active_at, y.active_at),
        written_to_elsewhere_at = greatest(p.written_to_elsewhere_at, y.written_to_elsewhere_at),
        may_be_written_to = p.may_be_written_to AND y.may_be_written_to, is_guest = p.is_guest AND y.is_guest,
        split_key = least(p.split_key, y.split_key), fewer = p.fewer OR y.fewer,
        wanted_again_at = greatest(p.wanted_again_at, y.wanted_again_at),
        crossed_at = CASE WHEN :crossed THEN coalesce(p.crossed_at, :at) ELSE coalesce(p.crossed_at, y.crossed_at) END,
        customer_ref = coalesce(p.customer_ref, y.customer_ref),
        email = coalesce(p.email, y.email), email_hmac = coalesce(p.email_hmac, y.email_hmac),
        phone = coalesce(p.phone, y.phone), phone_hmac = coalesce(p.phone_hmac, y.phone_hmac),
        first_name = coalesce(nullif(p.first_name, ''), y.first_name), last_name = coalesce(nullif(p.last_name, ''), y.last_name),
        locale = coalesce(nullif(p.locale, ''), y.locale), zone = coalesce(nullif(p.zone, ''), y.zone),
        country = coalesce(nullif(p.country, ''), y.country), region = coalesce(nullif(p.region, ''), y.region),
        chosen_locale = coalesce(nullif(p.chosen_locale, ''), y.chosen_locale),
        customer_group = coalesce(nullif(p.customer_group, ''), y.customer_group)
    FROM y WHERE p.shop_id = :shop_id AND p.id = :older
    RETURNING to_jsonb(p) AS row
)
INSERT INTO merge (shop_id, older, younger, kind, value, at, moved)
SELECT :shop_id, :older, :younger, :kind, :value, :at, jsonb_build_object(
    'older', (SELECT to_jsonb(o) FROM o), 'younger', (SELECT to_jsonb(y) FROM y), 'after', kept.row,
    'identities', (SELECT coalesce(jsonb_agg(jsonb_build_array(kind, value, since)), '[]') FROM identities),
    'carts', (SELECT coalesce(jsonb_agg(id), '[]') FROM carts), 'orders', (SELECT coalesce(jsonb_agg(id), '[]') FROM orders),
    'recoveries', (SELECT coalesce(jsonb_agg(id), '[]') FROM recoveries),
    'crossed', (SELECT coalesce(jsonb_agg(id), '[]') FROM crossed),
    'was_crossed', (SELECT coalesce(jsonb_agg(r.id), '[]') FROM recovery r
        WHERE r.shop_id = :shop_id AND r.person_id = :younger AND r.crossed),
    'consents', (SELECT coalesce(jsonb_agg(id), '[]') FROM consents),
    'subscriptions', (SELECT coalesce(jsonb_agg(id), '[]') FROM subscriptions),
    'requests', (SELECT coalesce(jsonb_agg(id), '[]') FROM requests),
    'stones', (SELECT coalesce(jsonb_agg(id), '[]') FROM stones),
    'others', (SELECT coalesce(jsonb_agg(person_id), '[]') FROM others),
    'apart', (SELECT coalesce(jsonb_agg(other), '[]') FROM apart),
    'objections', (SELECT coalesce(jsonb_agg(jsonb_build_array(channel, hmac)), '[]') FROM objections))
FROM kept
RETURNING id;

-- name: withdrawn
-- Purposes on which one of the two said no: so it is for both, and newer words are what the older says from now on.
INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence)
SELECT :shop_id, :older, n.purpose, 'withdrawn', :at, :at, 'merge', 'person ' || :younger
FROM (
    SELECT DISTINCT ON (person_id, purpose) person_id, purpose, state FROM consent
    WHERE shop_id = :shop_id AND person_id IN (:older, :younger) ORDER BY person_id, purpose, id DESC
) AS n
WHERE n.state = 'withdrawn' GROUP BY n.purpose ORDER BY n.purpose
RETURNING id;

-- name: add_withdrawn!
UPDATE merge SET moved = moved || jsonb_build_object('withdrawn', to_jsonb(:consents::bigint[]))
WHERE shop_id = :shop_id AND id = :id;

-- name: undone
-- Of pairs that an identity would make one: those for whom a merge by the same evidence was taken back.
SELECT n.a, n.b, n.kind, n.value
FROM unnest(:older::bigint[], :younger::bigint[], :kinds::text[], :values::text[]) AS n (a, b, kind, value)
WHERE EXISTS (SELECT FROM merge g WHERE g.shop_id = :shop_id AND g.older = n.a AND g.younger = n.b
    AND g.undone_at IS NOT NULL AND g.kind = n.kind AND g.value = n.value);

-- name: of_person
-- What a person was made of, and whom they were parted from, in their order.
SELECT id, older, younger, kind, value, at, undone_at, moved = '{}' AS final FROM merge
WHERE shop_id = :shop_id AND (older = :person OR younger = :person) ORDER BY id;

-- name: one^
SELECT g.id, g.older, g.younger, g.undone_at, g.moved = '{}' AS final, o.merged_into AS older_into, y.merged_into AS younger_into,
    (SELECT max(l.id) FROM merge l WHERE l.shop_id = g.shop_id AND l.undone_at IS NULL AND l.id > g.id AND l.older = g.older) AS later
FROM merge g
JOIN person o ON o.shop_id = g.shop_id AND o.id = g.older
JOIN person y ON y.shop_id = g.shop_id AND y.id = g.younger
WHERE g.shop_id = :shop_id AND g.id = :id;

-- name: people
-- The two, as far as they are there: whether they were merged away or erased.
SELECT id, merged_into, erased_at FROM person WHERE shop_id = :shop_id AND id = ANY(:people::bigint[]) ORDER BY id;

-- name: give_back!
-- What moved and is still with the older goes back. What either of them became since by the shop's own word stays. So
-- does an objection that was passed on, if somebody objected since: it could have been to either. Recoveries go with
-- their carts, those included that began since; at most one of them is open, as the younger's ended with the merge.
-- Messages that were sent go with their recoveries, and count for the caps of both (`parted`).
WITH g AS MATERIALIZED (
    SELECT moved, older, younger FROM merge WHERE shop_id = :shop_id AND id = :id
), identities AS (
    INSERT INTO identity AS i (shop_id, kind, value, person_id, since)
    SELECT :shop_id, n ->> 0, n ->> 1, g.younger, (n ->> 2)::timestamptz
    FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'identities') AS n WHERE n ->> 0 IN ('customer', 'email') ORDER BY 2, 3
    ON CONFLICT (shop_id, kind, value) DO UPDATE SET person_id = excluded.person_id, since = excluded.since
    WHERE i.person_id = (SELECT older FROM g)
), browsers AS (
    UPDATE identity i SET person_id = g.younger, since = (n ->> 2)::timestamptz
    FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'identities') AS n
    WHERE i.shop_id = :shop_id AND i.kind = n ->> 0 AND i.value = n ->> 1 AND i.kind IN ('push', 'onsite') AND i.person_id = g.older
), silent AS MATERIALIZED (
    SELECT NOT EXISTS (SELECT FROM event e WHERE e.shop_id = :shop_id AND e.person_id = g.older AND e.at >= merge.at
        AND e.kind IN ('unsubscribed', 'complained', 'stopped')) AS yes
    FROM g JOIN merge ON merge.shop_id = :shop_id AND merge.id = :id
), carts AS (
    UPDATE cart c SET person_id = g.younger FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'carts') AS n
    WHERE c.shop_id = :shop_id AND c.id = n::bigint AND c.person_id = g.older
    RETURNING c.id
), orders AS (
    UPDATE shop_order o SET person_id = g.younger FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'orders') AS n
    WHERE o.shop_id = :shop_id AND o.id = n::bigint AND o.person_id = g.older
), recoveries AS (
    UPDATE recovery r SET person_id = g.younger, crossed = r.crossed AND (g.moved -> 'was_crossed') @> to_jsonb(r.id)
    FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'carts') AS c
    WHERE r.shop_id = :shop_id AND r.cart_id = c::bigint AND r.person_id = g.older
    RETURNING r.id
), messages AS (
    UPDATE message m SET person_id = :younger FROM recoveries r
    WHERE m.shop_id = :shop_id AND m.recovery_id = r.id
    RETURNING m.id
), events AS (
    UPDATE event e SET person_id = :younger FROM messages m WHERE e.shop_id = :shop_id AND e.message_id = m.id
), compared AS (
    UPDATE recovery r SET crossed = false FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'crossed') AS n
    WHERE r.shop_id = :shop_id AND r.id = n::bigint AND r.person_id = g.older
), consents AS (
    UPDATE consent k SET person_id = g.younger FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'consents') AS n
    WHERE k.shop_id = :shop_id AND k.id = n::bigint AND k.person_id = g.older
), unsaid AS (
    DELETE FROM consent k USING g CROSS JOIN silent CROSS JOIN jsonb_array_elements(g.moved -> 'withdrawn') AS n
    WHERE k.shop_id = :shop_id AND k.id = n::bigint AND k.person_id = g.older AND k.source = 'merge' AND silent.yes
), subscriptions AS (
    UPDATE subscription b SET person_id = g.younger FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'subscriptions') AS n
    WHERE b.shop_id = :shop_id AND b.id = n::bigint AND b.person_id = g.older
), requests AS (
    UPDATE opt_in o SET person_id = g.younger FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'requests') AS n
    WHERE o.shop_id = :shop_id AND o.id = n::bigint AND o.person_id = g.older
), stones AS (
    UPDATE person p SET merged_into = g.younger FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'stones') AS n
    WHERE p.shop_id = :shop_id AND p.id = n::bigint AND p.merged_into = g.older
), apart AS (
    UPDATE parted q SET person_id = g.younger FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'apart') AS n
    WHERE q.shop_id = :shop_id AND q.person_id = g.older AND q.other = n::bigint
), others AS (
    UPDATE parted q SET other = g.younger FROM g CROSS JOIN jsonb_array_elements(g.moved -> 'others') AS n
    WHERE q.shop_id = :shop_id AND q.other = g.older AND q.person_id = n::bigint
), objections AS (
    DELETE FROM suppression s USING g CROSS JOIN silent CROSS JOIN jsonb_array_elements(g.moved -> 'objections') AS n
    WHERE s.shop_id = :shop_id AND s.channel = n ->> 0 AND s.address_hmac = decode(n ->> 1, 'hex') AND s.source = 'merge' AND silent.yes
), stays AS (
    UPDATE member b SET ended_at = NULL, end_reason = NULL, wanted = NOT b.control FROM g
    WHERE b.shop_id = :shop_id AND b.person_id = g.younger AND b.end_reason = 'merged' AND b.until > :at
), back AS (
    UPDATE person p SET customer_ref = y.customer_ref, email = y.email, email_hmac = y.email_hmac, phone = y.phone,
        phone_hmac = y.phone_hmac, merged_into = NULL, merged_at = NULL, facts_no = p.facts_no + 1
    FROM g CROSS JOIN jsonb_populate_record(NULL::person, g.moved -> 'younger') AS y
    WHERE p.shop_id = :shop_id AND p.id = g.younger
), as_before AS (
    UPDATE person p SET facts_no = p.facts_no + 1, split_key = b.split_key,
        crossed_at = CASE WHEN p.crossed_at IS NOT DISTINCT FROM a.crossed_at THEN b.crossed_at ELSE p.crossed_at END,
        active_at = CASE WHEN p.active_at IS NOT DISTINCT FROM a.active_at THEN b.active_at ELSE p.active_at END,
        written_to_elsewhere_at = CASE WHEN p.written_to_elsewhere_at IS NOT DISTINCT FROM a.written_to_elsewhere_at
            THEN b.written_to_elsewhere_at ELSE p.written_to_elsewhere_at END,
        may_be_written_to = CASE WHEN p.may_be_written_to = a.may_be_written_to THEN b.may_be_written_to ELSE p.may_be_written_to END,
        fewer = CASE WHEN p.fewer = a.fewer THEN b.fewer ELSE p.fewer END,
        wanted_again_at = CASE WHEN p.wanted_again_at IS NOT DISTINCT FROM a.wanted_again_at
            THEN b.wanted_again_at ELSE p.wanted_again_at END,
        is_guest = CASE WHEN p.is_guest = a.is_guest THEN b.is_guest ELSE p.is_guest END,
        customer_ref = CASE WHEN p.customer_ref IS NOT DISTINCT FROM a.customer_ref THEN b.customer_ref ELSE p.customer_ref END,
        email = CASE WHEN p.email_hmac IS NOT DISTINCT FROM a.email_hmac THEN b.email ELSE p.email END,
        email_hmac = CASE WHEN p.email_hmac IS NOT DISTINCT FROM a.email_hmac THEN b.email_hmac ELSE p.email_hmac END,
        phone = CASE WHEN p.phone_hmac IS NOT DISTINCT FROM a.phone_hmac THEN b.phone ELSE p.phone END,
        phone_hmac = CASE WHEN p.phone_hmac IS NOT DISTINCT FROM a.phone_hmac THEN b.phone_hmac ELSE p.phone_hmac END,
        first_name = CASE WHEN p.first_name = a.first_name THEN b.first_name ELSE p.first_name END,
        last_name = CASE WHEN p.last_name = a.last_name THEN b.last_name ELSE p.last_name END,
        locale = CASE WHEN p.locale = a.locale THEN b.locale ELSE p.locale END,
        zone = CASE WHEN p.zone = a.zone THEN b.zone ELSE p.zone END,
        country = CASE WHEN p.country = a.country THEN b.country ELSE p.country END,
        region = CASE WHEN p.region = a.region THEN b.region ELSE p.region END,
        chosen_locale = CASE WHEN p.chosen_locale = a.chosen_locale THEN b.chosen_locale ELSE p.chosen_locale END,
        customer_group = CASE WHEN p.customer_group = a.customer_group THEN b.customer_group ELSE p.customer_group END
    FROM g CROSS JOIN jsonb_populate_record(NULL::person, g.moved -> 'older') AS b
        CROSS JOIN jsonb_populate_record(NULL::person, g.moved -> 'after') AS a
    WHERE p.shop_id = :shop_id AND p.id = g.older
), remembered AS (
    INSERT INTO parted (shop_id, person_id, other, at)
    SELECT :shop_id, n.a, n.b, :at FROM (VALUES (:older::bigint, :younger::bigint), (:younger, :older)) AS n (a, b) ORDER BY n.a
    ON CONFLICT (shop_id, person_id, other) DO UPDATE SET at = excluded.at
)
UPDATE merge SET undone_at = :at, moved = '{}' WHERE shop_id = :shop_id AND id = :id;

-- name: go_on
-- The younger's recovery that ended with this merge goes on where nothing speaks against it; else it stays ended, and why.
-- What was cancelled of it stays cancelled: the next step is its next one. Asked after all else has gone back.
WITH asked AS MATERIALIZED (
    SELECT r.id, CASE
        WHEN EXISTS (SELECT FROM event e WHERE e.shop_id = g.shop_id AND e.person_id IN (g.older, g.younger) AND e.at >= g.at
            AND e.kind IN ('unsubscribed', 'complained', 'stopped')) THEN 'one of the two objected since'
        WHEN EXISTS (SELECT FROM recovery n WHERE n.shop_id = r.shop_id AND n.cart_id = r.cart_id AND n.episode > r.episode)
            THEN 'its cart was followed up anew since'
        WHEN EXISTS (SELECT FROM recovery n WHERE n.shop_id = r.shop_id AND n.person_id = r.person_id AND n.state = 'open')
            THEN 'another recovery of theirs is open'
        WHEN c.state <> 'open' THEN 'its cart was ' || c.state
        WHEN r.rehearsal <> (s.mode = 'rehearsal') THEN 'the shop is ' || s.mode || ' now'
    END AS because
    FROM merge g JOIN shop s ON s.shop_id = g.shop_id
    JOIN LATERAL (SELECT * FROM recovery n WHERE n.shop_id = g.shop_id AND n.person_id = g.younger AND n.ended_at = g.at
        AND n.end_reason = 'merged' ORDER BY n.id DESC LIMIT 1) AS r ON true
    JOIN cart c ON c.shop_id = r.shop_id AND c.id = r.cart_id
    WHERE g.shop_id = :shop_id AND g.id = :id
), opened AS (
    UPDATE recovery r SET state = 'open', ended_at = NULL, end_reason = NULL, wake_at = :at
    FROM asked WHERE r.shop_id = :shop_id AND r.id = asked.id AND asked.because IS NULL
)
SELECT id, because FROM asked;
