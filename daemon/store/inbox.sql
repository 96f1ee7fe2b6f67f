-- name: keep!
-- Deliveries, raw. One that we have already is not written again; sorted, so that two groups never wait for each other
-- in a circle. Shop time is the database's, so the hook asks for nothing before it writes.
INSERT INTO inbox (shop_id, source, delivery_id, body, received_at)
SELECT n.shop_id, n.source, n.delivery_id, n.body, clock.base_shop + (clock_timestamp() - clock.base_real) * clock.speed::float8
FROM unnest(:shops::bigint[], :sources::text[], :deliveries::text[], :bodies::bytea[])
    AS n (shop_id, source, delivery_id, body)
CROSS JOIN clock
ORDER BY n.shop_id, n.source, n.delivery_id
ON CONFLICT (shop_id, source, delivery_id) DO NOTHING;

-- name: waiting
-- What was pushed and has had no effect yet, oldest first.
SELECT id, source, delivery_id, body, received_at
FROM inbox
WHERE shop_id = :shop_id AND state = 'waiting' AND source <> 'mail' AND source NOT LIKE 'channel %'
ORDER BY id
LIMIT :most;

-- name: close
-- Each with what came of it; one that is closed already stays as it is.
UPDATE inbox SET state = n.state, effect = n.effect, done_at = :now
FROM unnest(:ids::bigint[], :states::text[], :effects::text[]) AS n (id, state, effect)
WHERE inbox.shop_id = :shop_id AND inbox.id = n.id AND inbox.state = 'waiting'
RETURNING inbox.id;

-- name: mails_waiting
-- Mails that have had no effect yet, oldest first; not those about a message whose relay has yet to answer us.
SELECT id, source, delivery_id, body, received_at
FROM inbox i
WHERE shop_id = :shop_id AND state = 'waiting' AND source = 'mail' AND NOT EXISTS (
    SELECT FROM message m WHERE m.shop_id = i.shop_id AND m.id = i.message_id AND m.state = 'sending')
ORDER BY id
LIMIT :most;

-- name: told_waiting
-- What the providers of channels told, oldest first; not about a message whose own answer has yet to arrive.
SELECT id, source, delivery_id, body, received_at
FROM inbox i
WHERE shop_id = :shop_id AND state = 'waiting' AND source LIKE 'channel %' AND NOT EXISTS (
    SELECT FROM message m WHERE m.shop_id = i.shop_id AND m.id = i.message_id AND m.state = 'sending')
ORDER BY id
LIMIT :most;

-- name: are_about!
-- What these speak of, noted while they have to wait, so that nobody reads them over and over.
UPDATE inbox SET message_id = n.message_id
FROM unnest(:ids::bigint[], :messages::bigint[]) AS n (id, message_id)
WHERE inbox.shop_id = :shop_id AND inbox.id = n.id AND inbox.state = 'waiting';

-- name: still_waiting
-- Those of them that nobody has worked off meanwhile. The caller holds the persons' locks.
SELECT id FROM inbox WHERE shop_id = :shop_id AND id = ANY(:ids::bigint[]) AND state = 'waiting'
ORDER BY id FOR NO KEY UPDATE;

-- name: close_mails!
-- Each with what came of it, the message that it speaks of, and whether a person is to read it.
UPDATE inbox SET state = n.state, effect = n.effect, done_at = :now, message_id = n.message_id, unread = n.unread
FROM unnest(:ids::bigint[], :states::text[], :effects::text[], :messages::bigint[], :unreads::boolean[])
    AS n (id, state, effect, message_id, unread)
WHERE inbox.shop_id = :shop_id AND inbox.id = n.id AND inbox.state = 'waiting';

-- name: unread
-- Replies that no person has read yet, oldest first.
SELECT i.id, i.message_id, i.body, i.received_at, m.person_id FROM inbox i
LEFT JOIN message m ON m.shop_id = i.shop_id AND m.id = i.message_id
WHERE i.shop_id = :shop_id AND i.unread AND i.id > :after ORDER BY i.id LIMIT :most;

-- name: reply^
-- One mail that a person wrote, read or not.
SELECT i.id, i.message_id, i.body, i.received_at, m.person_id FROM inbox i
LEFT JOIN message m ON m.shop_id = i.shop_id AND m.id = i.message_id
WHERE i.shop_id = :shop_id AND i.id = :id AND (i.source = 'mail' OR i.source LIKE 'channel %') AND i.state = 'done';

-- name: count_unread$
SELECT count(*) FROM inbox WHERE shop_id = :shop_id AND unread;

-- name: has_read
-- Somebody has read these and seen to them.
UPDATE inbox SET unread = false WHERE shop_id = :shop_id AND id = ANY(:ids::bigint[]) AND unread RETURNING id;

-- name: forget_these!
-- About people who were erased: that they came is enough.
UPDATE inbox SET body = '' WHERE shop_id = :shop_id AND id = ANY(:ids::bigint[]) AND state <> 'waiting' AND NOT unread;

-- name: forget_mails
-- What came by mail is kept as long as raw hits are; that it came, and what came of it, stays. Unread replies stay whole.
WITH old AS (
    SELECT id FROM inbox WHERE shop_id = :shop_id AND source = 'mail' AND body <> '' AND NOT unread AND done_at < :until
    ORDER BY done_at LIMIT :most
)
UPDATE inbox i SET body = '' FROM old WHERE i.shop_id = :shop_id AND i.id = old.id AND NOT i.unread RETURNING i.id;

-- name: forget_pushed
-- What was pushed goes with its row. Only behind the given id, and none behind the first that is too young or still waits:
-- so a look reads what it forgets and one row more, however many there are.
WITH next AS MATERIALIZED (
    SELECT id, source, state, received_at FROM inbox WHERE shop_id = :shop_id AND id > :after ORDER BY id LIMIT :most
), old AS MATERIALIZED (
    SELECT id, source FROM next
    WHERE id < coalesce((SELECT min(id) FROM next WHERE received_at > :until OR state = 'waiting'), 9223372036854775807)
), done AS (
    DELETE FROM inbox i USING old WHERE i.shop_id = :shop_id AND i.id = old.id AND old.source <> 'mail' RETURNING i.id
)
SELECT max(old.id) AS reached, count(*) AS seen, (SELECT count(*) FROM done) AS forgotten FROM old;
