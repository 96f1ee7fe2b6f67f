-- name: of_recoveries
-- Everything the rules are told about these recoveries, in one query. Asked again under the persons' locks by the gate.
-- OFFSET 0: person and cart are looked up one by one, and never all of them hashed because statistics are old.
SELECT r.id, r.person_id, r.cart_id, r.held_out, r.rehearsal, r.policy_hash, r.policy_name, r.started_at, r.wake_at, r.state,
    p.facts_no, p.email, p.phone, p.zone, p.region, p.fewer, p.wanted_again_at, p.customer_group, p.may_be_written_to,
    p.active_at,
    coalesce(nullif(p.chosen_locale, ''), p.locale) AS locale, p.first_name, p.last_name,
    c.changed_at, c.still_since, c.first_seen_at, c.total, c.total_is_estimate, c.currency, c.lines, c.state AS cart_state,
    c.stage, c.recovery_url, c.ref AS cart_ref,
    ARRAY(
        SELECT ROW(m.step, m.channel, m.state, coalesce(m.ended_at, m.accepted_at, m.sending_at, m.planned_at),
            ARRAY(SELECT DISTINCT e.kind FROM event e WHERE e.shop_id = m.shop_id AND e.message_id = m.id
                AND (e.kind IN ('opened', 'clicked') AND e.class = 'human' OR e.kind IN ('replied', 'complained')
                    OR e.kind = 'bounced' AND e.detail ->> 'severity' = 'hard')),
            ARRAY(SELECT DISTINCT e.kind FROM event e WHERE e.shop_id = m.shop_id AND e.message_id = m.id
                AND e.kind IN ('opened', 'clicked') AND e.class IS DISTINCT FROM 'human'))
        FROM message m WHERE m.shop_id = r.shop_id AND m.recovery_id = r.id ORDER BY m.id) AS taken,
    ARRAY(
        SELECT ROW(c.channel, c.sending_at) FROM (
            SELECT m.channel, m.sending_at FROM message m
            WHERE m.shop_id = r.shop_id AND m.person_id = r.person_id AND m.rehearsal = r.rehearsal AND m.sending_at > :horizon
                AND m.state IN ('sending', 'accepted', 'delivered', 'bounced', 'complained', 'unknown', 'unknown_final')
            UNION ALL
            SELECT m.channel, m.sending_at FROM parted q
            CROSS JOIN LATERAL (SELECT * FROM message m WHERE m.shop_id = q.shop_id AND m.person_id = q.other
                AND m.rehearsal = r.rehearsal AND m.sending_at > :horizon AND m.sending_at <= q.at
                AND m.state IN ('sending', 'accepted', 'delivered', 'bounced', 'complained', 'unknown', 'unknown_final')
                ORDER BY m.sending_at DESC LIMIT :most) AS m
            WHERE q.shop_id = r.shop_id AND q.person_id = r.person_id
        ) AS c ORDER BY c.sending_at DESC LIMIT :most) AS counted,
    ARRAY(
        SELECT ROW(n.purpose, n.state, n.id, n.at) FROM (
            SELECT DISTINCT ON (k.purpose) k.purpose, k.state, k.id, k.at FROM consent k
            WHERE k.shop_id = r.shop_id AND k.person_id = r.person_id ORDER BY k.purpose, k.id DESC) AS n) AS consents,
    ARRAY(
        SELECT s.channel FROM suppression s
        WHERE s.shop_id = r.shop_id AND s.channel IN ('any', 'email', 'sms', 'webpush', 'audience')
            AND s.address_hmac IN (p.email_hmac, p.phone_hmac)) AS suppressed,
    ARRAY(
        SELECT ROW(b.endpoint, b.p256dh, b.auth) FROM subscription b
        WHERE b.shop_id = r.shop_id AND b.person_id = r.person_id AND b.public_key IN ('', :push_key)
            AND NOT EXISTS (SELECT FROM suppression s WHERE s.shop_id = b.shop_id AND s.channel IN ('any', 'webpush')
                AND s.address_hmac = b.endpoint_hmac)
        ORDER BY b.seen_at DESC, b.id DESC) AS browsers,
    (SELECT i.value FROM identity i JOIN visitor v ON v.shop_id = i.shop_id AND v.name = i.value AND 'notices' = ANY(v.allowed)
        WHERE i.shop_id = r.shop_id AND i.person_id = r.person_id AND i.kind = 'onsite'
        ORDER BY i.since DESC, i.value LIMIT 1) AS visitor,
    (SELECT ROW(o.ref, o.placed_at) FROM shop_order o
        WHERE o.shop_id = r.shop_id AND o.person_id = r.person_id AND o.standing = 'purchase' AND o.placed_at < c.first_seen_at
        ORDER BY o.placed_at DESC LIMIT 1) AS last_bought,
    (SELECT max(z.lifted_at) FROM pause z WHERE z.shop_id = :shop_id AND NOT z.catch_up) AS stood_still_until,
    EXISTS (SELECT FROM shop_order o
        WHERE o.shop_id = r.shop_id AND o.person_id = r.person_id AND o.standing = 'purchase'
            AND (o.placed_at >= c.first_seen_at OR o.first_seen_at > r.started_at)) AS bought,
    EXISTS (SELECT FROM shop_order o
        WHERE o.shop_id = r.shop_id AND o.person_id = r.person_id AND o.standing = 'on_hold'
            AND (o.placed_at >= c.first_seen_at OR o.first_seen_at > r.started_at)) AS on_hold
FROM recovery r
CROSS JOIN LATERAL (SELECT * FROM person WHERE shop_id = r.shop_id AND id = r.person_id OFFSET 0) AS p
CROSS JOIN LATERAL (SELECT * FROM cart WHERE shop_id = r.shop_id AND id = r.cart_id OFFSET 0) AS c
WHERE r.shop_id = :shop_id AND r.id = ANY(:recoveries::bigint[])
ORDER BY r.id;
