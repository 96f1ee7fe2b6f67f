-- name: find_cart
SELECT id, shop_id, 'cart' AS noun FROM cart WHERE shop_id = ANY(:shops::bigint[]) AND (ref = :word OR id::text = :number);

-- name: find_person
SELECT i.person_id AS id, i.shop_id, 'person' AS noun FROM identity i
WHERE i.shop_id = ANY(:shops::bigint[]) AND i.kind IN ('customer', 'email') AND i.value = :word
UNION SELECT p.id, p.shop_id, 'person' FROM person p WHERE p.shop_id = ANY(:shops::bigint[]) AND p.id::text = :number;

-- name: find_message
SELECT m.id, m.shop_id, 'message' AS noun, m.recovery_id FROM message m
WHERE m.shop_id = ANY(:shops::bigint[]) AND m.id::text = :number;

-- name: carts
SELECT c.id, c.ref, c.person_id, c.state, c.stage, c.total, c.currency, c.total_is_estimate, jsonb_array_length(c.lines) AS lines,
    c.first_seen_at, c.changed_at, c.baseline, c.look_at, c.answer, c.answered_at, c.closed_at
FROM cart c WHERE c.shop_id = :shop_id AND (c.id = :cart_id OR c.person_id = :person_id
    OR EXISTS (SELECT FROM recovery r WHERE r.shop_id = c.shop_id AND r.cart_id = c.id AND r.id = :recovery_id))
ORDER BY c.first_seen_at, c.id;

-- name: recoveries
SELECT r.id, r.cart_id, r.episode, r.person_id, r.policy_name, r.policy_hash, r.held_out, r.rehearsal, r.crossed, r.started_at,
    r.state, r.wake_at, r.end_reason, r.ended_at, o.ref AS order_ref, r.evidence
FROM recovery r LEFT JOIN shop_order o ON o.shop_id = r.shop_id AND o.id = r.order_id
WHERE r.shop_id = :shop_id AND r.cart_id = ANY(:carts::bigint[]) ORDER BY r.started_at, r.id;

-- name: decisions
SELECT d.recovery_id, d.at, d.verdict, d.step, d.until, d.because, d.questions, d.facts, d.policy_hash
FROM decision d WHERE d.shop_id = :shop_id AND d.recovery_id = ANY(:recoveries::bigint[]) ORDER BY d.id;

-- name: messages
SELECT m.id, m.recovery_id, m.step, m.channel, m.state, m.reason, m.basis, m.basis_evidence, m.planned_at, m.not_before,
    m.not_after, m.prepared_at, m.sending_at, m.accepted_at, m.ended_at, m.deferrals, m.tracked, m.provider_id,
    ARRAY(SELECT ROW(a.fence, a.started_at, a.outcome, a.code, a.error) FROM attempt a
        WHERE a.shop_id = m.shop_id AND a.message_id = m.id ORDER BY a.fence) AS attempts
FROM message m WHERE m.shop_id = :shop_id AND m.recovery_id = ANY(:recoveries::bigint[]) ORDER BY m.id;

-- name: events
SELECT e.message_id, e.kind, e.at, e.class, e.link_no, e.method, e.user_agent, e.detail
FROM event e WHERE e.shop_id = :shop_id AND e.message_id = ANY(:messages::bigint[]) ORDER BY e.at, e.id;

-- name: person^
SELECT p.id, p.customer_ref, p.locale, p.zone, p.customer_group, p.is_guest, p.may_be_written_to, p.active_at, p.facts_no,
    p.email IS NOT NULL AS has_email, p.merged_into, p.created_at,
    ARRAY(SELECT ROW(s.channel, s.reason, s.source, s.since) FROM suppression s
        WHERE s.shop_id = p.shop_id AND s.address_hmac IN (p.email_hmac, p.phone_hmac)) AS suppressions,
    ARRAY(SELECT ROW(k.purpose, k.state, k.at, k.source, k.evidence) FROM consent k
        WHERE k.shop_id = p.shop_id AND k.person_id = p.id ORDER BY k.id) AS consents,
    ARRAY(SELECT ROW(o.ref, o.placed_at, o.standing) FROM shop_order o
        WHERE o.shop_id = p.shop_id AND o.person_id = p.id ORDER BY o.placed_at DESC LIMIT 10) AS orders,
    ARRAY(SELECT ROW(b.audience, b.since, b.until, b.control, b.ended_at, b.end_reason, b.actual) FROM member b
        WHERE b.shop_id = p.shop_id AND b.person_id = p.id ORDER BY b.since, b.audience) AS audiences
FROM person p WHERE p.shop_id = :shop_id AND p.id = :person_id;
