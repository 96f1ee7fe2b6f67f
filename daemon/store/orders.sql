-- name: keep
-- New and changed orders; older versions lose, and of two at the same time the later word in the alphabet, so that the
-- order of arrival decides nothing. `news` is false for one that only got a newer version.
WITH before AS MATERIALIZED (
    SELECT ref, status, standing, person_id FROM shop_order WHERE shop_id = :shop_id AND ref = ANY(:refs::text[])
), kept AS (
INSERT INTO shop_order AS o (shop_id, ref, cart_ref, person_id, placed_at, status, standing, total, currency, coupon_codes,
    version, first_seen_at, seen_at)
SELECT :shop_id, n.ref, n.cart_ref, n.person_id, n.placed_at, n.status, n.standing, n.total, n.currency,
    coalesce(string_to_array(nullif(n.coupons, ''), chr(31)), '{}'), n.version, :now, :now
FROM unnest(:refs::text[], :cart_refs::text[], :persons::bigint[], :placed::timestamptz[], :statuses::text[],
    :standings::text[], :totals::numeric[], :currencies::text[], :coupons::text[], :versions::bigint[])
    AS n (ref, cart_ref, person_id, placed_at, status, standing, total, currency, coupons, version)
ORDER BY n.ref
ON CONFLICT (shop_id, ref) DO UPDATE SET
    status = excluded.status, standing = excluded.standing, total = excluded.total, currency = excluded.currency,
    person_id = coalesce(excluded.person_id, o.person_id), cart_ref = coalesce(nullif(excluded.cart_ref, ''), o.cart_ref),
    placed_at = excluded.placed_at, version = excluded.version, seen_at = excluded.seen_at
WHERE (o.version, o.standing, o.status) <= (excluded.version, excluded.standing, excluded.status)
    AND (:pushed OR (o.status, o.standing, o.total, o.person_id)
        IS DISTINCT FROM (excluded.status, excluded.standing, excluded.total, coalesce(excluded.person_id, o.person_id)))
RETURNING o.id, o.ref, o.person_id, o.standing, o.status
)
SELECT kept.id, kept.person_id, kept.standing,
    (before.status, before.standing, before.person_id) IS DISTINCT FROM (kept.status, kept.standing, kept.person_id) AS news
FROM kept LEFT JOIN before ON before.ref = kept.ref;
