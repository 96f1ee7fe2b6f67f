-- name: add!
-- A visitor who allowed something, for the first time.
INSERT INTO visitor (shop_id, name, allowed, allowed_at, origin, wording, device, seen_at)
SELECT :shop_id, :name, :allowed::text[], c.at, :origin, :wording, :device, c.at
FROM (SELECT base_shop + (clock_timestamp() - base_real) * speed::float8 AS at FROM clock) AS c;

-- name: allow$
-- They changed their mind about some of it: the newest word is kept, and when it was said.
UPDATE visitor v SET allowed = :allowed::text[], origin = :origin, wording = :wording, seen_at = greatest(v.seen_at, c.at),
    allowed_at = CASE WHEN v.allowed = :allowed::text[] AND v.wording = :wording THEN v.allowed_at ELSE c.at END
FROM (SELECT base_shop + (clock_timestamp() - base_real) * speed::float8 AS at FROM clock) AS c
WHERE v.shop_id = :shop_id AND v.name = :name
RETURNING v.name;

-- name: withdraw
-- They take it all back: nothing connects this browser with anybody any more.
WITH gone AS (
    DELETE FROM visitor WHERE shop_id = :shop_id AND name = ANY(:names::text[]) RETURNING name
)
DELETE FROM identity i USING unnest(:names::text[]) AS n (name)
WHERE i.shop_id = :shop_id AND i.kind = 'onsite' AND i.value = n.name
RETURNING i.person_id;

-- name: of_visitor^
-- What they allowed, and whom the shop named as this visitor. That they came is noted once a day.
WITH here AS (
    UPDATE visitor v SET seen_at = c.at
    FROM (SELECT base_shop + (clock_timestamp() - base_real) * speed::float8 AS at FROM clock) AS c
    WHERE v.shop_id = :shop_id AND v.name = :name AND v.seen_at < c.at - interval '1 day'
)
SELECT v.allowed, i.person_id FROM visitor v
LEFT JOIN identity i ON i.shop_id = v.shop_id AND i.kind = 'onsite' AND i.value = v.name
WHERE v.shop_id = :shop_id AND v.name = :name;

-- name: named$
-- Whom a badge means: by the shop's number, else by the address.
SELECT i.person_id FROM identity i
WHERE i.shop_id = :shop_id AND (i.kind = 'customer' AND i.value = :customer OR i.kind = 'email' AND i.value = :email)
ORDER BY i.kind = 'customer' DESC LIMIT 1;

-- name: seen!
-- They were here. The cart of one who is not named yet is kept with them; NULL leaves the one that is there.
UPDATE visitor SET seen_at = greatest(seen_at, :at), device = coalesce(nullif(:device, ''), device),
    cart = CASE WHEN :forget THEN NULL ELSE coalesce(:cart::jsonb, cart) END
WHERE shop_id = :shop_id AND name = :name;

-- name: cart_of$
-- The cart of a visitor from before they were named.
SELECT cart FROM visitor WHERE shop_id = :shop_id AND name = :name;

-- name: attach$
-- The shop says who this visitor is: the name goes to that person, and nobody is merged by it. The caller holds the lock.
INSERT INTO identity AS i (shop_id, kind, value, person_id, since)
SELECT :shop_id, 'onsite', v.name, :person, :now FROM visitor v
WHERE v.shop_id = :shop_id AND v.name = :name AND v.allowed && ARRAY['notices', 'push']
ON CONFLICT (shop_id, kind, value) DO UPDATE SET person_id = excluded.person_id, since = excluded.since
WHERE i.person_id <> excluded.person_id
RETURNING i.value;

-- name: owners
-- Whose these visitors are.
SELECT DISTINCT person_id FROM identity
WHERE shop_id = :shop_id AND kind = 'onsite' AND value = ANY(:names::text[]) ORDER BY person_id;

-- name: owner^
-- Whose this visitor is, and whether nothing but browsers leads to them. No row: they allowed nothing by which anybody
-- could reach them.
SELECT i.person_id, NOT EXISTS (SELECT FROM identity o WHERE o.shop_id = i.shop_id AND o.person_id = i.person_id
    AND o.kind IN ('customer', 'email')) AS nameless
FROM visitor v LEFT JOIN identity i ON i.shop_id = v.shop_id AND i.kind = 'onsite' AND i.value = v.name
WHERE v.shop_id = :shop_id AND v.name = :name AND v.allowed && ARRAY['notices', 'push'];

-- name: nameless
-- Those to whom nothing but these visitors leads: without them nobody finds these persons any more.
SELECT DISTINCT i.person_id FROM identity i
WHERE i.shop_id = :shop_id AND i.kind = 'onsite' AND i.value = ANY(:names::text[])
    AND NOT EXISTS (SELECT FROM identity o WHERE o.shop_id = i.shop_id AND o.person_id = i.person_id AND o.kind <> 'push'
        AND NOT (o.kind = 'onsite' AND o.value = ANY(:names::text[])))
ORDER BY i.person_id;

-- name: stage
-- How far they came in the checkout, of a cart of theirs.
UPDATE cart SET stage = 'checkout'
WHERE shop_id = :shop_id AND ref = :ref AND person_id = :person AND state = 'open' AND stage = 'cart'
RETURNING id;

-- name: notices
-- What hangs for a person: handed over, the recovery still open, its cart still there, and nothing of it clicked or
-- dismissed. Not more often than so many times.
SELECT m.id, m.content FROM message m
JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id AND r.state = 'open'
JOIN cart c ON c.shop_id = r.shop_id AND c.id = r.cart_id AND c.state = 'open'
WHERE m.shop_id = :shop_id AND m.person_id = :person AND m.channel = 'onsite' AND m.state = 'accepted' AND NOT m.rehearsal
    AND m.content IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM message o JOIN event e ON e.shop_id = o.shop_id AND e.message_id = o.id
        WHERE o.shop_id = m.shop_id AND o.recovery_id = m.recovery_id AND o.channel = 'onsite' AND e.kind = 'dismissed')
    AND NOT EXISTS (
        SELECT FROM event e WHERE e.shop_id = m.shop_id AND e.message_id = m.id AND e.kind = 'clicked')
    AND (SELECT count(*) FROM event e WHERE e.shop_id = m.shop_id AND e.message_id = m.id AND e.kind = 'opened') < :most
ORDER BY m.id DESC LIMIT 1;

-- name: unseen
-- Visitors who have not come for long.
SELECT name FROM visitor WHERE shop_id = :shop_id AND seen_at < :until ORDER BY seen_at LIMIT :most;
