-- name: letter^
-- Who a message was written to, and whether its own link has taken them off the list (`source` below), or, where no
-- address of theirs is written to, withdrawn their consent.
SELECT m.person_id, m.recovery_id, m.channel, p.locale, a.hmac AS address_hmac,
    EXISTS (
        SELECT FROM suppression s
        WHERE s.shop_id = m.shop_id AND s.channel = m.channel AND s.address_hmac = a.hmac
            AND s.reason = 'unsubscribed' AND s.source = 'message ' || m.id
    ) OR a.hmac IS NULL AND EXISTS (
        SELECT FROM consent k WHERE k.shop_id = m.shop_id AND k.person_id = m.person_id AND k.state = 'withdrawn'
            AND k.source = 'unsubscribe link' AND k.evidence = 'message ' || m.id AND NOT EXISTS (
                SELECT FROM consent n WHERE n.shop_id = k.shop_id AND n.person_id = k.person_id AND n.purpose = k.purpose
                    AND n.id > k.id)
    ) AS suppressed
FROM message m JOIN person p ON p.shop_id = m.shop_id AND p.id = m.person_id
CROSS JOIN LATERAL (SELECT CASE m.channel WHEN 'email' THEN p.email_hmac WHEN 'sms' THEN p.phone_hmac END AS hmac) AS a
WHERE m.shop_id = :shop_id AND m.id = :message_id;

-- name: is_known$
-- Whether this event has had its effect already. Asked under the person's lock.
SELECT EXISTS (SELECT FROM event WHERE shop_id = :shop_id AND message_id = :message_id AND id = :id);

-- name: suppress!
-- A suppression that is there already stays as it is, with its older reason; but for one that only came with a merge.
INSERT INTO suppression (shop_id, channel, address_hmac, reason, source, since)
VALUES (:shop_id, :channel, :address_hmac, 'unsubscribed', :source, :at)
ON CONFLICT (shop_id, channel, address_hmac) DO UPDATE SET reason = excluded.reason, source = excluded.source, since = excluded.since
WHERE suppression.source = 'merge';

-- name: withdraw!
-- The newest word on this purpose becomes a withdrawal, where there is a word and it is not one already.
INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence)
SELECT :shop_id, :person_id, :purpose, 'withdrawn', :at, :at, 'unsubscribe link', :source
FROM (
    SELECT state, source FROM consent WHERE shop_id = :shop_id AND person_id = :person_id AND purpose = :purpose
    ORDER BY id DESC LIMIT 1
) newest WHERE newest.state <> 'withdrawn' OR newest.source = 'merge';

-- name: lift!
-- Only what this very link did.
DELETE FROM suppression
WHERE shop_id = :shop_id AND channel = :channel AND address_hmac = :address_hmac
    AND reason = 'unsubscribed' AND source = :source;

-- name: restore!
-- If the newest word is this link's withdrawal, the one before it counts again; the ledger keeps all three.
INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence, wording_sha256,
    source_url, requested_at, confirmed_at)
SELECT :shop_id, :person_id, :purpose, earlier.state, :at, :at, earlier.source, earlier.evidence, earlier.wording_sha256,
    earlier.source_url, earlier.requested_at, earlier.confirmed_at
FROM (
    SELECT id, state, source, evidence FROM consent
    WHERE shop_id = :shop_id AND person_id = :person_id AND purpose = :purpose ORDER BY id DESC LIMIT 1
) newest
JOIN LATERAL (
    SELECT state, source, evidence, wording_sha256, source_url, requested_at, confirmed_at FROM consent
    WHERE shop_id = :shop_id AND person_id = :person_id AND purpose = :purpose AND id < newest.id
    ORDER BY id DESC LIMIT 1
) earlier ON true
WHERE newest.state = 'withdrawn' AND newest.source = 'unsubscribe link' AND newest.evidence = :source;

-- name: keep!
-- The request itself, worked off in the same transaction.
INSERT INTO event (shop_id, id, kind, message_id, recovery_id, person_id, at, method, user_agent, ip_net, class, handled_at)
VALUES (:shop_id, :id, :kind, :message_id, :recovery_id, :person_id, :at, :method, :user_agent, :ip_net, 'human', :at);


-- name: lost
-- Messages that no row tells of, by which somebody left and did not come back, or complained; at most 1,000 of each shop.
-- Messages are never deleted, so only a restored backup does not know one whose link we signed.
SELECT s.shop_id, o.message_id FROM unnest(:shops::bigint[]) AS s (shop_id)
CROSS JOIN LATERAL (
    SELECT e.message_id FROM event e
    WHERE e.shop_id = s.shop_id AND e.recovery_id IS NULL AND e.message_id IS NOT NULL
        AND e.kind IN ('unsubscribed', 'resubscribed', 'complained')
        AND NOT EXISTS (SELECT FROM message m WHERE m.shop_id = e.shop_id AND m.id = e.message_id)
    GROUP BY e.message_id
    HAVING NOT coalesce(bool_or(e.detail ->> 'settled' IS NOT NULL), false)
        AND (bool_or(e.kind = 'complained') OR (array_agg(e.kind ORDER BY e.at DESC, e.recorded_at DESC))[1] = 'unsubscribed')
    ORDER BY e.message_id LIMIT 1000
) AS o ORDER BY s.shop_id, o.message_id;

-- name: settle
-- The operator has seen to these.
UPDATE event e SET detail = coalesce(e.detail, '{}') || jsonb_build_object('settled', :at::timestamptz)
WHERE e.shop_id = :shop_id AND e.message_id = ANY(:ids::bigint[]) AND e.recovery_id IS NULL AND e.message_id IS NOT NULL
    AND e.kind IN ('unsubscribed', 'resubscribed', 'complained')
RETURNING e.message_id;
