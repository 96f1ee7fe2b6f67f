-- name: violations
-- The books: rows that contradict each other. Empty when all is well. `overdue` gives work in progress its time.
SELECT 'recovery open without wake time or open message' AS kind, r.shop_id, 'recovery' AS noun, r.id FROM recovery r
WHERE r.state = 'open' AND r.wake_at IS NULL AND NOT EXISTS (
    SELECT FROM message m WHERE m.shop_id = r.shop_id AND m.recovery_id = r.id
        AND m.state IN ('planned', 'prepared', 'sending', 'retry_wait'))
UNION ALL
SELECT 'recovery ended with a message on its way', r.shop_id, 'message', m.id FROM recovery r
JOIN message m ON m.shop_id = r.shop_id AND m.recovery_id = r.id
WHERE r.state = 'ended' AND m.state IN ('planned', 'prepared', 'retry_wait')
UNION ALL
SELECT 'message accepted without exactly one accepted attempt', m.shop_id, 'message', m.id FROM message m
WHERE m.state IN ('accepted', 'delivered', 'bounced', 'complained') AND 1 <> (
    SELECT count(*) FROM attempt a WHERE a.shop_id = m.shop_id AND a.message_id = m.id AND a.outcome = 'accepted')
UNION ALL
SELECT 'attempt accepted and its message not', a.shop_id, 'message', a.message_id FROM attempt a
JOIN message m ON m.shop_id = a.shop_id AND m.id = a.message_id
WHERE a.outcome = 'accepted' AND m.state NOT IN ('accepted', 'delivered', 'bounced', 'complained')
UNION ALL
SELECT 'message sending with its lease long over', m.shop_id, 'message', m.id FROM message m
WHERE m.state = 'sending' AND m.lease_until_real < clock_timestamp() - :overdue::interval
UNION ALL
SELECT 'message sending without an open attempt', m.shop_id, 'message', m.id FROM message m
WHERE m.state = 'sending' AND NOT EXISTS (
    SELECT FROM attempt a WHERE a.shop_id = m.shop_id AND a.message_id = m.id AND a.fence = m.fence AND a.outcome IS NULL)
UNION ALL
SELECT 'message sent to somebody who is held out', m.shop_id, 'message', m.id FROM message m
JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id
WHERE r.held_out AND m.state NOT IN ('withheld', 'cancelled', 'expired')
UNION ALL
SELECT 'message sent without a basis', m.shop_id, 'message', m.id FROM message m
WHERE m.basis_evidence = '' AND m.basis <> 'none_required'
UNION ALL
SELECT 'cart at rest with neither recovery nor reason', c.shop_id, 'cart', c.id FROM cart c
WHERE c.state = 'open' AND c.look_at IS NULL AND c.answer = ''
UNION ALL
SELECT 'cart enrolled without a recovery', c.shop_id, 'cart', c.id FROM cart c
WHERE c.answer = 'enrolled' AND NOT EXISTS (SELECT FROM recovery r WHERE r.shop_id = c.shop_id AND r.cart_id = c.id)
UNION ALL
SELECT 'cart due for a look and overlooked', c.shop_id, 'cart', c.id FROM cart c
WHERE c.look_at < :now::timestamptz - :overdue::interval
UNION ALL
SELECT 'recovery due and overlooked', r.shop_id, 'recovery', r.id FROM recovery r
WHERE r.wake_at < :now::timestamptz - :overdue::interval
UNION ALL
SELECT 'event done without effect', i.shop_id, 'inbox', i.id FROM inbox i WHERE i.state <> 'waiting' AND i.effect = ''
UNION ALL
SELECT 'recovery bought without an order', r.shop_id, 'recovery', r.id FROM recovery r
WHERE r.end_reason = 'purchase' AND r.order_id IS NULL AND NOT EXISTS (
    SELECT FROM shop_order o WHERE o.shop_id = r.shop_id AND o.person_id = r.person_id AND o.standing = 'purchase')
UNION ALL
SELECT 'person merged into somebody who was merged away', p.shop_id, 'person', p.id FROM person p
JOIN person q ON q.shop_id = p.shop_id AND q.id = p.merged_into WHERE q.merged_into IS NOT NULL
ORDER BY 1, 2, 4 LIMIT 1000;

-- name: sums
-- What stands beside what the relay counted.
SELECT s.name AS shop, m.rehearsal, m.channel, m.state, count(*) AS messages
FROM message m JOIN shop s ON s.shop_id = m.shop_id GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
