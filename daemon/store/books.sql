-- name: ongoing
-- Rows that contradict each other, among what is open, claimed or due. `overdue` gives work in progress its time; of a shop
-- that is no longer in shops.yaml nothing new is begun, and the pulse tells what it left.
SELECT 'recovery open without wake time or open message' AS kind, r.shop_id, 'recovery' AS noun, r.id FROM recovery r
WHERE r.state = 'open' AND r.wake_at IS NULL AND NOT EXISTS (
    SELECT FROM message m WHERE m.shop_id = r.shop_id AND m.recovery_id = r.id
        AND m.state IN ('planned', 'prepared', 'sending', 'retry_wait'))
UNION ALL
SELECT 'recovery ended with a message on its way', r.shop_id, 'message', m.id FROM message m
JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id
WHERE r.state = 'ended' AND m.state IN ('planned', 'prepared', 'retry_wait')
UNION ALL
SELECT 'message sending with its lease long over', m.shop_id, 'message', m.id FROM message m
WHERE m.state = 'sending' AND m.lease_until_real < clock_timestamp() - :overdue::interval
UNION ALL
SELECT 'message sending without an open attempt', m.shop_id, 'message', m.id FROM message m
WHERE m.state = 'sending' AND NOT EXISTS (
    SELECT FROM attempt a WHERE a.shop_id = m.shop_id AND a.message_id = m.id AND a.fence = m.fence AND a.outcome IS NULL)
UNION ALL
SELECT 'request sending with its lease long over', o.shop_id, 'request', o.id FROM opt_in o
WHERE o.state = 'sending' AND o.lease_until_real < clock_timestamp() - :overdue::interval
UNION ALL
SELECT 'request kept though nobody confirmed it in its time', o.shop_id, 'request', o.id FROM opt_in o
WHERE o.state NOT IN ('confirmed', 'sending') AND o.not_after < :now::timestamptz - :overdue::interval AND NOT EXISTS (
    SELECT FROM shop s WHERE s.shop_id = o.shop_id AND s.left_at IS NOT NULL)
UNION ALL
SELECT 'cart due for a look and overlooked', c.shop_id, 'cart', c.id FROM cart c
WHERE c.look_at < :now::timestamptz - :overdue::interval AND NOT EXISTS (
    SELECT FROM shop s WHERE s.shop_id = c.shop_id AND s.left_at IS NOT NULL)
UNION ALL
SELECT 'recovery due and overlooked', r.shop_id, 'recovery', r.id FROM recovery r
WHERE r.wake_at < :now::timestamptz - :overdue::interval AND NOT EXISTS (
    SELECT FROM shop s WHERE s.shop_id = r.shop_id AND s.left_at IS NOT NULL)
ORDER BY 1, 2, 4 LIMIT :most;

-- name: stretch
-- The same among all rows of a shop, of which a stretch is read: of each table what lies behind the id given for it, up
-- to `until`. Beside it the messages that were tried after `since`, however old they are.
WITH tried AS MATERIALIZED (
    SELECT id FROM message WHERE shop_id = :shop_id AND id > :messages AND id <= :until
    UNION SELECT message_id FROM attempt WHERE shop_id = :shop_id AND started_real > :since
), looked_at AS MATERIALIZED (
    SELECT m.id, m.state, m.recovery_id, m.basis, m.basis_evidence FROM tried t
    JOIN message m ON m.shop_id = :shop_id AND m.id = t.id
), contradictions AS (
SELECT 'message accepted without exactly one accepted attempt' AS kind, 'message' AS noun, m.id FROM looked_at m
WHERE m.state IN ('accepted', 'delivered', 'bounced', 'complained') AND 1 <> (
    SELECT count(*) FROM attempt a WHERE a.shop_id = :shop_id AND a.message_id = m.id AND a.outcome = 'accepted')
UNION ALL
SELECT 'attempt accepted and its message not', 'message', m.id FROM looked_at m
JOIN attempt a ON a.shop_id = :shop_id AND a.message_id = m.id
WHERE a.outcome = 'accepted' AND m.state NOT IN ('accepted', 'delivered', 'bounced', 'complained')
UNION ALL
SELECT 'message sent to somebody who is held out', 'message', m.id FROM looked_at m
JOIN recovery r ON r.shop_id = :shop_id AND r.id = m.recovery_id
WHERE r.held_out AND m.state NOT IN ('withheld', 'cancelled', 'expired')
UNION ALL
SELECT 'message sent without a basis', 'message', m.id FROM looked_at m
WHERE m.basis_evidence = '' AND m.basis <> 'none_required'
UNION ALL
SELECT 'cart at rest with neither recovery nor reason', 'cart', c.id FROM cart c
WHERE c.shop_id = :shop_id AND c.id > :carts AND c.id <= :until
    AND c.state = 'open' AND c.look_at IS NULL AND c.answer = ''
UNION ALL
SELECT 'cart enrolled without a recovery', 'cart', c.id FROM cart c
WHERE c.shop_id = :shop_id AND c.id > :carts AND c.id <= :until AND c.answer = 'enrolled' AND NOT EXISTS (
    SELECT FROM recovery r WHERE r.shop_id = c.shop_id AND r.cart_id = c.id)
UNION ALL
SELECT 'recovery of a cart that is not there', 'recovery', r.id FROM recovery r
WHERE r.shop_id = :shop_id AND r.id > :recoveries AND r.id <= :until AND NOT EXISTS (
    SELECT FROM cart c WHERE c.shop_id = r.shop_id AND c.id = r.cart_id)
UNION ALL
SELECT 'recovery with a policy that is not there', 'recovery', r.id FROM recovery r
WHERE r.shop_id = :shop_id AND r.id > :recoveries AND r.id <= :until AND NOT EXISTS (
    SELECT FROM policy y WHERE y.shop_id = r.shop_id AND y.hash = r.policy_hash)
UNION ALL
SELECT 'event done without effect', 'inbox', i.id FROM inbox i
WHERE i.shop_id = :shop_id AND i.id > :events AND i.id <= :until AND i.state <> 'waiting' AND i.effect = ''
UNION ALL
SELECT 'recovery bought without an order', 'recovery', r.id FROM recovery r
WHERE r.shop_id = :shop_id AND r.id > :recoveries AND r.id <= :until
    AND r.end_reason = 'purchase' AND r.order_id IS NULL AND NOT EXISTS (
    SELECT FROM shop_order o WHERE o.shop_id = r.shop_id AND o.person_id = r.person_id AND o.standing = 'purchase')
UNION ALL
SELECT 'person merged into somebody who was merged away', 'person', p.id FROM person p
JOIN person q ON q.shop_id = p.shop_id AND q.id = p.merged_into
WHERE p.shop_id = :shop_id AND p.id > :persons AND p.id <= :until AND q.merged_into IS NOT NULL
UNION ALL
SELECT 'request under way or confirmed without its link', 'request', o.id FROM opt_in o
WHERE o.shop_id = :shop_id AND o.id > :requests AND o.id <= :until
    AND o.state IN ('sending', 'accepted', 'unknown', 'confirmed') AND o.token_sha256 IS NULL
UNION ALL
SELECT 'request waiting or ended whose link still works', 'request', o.id FROM opt_in o
WHERE o.shop_id = :shop_id AND o.id > :requests AND o.id <= :until
    AND o.state IN ('waiting', 'failed', 'cancelled', 'expired') AND o.token_sha256 IS NOT NULL
UNION ALL
SELECT 'request confirmed and the ledger does not say so', 'request', o.id FROM opt_in o
WHERE o.shop_id = :shop_id AND o.id > :requests AND o.id <= :until AND o.state = 'confirmed'
    AND cardinality(o.purposes) > (SELECT count(DISTINCT k.purpose) FROM consent k
        WHERE k.shop_id = o.shop_id AND k.person_id = o.person_id AND k.purpose = ANY(o.purposes) AND k.state = 'confirmed'
            AND k.evidence LIKE 'double opt-in ' || o.id || ' by %')
UNION ALL
SELECT 'consent confirmed by a request that nobody confirmed', 'request', o.id FROM opt_in o
WHERE o.shop_id = :shop_id AND o.id > :requests AND o.id <= :until AND o.state <> 'confirmed' AND EXISTS (
    SELECT FROM consent k WHERE k.shop_id = o.shop_id AND k.person_id = o.person_id AND k.state = 'confirmed'
        AND k.evidence LIKE 'double opt-in ' || o.id || ' by %')
)
SELECT DISTINCT kind, :shop_id::bigint AS shop_id, noun, id FROM contradictions ORDER BY 1, 4 LIMIT :most;

-- name: tops
-- The highest id of each table, by shop.
SELECT s.shop_id,
    coalesce((SELECT max(id) FROM message m WHERE m.shop_id = s.shop_id), 0) AS messages,
    coalesce((SELECT max(id) FROM cart c WHERE c.shop_id = s.shop_id), 0) AS carts,
    coalesce((SELECT max(id) FROM inbox i WHERE i.shop_id = s.shop_id), 0) AS events,
    coalesce((SELECT max(id) FROM recovery r WHERE r.shop_id = s.shop_id), 0) AS recoveries,
    coalesce((SELECT max(id) FROM person p WHERE p.shop_id = s.shop_id), 0) AS persons,
    coalesce((SELECT max(id) FROM opt_in o WHERE o.shop_id = s.shop_id), 0) AS requests
FROM shop s ORDER BY s.shop_id;

-- name: sums
-- What stands beside what the relay counted.
SELECT s.name AS shop, m.rehearsal, m.channel, m.state, count(*) AS messages
FROM message m JOIN shop s ON s.shop_id = m.shop_id GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
