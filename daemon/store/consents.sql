-- name: add!
-- The ledger only grows. A wording is stored once, by its hash.
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(:persons::bigint[], :purposes::text[], :states::text[], :times::timestamptz[], :sources::text[],
        :evidences::text[], :wordings::text[], :urls::text[], :ip_nets::text[], :agents::text[], :requested::timestamptz[],
        :confirmed::timestamptz[]) AS n (person_id, purpose, state, at, source, evidence, wording, source_url, ip_net, user_agent,
        requested_at, confirmed_at)
), worded AS (
    INSERT INTO wording (shop_id, sha256, text, first_used_at)
    SELECT DISTINCT :shop_id::bigint, sha256(convert_to(wording, 'UTF8')), wording, :now::timestamptz FROM n WHERE wording <> ''
    ORDER BY 2 ON CONFLICT (shop_id, sha256) DO NOTHING
)
INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence, wording_sha256, source_url, ip_net,
    user_agent, requested_at, confirmed_at)
SELECT :shop_id, n.person_id, n.purpose, n.state, n.at, :now, n.source, n.evidence,
    CASE WHEN n.wording <> '' THEN sha256(convert_to(n.wording, 'UTF8')) END, n.source_url, n.ip_net, n.user_agent,
    n.requested_at, n.confirmed_at
FROM n ORDER BY n.person_id, n.purpose;

-- name: ledger
-- Every word of a person, the oldest first, with the sentence that it was about.
SELECT k.id, k.purpose, k.state, k.at, k.recorded_at, k.source, k.source_url, k.evidence, coalesce(w.text, '') AS wording, k.ip_net,
    k.user_agent, k.requested_at, k.confirmed_at
FROM consent k LEFT JOIN wording w ON w.shop_id = k.shop_id AND w.sha256 = k.wording_sha256
WHERE k.shop_id = :shop_id AND k.person_id = :person_id
ORDER BY k.id;

-- name: before_withdrawal^
-- The newest word on a purpose that was no withdrawal.
SELECT k.state, k.source, k.evidence, coalesce(w.text, '') AS wording, k.at
FROM consent k LEFT JOIN wording w ON w.shop_id = k.shop_id AND w.sha256 = k.wording_sha256
WHERE k.shop_id = :shop_id AND k.person_id = :person_id AND k.purpose = :purpose AND k.state <> 'withdrawn'
ORDER BY k.id DESC LIMIT 1;

-- name: choice^
-- What a person has chosen, who is known by a message to them.
SELECT p.id AS person_id, p.email, p.email_hmac, p.phone, p.phone_hmac, p.locale, p.chosen_locale, p.fewer, p.wanted_again_at,
    p.erased_at, p.may_be_written_to,
    ARRAY(SELECT s.channel FROM suppression s WHERE s.shop_id = p.shop_id AND s.address_hmac IN (p.email_hmac, p.phone_hmac))
        AS suppressed,
    ARRAY(SELECT DISTINCT s.channel FROM suppression s WHERE s.shop_id = p.shop_id AND s.reason = 'unsubscribed'
        AND s.address_hmac IN (p.email_hmac, p.phone_hmac)) AS unsubscribed,
    ARRAY(SELECT DISTINCT s.channel FROM suppression s WHERE s.shop_id = p.shop_id AND s.source = 'merge'
        AND s.address_hmac IN (p.email_hmac, p.phone_hmac)) AS suppressed_by_merge,
    ARRAY(SELECT ROW(n.purpose, n.state, n.source) FROM (
        SELECT DISTINCT ON (k.purpose) k.purpose, k.state, k.source FROM consent k
        WHERE k.shop_id = p.shop_id AND k.person_id = p.id ORDER BY k.purpose, k.id DESC) AS n) AS consents
FROM message m JOIN person p ON p.shop_id = m.shop_id AND p.id = m.person_id
WHERE m.shop_id = :shop_id AND m.id = :message_id;

-- name: choose!
-- Under the person's lock; whatever was decided before is asked again at the gate.
UPDATE person SET fewer = :fewer, wanted_again_at = :wanted_again_at, chosen_locale = :locale, facts_no = facts_no + 1
WHERE shop_id = :shop_id AND id = :person_id;

-- name: suppress!
-- A suppression that is there already stays as it is, with its older reason; but for one that only came with a merge.
INSERT INTO suppression (shop_id, channel, address_hmac, reason, source, since)
VALUES (:shop_id, :channel, :address_hmac, 'unsubscribed', :source, :now)
ON CONFLICT (shop_id, channel, address_hmac) DO UPDATE SET reason = excluded.reason, source = excluded.source, since = excluded.since
WHERE suppression.source = 'merge';

-- name: lift!
-- Only what the person did: complaints, dead addresses and what was done by hand stay.
DELETE FROM suppression
WHERE shop_id = :shop_id AND channel = :channel AND address_hmac = :address_hmac AND reason = 'unsubscribed';
