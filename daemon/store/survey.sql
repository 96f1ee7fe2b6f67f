-- name: lateness^
-- How late the newest orders arrived: since the last time that a pause for it was lifted, and never those from before us.
-- Of the newest five hundred, so that a first look that brought years of orders is not read again and again.
WITH s AS MATERIALIZED (
    SELECT shop_id, added_at, greatest(added_at, (SELECT max(lifted_at) FROM pause z WHERE z.shop_id = shop.shop_id
        AND z.cause = 'orders_late')) AS since
    FROM shop WHERE shop_id = :shop_id
)
SELECT count(*) AS orders, coalesce(percentile_disc(0.95) WITHIN GROUP (ORDER BY o.late), interval '0') AS late
FROM s LEFT JOIN LATERAL (
    SELECT n.first_seen_at - n.placed_at AS late FROM (
        SELECT first_seen_at, placed_at FROM shop_order
        WHERE shop_id = s.shop_id AND first_seen_at > s.since ORDER BY first_seen_at DESC LIMIT 500
    ) AS n WHERE n.placed_at > s.added_at ORDER BY n.first_seen_at DESC LIMIT 50
) AS o ON true WHERE o.late IS NOT NULL;

-- name: hold_late
-- Exactly these policies are paused because orders arrive late; those that are newly paused come back.
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(:policies::text[], :reasons::text[]) AS n (policy, reason)
), lifted AS (
    UPDATE pause SET lifted_at = :now
    WHERE shop_id = :shop_id AND cause = 'orders_late' AND lifted_at IS NULL AND policy NOT IN (SELECT policy FROM n)
)
INSERT INTO pause (shop_id, policy, reason, since, cause)
SELECT :shop_id, n.policy, n.reason, :now, 'orders_late' FROM n
WHERE NOT EXISTS (SELECT FROM pause z WHERE z.shop_id = :shop_id AND z.policy = n.policy AND z.cause = 'orders_late'
    AND z.lifted_at IS NULL)
RETURNING policy;

-- name: left_behind
-- What is open in shops that are no longer in shops.yaml.
SELECT s.name AS shop, s.left_at, count(*) AS recoveries FROM shop s
JOIN recovery r ON r.shop_id = s.shop_id AND r.state = 'open'
WHERE s.left_at IS NOT NULL GROUP BY s.shop_id ORDER BY s.name;

-- name: carts^
-- Of the newest thousand open carts: whose person is known, can be reached, and agreed. `slip`: how far the shop's time of
-- a change lies from when we saw it (median); `ahead`: carts that seem to come from the future.
WITH c AS MATERIALIZED (
    SELECT * FROM cart WHERE shop_id = :shop_id AND state = 'open' ORDER BY id DESC LIMIT 1000
)
SELECT count(*) AS carts, count(*) FILTER (WHERE p.id IS NULL) AS nobody,
    count(*) FILTER (WHERE p.email IS NOT NULL) AS email, count(*) FILTER (WHERE p.phone IS NOT NULL) AS phone,
    count(*) FILTER (WHERE (SELECT k.state FROM consent k WHERE k.shop_id = :shop_id AND k.person_id = p.id
        AND k.purpose = 'email_mkt' ORDER BY k.id DESC LIMIT 1) = 'confirmed') AS consent,
    count(*) FILTER (WHERE c.source_updated_at > c.seen_at + interval '5 minutes') AS ahead,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY c.source_updated_at - c.changed_at)
        FILTER (WHERE c.source_updated_at IS NOT NULL AND NOT c.baseline) AS slip,
    count(*) FILTER (WHERE c.source_updated_at IS NOT NULL AND NOT c.baseline) AS dated
FROM c LEFT JOIN person p ON p.shop_id = :shop_id AND p.id = c.person_id AND p.erased_at IS NULL;

-- name: pushed
-- Of the newest five thousand events that had an effect or were refused: how many of each kind, and how long ago the last.
-- What came by mail or was told by a channel's provider is no event of the shop.
SELECT kind, count(*) AS events, clock_timestamp() - max(received_real) AS ago, max(refused) AS refused
FROM (
    SELECT CASE WHEN state = 'done' THEN split_part(effect, ':', 1) ELSE 'refused' END AS kind, received_real,
        CASE WHEN state = 'refused' THEN effect END AS refused
    FROM inbox WHERE shop_id = :shop_id AND state <> 'waiting' AND source <> 'mail' AND source NOT LIKE 'channel %'
    ORDER BY id DESC LIMIT 5000
) AS newest
GROUP BY kind ORDER BY kind;

-- name: largest_mail$
-- Octets of the longest text and HTML that wait or left lately, without what MIME adds.
SELECT coalesce(max(coalesce((content ->> 'octets')::integer,
    octet_length(content ->> 'text') + octet_length(content ->> 'html'))), 0)
FROM (
    SELECT content FROM message WHERE shop_id = :shop_id AND content IS NOT NULL ORDER BY id DESC LIMIT 200) AS newest;
