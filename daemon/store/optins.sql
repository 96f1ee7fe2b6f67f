-- name: lately^
-- How much was asked for of late: for one address within ten minutes and a day, by one client within a minute. Asked under
-- the shop's lock, so nobody asks at the same time.
SELECT
    (SELECT count(*) FROM opt_in WHERE shop_id = :shop_id AND address_hmac = :address_hmac
        AND requested_at > :now::timestamptz - :gap::interval) AS just_now,
    (SELECT count(*) FROM opt_in WHERE shop_id = :shop_id AND address_hmac = :address_hmac
        AND requested_at > :now::timestamptz - interval '1 day') AS today,
    (SELECT count(*) FROM opt_in WHERE shop_id = :shop_id AND ip_hmac = :ip_hmac
        AND requested_at > :now::timestamptz - interval '1 minute') AS by_client;

-- name: add$
WITH worded AS (
    INSERT INTO wording (shop_id, sha256, text, first_used_at)
    VALUES (:shop_id, sha256(convert_to(:wording, 'UTF8')), :wording, :now) ON CONFLICT (shop_id, sha256) DO NOTHING
)
INSERT INTO opt_in (shop_id, person_id, channel, purposes, address_hmac, wording_sha256, source, source_url, ip_hmac, ip_net,
    user_agent, requested_at, not_after)
VALUES (:shop_id, :person_id, :channel, :purposes, :address_hmac, sha256(convert_to(:wording, 'UTF8')), :source, :source_url, :ip_hmac,
    :ip_net, :user_agent, :now, :not_after)
RETURNING id;

-- name: address_of$
SELECT CASE :channel::text WHEN 'email' THEN p.email_hmac WHEN 'sms' THEN p.phone_hmac END FROM person p
WHERE p.shop_id = :shop_id AND p.id = :person_id AND p.erased_at IS NULL AND p.merged_into IS NULL;

-- name: due_people
-- Requests that wait, and the lock on their persons, without waiting for anybody.
WITH t AS MATERIALIZED (
    SELECT id, person_id FROM opt_in
    WHERE shop_id = :shop_id AND channel = :channel AND state = 'waiting'
        AND (retry_real IS NULL OR retry_real <= (SELECT clock_timestamp()))
    ORDER BY requested_at, id LIMIT :most
)
SELECT t.id, p.id AS person_id FROM t JOIN person p ON p.shop_id = :shop_id AND p.id = t.person_id
ORDER BY p.id FOR NO KEY UPDATE OF p SKIP LOCKED;

-- name: at_the_gate
-- A second statement, hence a new snapshot: a withdrawal or erasure that was committed while the locks were taken is seen.
SELECT o.id, o.person_id, o.purposes, o.not_after, coalesce(nullif(p.chosen_locale, ''), p.locale) AS locale, w.text AS wording,
    CASE o.channel WHEN 'email' THEN p.email ELSE p.phone END AS address,
    coalesce(CASE o.channel WHEN 'email' THEN p.email_hmac ELSE p.phone_hmac END = o.address_hmac, false) AS same_address,
    p.may_be_written_to,
    EXISTS (SELECT FROM suppression s WHERE s.shop_id = o.shop_id AND s.channel IN ('any', o.channel)
        AND s.address_hmac = o.address_hmac AND s.reason <> 'unsubscribed') AS suppressed,
    EXISTS (SELECT FROM consent k WHERE k.shop_id = o.shop_id AND k.person_id = o.person_id AND k.purpose = ANY(o.purposes)
        AND k.state = 'withdrawn' AND k.recorded_at > o.requested_at) AS withdrawn,
    s.mode = 'rehearsal' AS rehearsal,
    (SELECT z.reason FROM pause z WHERE z.shop_id = o.shop_id AND z.lifted_at IS NULL AND (z.until IS NULL OR z.until > :now)
        AND z.policy IS NULL AND z.step IS NULL AND (z.channel IS NULL OR z.channel = o.channel) ORDER BY z.id LIMIT 1) AS paused
FROM opt_in o
JOIN person p ON p.shop_id = o.shop_id AND p.id = o.person_id
JOIN wording w ON w.shop_id = o.shop_id AND w.sha256 = o.wording_sha256
JOIN shop s ON s.shop_id = :shop_id
WHERE o.shop_id = :shop_id AND o.id = ANY(:ids::bigint[]) AND o.state = 'waiting'
ORDER BY o.id FOR NO KEY UPDATE OF o SKIP LOCKED;

-- name: move
-- Claimed with fence, lease and the hash of what the mail will carry; held for a minute; or ended.
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(:ids::bigint[], :verdicts::text[], :reasons::text[], :tokens::bytea[]) AS n (id, verdict, reason, token)
), held AS (
    UPDATE opt_in o SET retry_real = clock_timestamp() + interval '1 minute', reason = n.reason
    FROM n WHERE o.shop_id = :shop_id AND o.id = n.id AND n.verdict = 'hold' AND o.state = 'waiting'
), ended AS (
    UPDATE opt_in o SET state = n.verdict, reason = n.reason, token_sha256 = NULL
    FROM n WHERE o.shop_id = :shop_id AND o.id = n.id AND n.verdict IN ('cancelled', 'expired') AND o.state = 'waiting'
)
UPDATE opt_in o SET state = 'sending', fence = nextval('fence'), lease_until_real = clock_timestamp() + :lease::interval,
    sending_at = :now, tries = o.tries + 1, retry_real = NULL, reason = NULL, token_sha256 = n.token
FROM n WHERE o.shop_id = :shop_id AND o.id = n.id AND n.verdict = 'go' AND o.state = 'waiting'
RETURNING o.id, o.fence;

-- name: wait_for_channel!
-- Nobody here can send on it: asked again in a minute, by whoever can.
UPDATE opt_in SET retry_real = clock_timestamp() + interval '1 minute', reason = 'the channel is not set up'
WHERE shop_id = :shop_id AND channel = :channel AND state = 'waiting'
    AND (retry_real IS NULL OR retry_real <= (SELECT clock_timestamp()));

-- name: still_wanted
-- Right before the first byte, and before the last. No locks.
SELECT o.id FROM unnest(:ids::bigint[], :fences::bigint[]) AS n (id, fence)
JOIN opt_in o ON o.shop_id = :shop_id AND o.id = n.id
JOIN person p ON p.shop_id = o.shop_id AND p.id = o.person_id
WHERE o.fence = n.fence AND o.state = 'sending' AND p.may_be_written_to
    AND CASE o.channel WHEN 'email' THEN p.email_hmac ELSE p.phone_hmac END = o.address_hmac
    AND NOT EXISTS (SELECT FROM suppression s WHERE s.shop_id = o.shop_id AND s.channel IN ('any', o.channel)
        AND s.address_hmac = o.address_hmac AND (s.reason <> 'unsubscribed' OR s.since > o.requested_at))
    AND NOT EXISTS (SELECT FROM consent k WHERE k.shop_id = o.shop_id AND k.person_id = o.person_id AND k.purpose = ANY(o.purposes)
        AND k.state = 'withdrawn' AND k.recorded_at > o.requested_at);

-- name: record
-- Outcomes by fence. What was certainly not taken waits again; the token that it carried is dead.
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(:ids::bigint[], :fences::bigint[], :outcomes::text[], :provider_ids::text[], :reasons::text[],
        :costs::boolean[], :agains::interval[]) AS n (id, fence, outcome, provider_id, reason, costs_a_try, again_after)
)
UPDATE opt_in o SET
    state = CASE WHEN n.outcome = 'retry_wait' THEN CASE WHEN o.not_after < :now OR o.tries >= 12 AND n.costs_a_try
        THEN 'expired' ELSE 'waiting' END ELSE n.outcome END,
    lease_until_real = NULL,
    accepted_at = CASE WHEN n.outcome = 'accepted' THEN :now::timestamptz END,
    provider_id = n.provider_id,
    tries = CASE WHEN n.costs_a_try THEN o.tries ELSE o.tries - 1 END,
    retry_real = CASE WHEN n.outcome = 'retry_wait' THEN clock_timestamp() + coalesce(n.again_after,
        CASE WHEN n.costs_a_try THEN least(3600, 60 * power(2, least(o.tries, 10) - 1)) * interval '1 second'
        ELSE interval '1 second' END) END,
    token_sha256 = CASE WHEN n.outcome IN ('accepted', 'unknown') THEN o.token_sha256 END,
    reason = nullif(n.reason, '')
FROM n
WHERE o.shop_id = :shop_id AND o.id = n.id AND o.fence = n.fence
    AND (o.state = 'sending' OR o.state = 'unknown' AND n.outcome IN ('accepted', 'failed'))
RETURNING o.id, o.state;

-- name: about
SELECT id, person_id, channel, address_hmac FROM opt_in WHERE shop_id = :shop_id AND id = ANY(:ids::bigint[]) ORDER BY id;

-- name: come_back!
-- Under the person's lock. An outcome that is recorded after it finds the request ended.
UPDATE opt_in SET state = 'failed', token_sha256 = NULL, lease_until_real = NULL, reason = :reason
WHERE shop_id = :shop_id AND id = :id AND state IN ('waiting', 'sending', 'accepted', 'unknown');

-- name: reap
-- Claims whose lease is over: nobody knows what became of them, and nobody sends them again. The link may have arrived.
UPDATE opt_in SET state = 'unknown', lease_until_real = NULL, reason = 'lease over'
WHERE shop_id = :shop_id AND state = 'sending' AND lease_until_real < (SELECT clock_timestamp())
RETURNING id;

-- name: forget!
-- Who asked is needed for a minute.
UPDATE opt_in SET ip_hmac = NULL
WHERE shop_id = :shop_id AND ip_hmac IS NOT NULL AND requested_at < :now::timestamptz - interval '1 day';

-- name: over
-- Requests whose time is over, and that nobody confirmed.
SELECT id, person_id FROM opt_in
WHERE shop_id = :shop_id AND state NOT IN ('confirmed', 'sending') AND not_after < :now
ORDER BY not_after LIMIT :most;

-- name: delete_over
-- Under their persons' locks. That they were asked stays in the ledger; who asked from where goes.
WITH gone AS (
    DELETE FROM opt_in
    WHERE shop_id = :shop_id AND id = ANY(:ids::bigint[]) AND state NOT IN ('confirmed', 'sending') AND not_after < :now
    RETURNING id, person_id, purposes, requested_at
), bare AS (
    UPDATE consent k SET source_url = '', ip_net = '', user_agent = '' FROM gone g
    WHERE k.shop_id = :shop_id AND k.person_id = g.person_id AND k.purpose = ANY(g.purposes) AND k.state = 'requested'
        AND k.recorded_at = g.requested_at
)
SELECT DISTINCT person_id FROM gone ORDER BY person_id;

-- name: delete_strangers
-- Of these people, locked, those of whom nothing is known but that they were asked: they go whole.
WITH strangers AS MATERIALIZED (
    SELECT p.id FROM person p
    WHERE p.shop_id = :shop_id AND p.id = ANY(:people::bigint[]) AND p.customer_ref IS NULL AND p.erased_at IS NULL
        AND p.merged_into IS NULL
        AND NOT EXISTS (SELECT FROM identity i WHERE i.shop_id = p.shop_id AND i.person_id = p.id AND i.kind <> 'email')
        AND NOT EXISTS (SELECT FROM cart c WHERE c.shop_id = p.shop_id AND c.person_id = p.id)
        AND NOT EXISTS (SELECT FROM shop_order o WHERE o.shop_id = p.shop_id AND o.person_id = p.id)
        AND NOT EXISTS (SELECT FROM recovery r WHERE r.shop_id = p.shop_id AND r.person_id = p.id)
        AND NOT EXISTS (SELECT FROM consent k WHERE k.shop_id = p.shop_id AND k.person_id = p.id AND k.state <> 'requested')
        AND NOT EXISTS (SELECT FROM opt_in o WHERE o.shop_id = p.shop_id AND o.person_id = p.id)
        AND NOT EXISTS (SELECT FROM subscription b WHERE b.shop_id = p.shop_id AND b.person_id = p.id)
        AND NOT EXISTS (SELECT FROM member b WHERE b.shop_id = p.shop_id AND b.person_id = p.id)
        AND NOT EXISTS (SELECT FROM merge g WHERE g.shop_id = p.shop_id AND g.older = p.id)
        AND NOT EXISTS (SELECT FROM merge g WHERE g.shop_id = p.shop_id AND g.younger = p.id)
        AND NOT EXISTS (SELECT FROM parted q WHERE q.shop_id = p.shop_id AND p.id IN (q.person_id, q.other))
), said AS (
    DELETE FROM consent k USING strangers s WHERE k.shop_id = :shop_id AND k.person_id = s.id
), known_by AS (
    DELETE FROM identity i USING strangers s WHERE i.shop_id = :shop_id AND i.person_id = s.id
)
DELETE FROM person p USING strangers s WHERE p.shop_id = :shop_id AND p.id = s.id
RETURNING p.id;

-- name: of_token^
-- What a link asks to be confirmed. Its person is locked before it is read for good.
SELECT o.id, o.person_id, o.channel, o.purposes, o.state, o.not_after, o.requested_at, o.confirmed_at, o.source, o.source_url,
    o.address_hmac, o.guesses, w.text AS wording, coalesce(nullif(p.chosen_locale, ''), p.locale) AS locale,
    coalesce(CASE o.channel WHEN 'email' THEN p.email_hmac ELSE p.phone_hmac END = o.address_hmac, false) AS same_address
FROM opt_in o
JOIN wording w ON w.shop_id = o.shop_id AND w.sha256 = o.wording_sha256
JOIN person p ON p.shop_id = o.shop_id AND p.id = o.person_id
WHERE o.shop_id = :shop_id AND o.token_sha256 = :token_sha256;

-- name: of_address
-- What a code or a reply from this number may be the answer to, the newest first.
SELECT o.id, o.person_id, o.token_sha256, o.guesses, o.requested_at FROM opt_in o
WHERE o.shop_id = :shop_id AND o.channel = :channel AND o.address_hmac = :address_hmac AND o.token_sha256 IS NOT NULL
    AND o.state IN ('sending', 'accepted', 'unknown') AND o.not_after > :now
ORDER BY o.id DESC;

-- name: guessed!
UPDATE opt_in SET guesses = guesses + 1 WHERE shop_id = :shop_id AND id = ANY(:ids::bigint[]);

-- name: confirm$
-- Once: the first to confirm is told so.
UPDATE opt_in SET state = 'confirmed', confirmed_at = :now, lease_until_real = NULL
WHERE shop_id = :shop_id AND id = :id AND state IN ('sending', 'accepted', 'unknown')
RETURNING id;
