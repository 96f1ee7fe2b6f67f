-- name: provided!
-- What the provider calls it, where we do not know that yet.
UPDATE message SET provider_id = :provider_id WHERE shop_id = :shop_id AND id = :id AND coalesce(provider_id, '') = '';

-- name: last_to
-- The newest message to each of these people on a channel: what somebody who writes back is most likely to answer.
SELECT p.person_id, (
    SELECT m.id FROM message m WHERE m.shop_id = :shop_id AND m.person_id = p.person_id AND m.channel = :channel
        AND m.state IN ('sending', 'accepted', 'delivered', 'bounced', 'complained', 'unknown', 'unknown_final')
    ORDER BY m.sending_at DESC LIMIT 1) AS message_id
FROM unnest(:people::bigint[]) AS p (person_id);

-- name: withdraw!
-- The newest word on this purpose becomes a withdrawal, where there is a word and it is not one already, or only by a merge.
INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence)
SELECT :shop_id, p.person_id, :purpose, 'withdrawn', :at, :at, :source, :evidence
FROM unnest(:people::bigint[]) AS p (person_id)
CROSS JOIN LATERAL (SELECT k.state, k.source FROM consent k WHERE k.shop_id = :shop_id AND k.person_id = p.person_id
    AND k.purpose = :purpose ORDER BY k.id DESC LIMIT 1) AS newest
WHERE newest.state <> 'withdrawn' OR newest.source = 'merge'
ORDER BY p.person_id;

-- name: lift
-- Takes back what a STOP did, and nothing else: an opt-out by another way stays.
DELETE FROM suppression WHERE shop_id = :shop_id AND address_hmac = :address_hmac AND source = :source RETURNING channel;

-- name: restore
-- What a STOP withdrew counts again: the word before it, as it was. A START grants nothing that was not there, and the
-- ledger keeps all three.
INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence, wording_sha256,
    source_url, requested_at, confirmed_at)
SELECT :shop_id, p.person_id, :purpose, earlier.state, :at, :at, earlier.source, earlier.evidence, earlier.wording_sha256,
    earlier.source_url, earlier.requested_at, earlier.confirmed_at
FROM unnest(:people::bigint[]) AS p (person_id)
CROSS JOIN LATERAL (SELECT k.id, k.state, k.source FROM consent k WHERE k.shop_id = :shop_id AND k.person_id = p.person_id
    AND k.purpose = :purpose ORDER BY k.id DESC LIMIT 1) AS newest
CROSS JOIN LATERAL (SELECT k.* FROM consent k WHERE k.shop_id = :shop_id AND k.person_id = p.person_id
    AND k.purpose = :purpose AND k.id < newest.id ORDER BY k.id DESC LIMIT 1) AS earlier
WHERE newest.state = 'withdrawn' AND newest.source = :source
ORDER BY p.person_id
RETURNING person_id;
