-- name: keep
-- New and changed orders; equal ones are not written, older versions lose.
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
    version = excluded.version, seen_at = excluded.seen_at
WHERE o.version <= excluded.version AND (o.status, o.standing, o.person_id)
    IS DISTINCT FROM (excluded.status, excluded.standing, coalesce(excluded.person_id, o.person_id))
RETURNING o.id, o.person_id, o.standing;
