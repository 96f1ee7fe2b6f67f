-- name: enrol
-- Step 3, set-based: carts at rest become recoveries. Each due cart is held against the shop's policies in their order;
-- the first that takes it wins. Whatever is not taken gets its reason, and a time to look again if there is one.
-- A policy with a condition of its own answers 'ask' until the caller has answered for that cart.
-- Nothing here joins two sets whose size only the run can tell: on a table too young for statistics each such join is a
-- product of both. So answers are looked up in one object, lines are fetched at the end, and what was made is not joined.
WITH due AS MATERIALIZED (
    SELECT c.id, c.ref, c.person_id, c.currency, c.total, c.stage, c.changed_at, c.still_since
    FROM cart c
    WHERE c.shop_id = :shop_id AND c.look_at <= :now  -- by a CHECK, an open one
    ORDER BY c.look_at LIMIT :most
    FOR NO KEY UPDATE SKIP LOCKED
), terms AS MATERIALIZED (
    SELECT * FROM unnest(:hashes::text[], :names::text[], :rests::interval[], :least::numeric[], :currencies::text[],
        :oldest::interval[], :existing::boolean[], :again::interval[], :asks::boolean[], :never::text[], :groups::text[], :ways::text[])
        WITH ORDINALITY AS t (hash, name, rests_for, total_at_least, currency, not_older_than, existing_only, again_after,
            asks, never, groups, ways, place)
), known AS (
    SELECT due.*, p.id IS NULL AS nobody, p.email, p.customer_group, p.zone, p.may_be_written_to, p.active_at, p.split_key, p.crossed_at IS NOT NULL AS crossed,
        greatest(last.started_at, p.written_to_elsewhere_at) AS last_started_at, last.ended_at AS last_ended_at, last.state AS last_state, last.cart_id AS last_cart,
        coalesce(own.episode, 0) AS episode, own.started_at AS own_started_at,
        bought.newest AS bought_at, linked.ref IS NOT NULL AS became_order,
        CASE WHEN p.email IS NULL THEN array_remove(ARRAY[  -- by what else they can be reached
            CASE WHEN p.phone IS NOT NULL THEN 'phone' END,
            CASE WHEN EXISTS (SELECT FROM subscription b WHERE b.shop_id = p.shop_id AND b.person_id = p.id) THEN 'push' END,
            CASE WHEN EXISTS (SELECT FROM identity i JOIN visitor v ON v.shop_id = i.shop_id AND v.name = i.value
                WHERE i.shop_id = p.shop_id AND i.person_id = p.id AND i.kind = 'onsite' AND 'notices' = ANY(v.allowed))
                THEN 'onsite' END], NULL) END AS ways
    FROM due
    LEFT JOIN person p ON p.shop_id = :shop_id AND p.id = due.person_id
    LEFT JOIN LATERAL (
        SELECT r.started_at, r.ended_at, r.state, r.cart_id FROM recovery r
        WHERE r.shop_id = :shop_id AND r.person_id = due.person_id AND (r.rehearsal = :rehearsal OR r.state = 'open')
            AND r.end_reason IS DISTINCT FROM 'named'  -- until then their browser alone was known
        ORDER BY r.ended_at DESC LIMIT 1) AS last ON true
    LEFT JOIN LATERAL (
        SELECT r.episode, CASE WHEN r.rehearsal = :rehearsal THEN r.started_at END AS started_at FROM recovery r
        WHERE r.shop_id = :shop_id AND r.cart_id = due.id ORDER BY r.episode DESC LIMIT 1) AS own ON true
    LEFT JOIN LATERAL (
        SELECT max(o.placed_at) AS newest FROM shop_order o
        WHERE o.shop_id = :shop_id AND o.person_id = due.person_id AND o.standing = 'purchase') AS bought ON true
    LEFT JOIN LATERAL (
        SELECT o.ref FROM shop_order o
        WHERE o.shop_id = :shop_id AND o.cart_ref = due.ref AND o.cart_ref <> '' AND o.standing = 'purchase'
            AND o.placed_at >= due.changed_at LIMIT 1) AS linked ON true
), judged AS MATERIALIZED (
    SELECT k.id, k.person_id, k.episode, k.split_key, k.crossed, k.currency, k.total, k.stage, k.changed_at, k.customer_group, k.zone,
        k.bought_at, t.hash, t.name, t.place,
        CASE
            WHEN k.nobody OR k.email IS NULL AND NOT coalesce(k.ways && string_to_array(t.ways, chr(10)), false)
                THEN 'no: there is nobody to write to'
            WHEN NOT k.may_be_written_to THEN 'no: this customer is not written to'
            WHEN k.became_order OR k.bought_at >= k.changed_at THEN 'no: bought'
            WHEN k.last_state = 'open' AND k.last_cart = k.id THEN 'enrolled'
            WHEN k.last_state = 'open' THEN 'later: another cart of this person is being followed up'
            WHEN t.hash IS NULL THEN 'no: no policy is for this shop'
            WHEN greatest(k.still_since, k.active_at) + t.rests_for > :now THEN 'rests'
            WHEN k.stage IN ('payment', 'frozen') THEN 'later: a payment is under way'
            WHEN k.changed_at + t.not_older_than < :now THEN 'no: found too late'
            WHEN t.total_at_least IS NOT NULL AND t.currency <> k.currency THEN 'no: another currency than the policy asks for'
            WHEN k.total < t.total_at_least THEN 'no: the total is below what the policy asks for'
            WHEN t.existing_only AND k.bought_at IS NULL THEN 'no: has not bought here before'
            WHEN k.own_started_at >= k.changed_at THEN 'no: nothing has changed since the last recovery of this cart'
            WHEN k.last_started_at + t.again_after > :now THEN 'cooling'
            WHEN k.customer_group = ANY(string_to_array(t.groups, chr(10))) THEN 'no: this customer group is not written to'
            WHEN lower(k.email) LIKE ANY(string_to_array(t.never, chr(10))) THEN 'no: this address is never written to'
            WHEN t.asks AND a.holds IS NULL THEN 'ask'
            WHEN t.asks AND NOT a.holds THEN 'no: the policy''s condition does not hold'
            ELSE 'take'
        END AS word,
        greatest(k.still_since, k.active_at) + t.rests_for AS rested_at,
        k.last_started_at + t.again_after AS cooled_at, k.changed_at + t.not_older_than AS too_old_at
    FROM known k
    LEFT JOIN terms t ON true
    CROSS JOIN LATERAL (SELECT (:answers::jsonb ->> (k.id || ' ' || t.name))::boolean AS holds) AS a
), best AS (
    SELECT DISTINCT ON (id) id, person_id, episode, split_key, crossed, hash, name, word, rested_at, cooled_at, too_old_at,
        currency, total, stage, changed_at, customer_group, zone, bought_at
    FROM judged
    ORDER BY id, word <> 'take', word <> 'ask', word <> 'rests', word NOT LIKE 'later%', word <> 'cooling',
        CASE WHEN word = 'rests' THEN rested_at END, place
), chosen AS (
    SELECT *, row_number() OVER (PARTITION BY person_id, word ORDER BY changed_at DESC, id) AS nth FROM best
), made AS (
    INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, crossed, rehearsal, started_at, wake_at)
    SELECT :shop_id, id, episode + 1, person_id, hash, name, split_key < :holdout, crossed, :rehearsal, :now, :now
    FROM chosen WHERE word = 'take' AND nth = 1
    ORDER BY person_id
    RETURNING id, cart_id, policy_name, held_out
), settled AS (
    UPDATE cart SET
        look_at = CASE
            WHEN chosen.word = 'rests' THEN chosen.rested_at
            WHEN chosen.word = 'ask' THEN cart.look_at
            WHEN chosen.word LIKE 'later%' THEN :now + interval '30 minutes'
            WHEN chosen.word = 'take' AND chosen.nth > 1 THEN :now + interval '30 minutes'
            WHEN chosen.word = 'cooling' AND chosen.cooled_at < chosen.too_old_at THEN chosen.cooled_at
        END,
        answer = CASE
            WHEN chosen.word = 'take' AND chosen.nth = 1 THEN 'enrolled'
            WHEN chosen.word IN ('rests', 'ask') THEN ''
            WHEN chosen.word = 'take' THEN 'later: another cart of this person is being followed up'
            WHEN chosen.word = 'cooling' THEN 'no: the last recovery of this person is too recent'
            ELSE chosen.word
        END,
        answered_at = CASE WHEN chosen.word NOT IN ('rests', 'ask') THEN :now END
    FROM chosen WHERE cart.shop_id = :shop_id AND cart.id = chosen.id
)
SELECT cart_id, 'take' AS word, policy_name AS policy, id AS recovery_id, held_out, NULL::jsonb AS lines, NULL::numeric AS total,
    NULL AS currency, NULL AS stage, NULL::timestamptz AS changed_at, NULL AS customer_group, NULL AS zone, NULL::timestamptz AS bought_at
FROM made
UNION ALL
SELECT chosen.id, word, name, NULL, NULL, cart.lines, chosen.total, chosen.currency, chosen.stage, chosen.changed_at, customer_group,
    zone, bought_at
FROM chosen JOIN cart ON cart.shop_id = :shop_id AND cart.id = chosen.id
WHERE word = 'ask'
UNION ALL
SELECT id, word, name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM chosen WHERE word <> 'ask' AND (word <> 'take' OR nth > 1);
