-- name: carts
SELECT c.state, c.answer, count(*) AS carts FROM cart c
WHERE c.shop_id = :shop_id AND c.first_seen_at >= :since GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2;

-- name: recoveries
SELECT r.rehearsal, r.held_out, coalesce(r.end_reason, 'open') AS word, r.evidence, count(*) AS recoveries FROM recovery r
WHERE r.shop_id = :shop_id AND r.started_at >= :since GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- name: messages
SELECT m.rehearsal, m.channel, m.step, m.state, count(*) AS messages FROM message m
WHERE m.shop_id = :shop_id AND m.planned_at >= :since GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- name: hits
SELECT e.kind, coalesce(e.class, 'unknown') AS class, count(DISTINCT e.message_id) AS messages FROM event e
JOIN message m ON m.shop_id = e.shop_id AND m.id = e.message_id
WHERE e.shop_id = :shop_id AND m.planned_at >= :since AND NOT m.rehearsal GROUP BY 1, 2 ORDER BY 1, 2;

-- name: outcomes
-- Intention to treat: all enrolled and whether their person bought within the window, whatever became of the recovery.
SELECT r.person_id, r.held_out, r.crossed, EXISTS (
    SELECT FROM shop_order o WHERE o.shop_id = r.shop_id AND o.person_id = r.person_id AND o.standing = 'purchase'
        AND o.placed_at >= r.started_at AND o.placed_at < r.started_at + :window::interval) AS recovered
FROM recovery r WHERE r.shop_id = :shop_id AND NOT r.rehearsal AND r.started_at >= :since;

-- name: money
-- Attributed, not proven: orders that ended a recovery, by what links them to it.
SELECT r.evidence, o.currency, count(*) AS orders, sum(o.total) AS total FROM recovery r
JOIN shop_order o ON o.shop_id = r.shop_id AND o.id = r.order_id
WHERE r.shop_id = :shop_id AND NOT r.rehearsal AND NOT r.held_out AND r.started_at >= :since GROUP BY 1, 2 ORDER BY 1, 2;

-- name: each
-- One row a recovery, in an order that does not depend on when anything was written.
SELECT c.ref AS cart, r.episode, r.policy_name AS policy, r.held_out, r.rehearsal, r.state, r.end_reason, r.evidence,
    ARRAY(
        SELECT ROW(m.step, m.channel, m.state, m.reason, (
            SELECT d.because FROM decision d WHERE d.shop_id = m.shop_id AND d.recovery_id = m.recovery_id
                AND d.step = m.step AND d.verdict = 'send' ORDER BY d.id LIMIT 1),
            ARRAY(SELECT ROW(e.kind, coalesce(e.class, 'unknown'), count(*)) FROM event e
                WHERE e.shop_id = m.shop_id AND e.message_id = m.id
                GROUP BY e.kind, coalesce(e.class, 'unknown') ORDER BY e.kind, coalesce(e.class, 'unknown')))
        FROM message m WHERE m.shop_id = r.shop_id AND m.recovery_id = r.id ORDER BY m.planned_at, m.step) AS steps
FROM recovery r JOIN cart c ON c.shop_id = r.shop_id AND c.id = r.cart_id
WHERE r.shop_id = :shop_id AND r.started_at >= :since ORDER BY c.ref, r.episode;
