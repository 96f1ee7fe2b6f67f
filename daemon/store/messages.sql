-- name: to_prepare
-- Planned messages whose time has come. Preparing changes nothing outside, so nobody is locked.
SELECT m.id, m.recovery_id, m.person_id, m.step, m.channel, m.rehearsal, m.policy_hash, m.basis, m.basis_evidence, m.facts_no
FROM message m
WHERE m.shop_id = :shop_id AND m.state = 'planned' AND m.not_before <= :now
ORDER BY m.not_before, m.id LIMIT :most;

-- name: prepared
-- Rendered and tokenised: nothing has left the house. Links are written with it; a message that moved on meanwhile is not
-- touched, and one that somebody else holds is prepared again later: whoever holds messages waits for nobody. A push that
-- may have been shown already goes to no other browser.
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(:ids::bigint[], :contents::jsonb[], :trackeds::boolean[], :facts_nos::bigint[], :letters::bytea[])
        AS n (id, content, tracked, facts_no, letter)
), free AS MATERIALIZED (
    SELECT m.id FROM message m JOIN n ON m.id = n.id WHERE m.shop_id = :shop_id AND m.state = 'planned'
    ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
), done AS (
    UPDATE message m SET state = 'prepared', tracked = n.tracked, facts_no = n.facts_no, prepared_at = :now, letter = n.letter,
        content = CASE WHEN m.sent_again AND m.channel = 'webpush' AND m.content ? 'to'
            THEN n.content || jsonb_build_object('to', m.content -> 'to') ELSE n.content END
    FROM n JOIN free ON free.id = n.id WHERE m.shop_id = :shop_id AND m.id = n.id AND m.state = 'planned'
    RETURNING m.id
), linked AS (
    INSERT INTO link (shop_id, message_id, no, kind, target)
    SELECT :shop_id, l.message_id, l.no, l.kind, l.target
    FROM unnest(:link_messages::bigint[], :link_nos::smallint[], :link_kinds::text[], :link_targets::text[])
        AS l (message_id, no, kind, target)
    JOIN done ON done.id = l.message_id
    ORDER BY l.message_id, l.no
    ON CONFLICT (shop_id, message_id, no) DO UPDATE SET kind = excluded.kind, target = excluded.target
)
SELECT id FROM done ORDER BY id;

-- name: waiting
-- Channels that may have something to claim: one look into two indexes each, instead of a claim that finds nothing. The
-- list is a value that no planner sees, or it would plan anew for each.
SELECT n.channel FROM unnest((SELECT :channels::text[])) WITH ORDINALITY AS n (channel, place)
WHERE NOT EXISTS (SELECT FROM channel_rest z
        WHERE z.shop_id = :shop_id AND z.channel = n.channel AND z.until_real > clock_timestamp())
    AND coalesce(
        (SELECT true FROM message m WHERE m.shop_id = :shop_id AND m.channel = n.channel
            AND m.state IN ('prepared', 'retry_wait') AND m.retry_real IS NULL AND m.not_before <= :now
            ORDER BY m.not_before LIMIT 1),
        (SELECT true FROM message m WHERE m.shop_id = :shop_id AND m.channel = n.channel
            AND m.state IN ('prepared', 'retry_wait') AND m.retry_real <= (SELECT clock_timestamp()) AND m.not_before <= :now
            ORDER BY m.retry_real LIMIT 1), false)
ORDER BY n.place;

-- name: due_people
-- Candidates for the gate and the lock on their persons, without waiting for anybody. One message per person. Those who
-- had to wait for a time of their own (a busy relay, an allowance) and those who are here for the first time take turns;
-- whose time has not come is stepped over by nobody.
WITH fresh AS (
    SELECT m.id, m.person_id, m.recovery_id, m.not_before AS at FROM message m
    WHERE m.shop_id = :shop_id AND m.channel = :channel AND m.state IN ('prepared', 'retry_wait') AND m.retry_real IS NULL
        AND m.not_before <= :now AND (:among::bigint[] IS NULL OR m.id = ANY(:among))
    ORDER BY m.not_before, m.id LIMIT :most
), back AS (
    SELECT m.id, m.person_id, m.recovery_id, m.retry_real AS at FROM message m
    WHERE m.shop_id = :shop_id AND m.channel = :channel AND m.state IN ('prepared', 'retry_wait')
        AND m.retry_real <= (SELECT clock_timestamp()) AND m.not_before <= :now
        AND (:among::bigint[] IS NULL OR m.id = ANY(:among))
    ORDER BY m.retry_real, m.id LIMIT :most
), t AS MATERIALIZED (
    SELECT id, person_id, recovery_id FROM (
        SELECT *, row_number() OVER (ORDER BY at, id) AS place, 1 AS door FROM fresh
        UNION ALL SELECT *, row_number() OVER (ORDER BY at, id), 0 FROM back) AS queue
    ORDER BY place, door LIMIT :most
)
SELECT t.id, t.recovery_id, p.id AS person_id
FROM t JOIN person p ON p.shop_id = :shop_id AND p.id = t.person_id
ORDER BY p.id
FOR NO KEY UPDATE OF p SKIP LOCKED;

-- Where rows are looked up that are named by their ids, no statistics may turn that into reading all that wait or all that
-- are open: on a young table, or when a thousand wait of a million, they say that hardly any do. So there the shop comes
-- from the list itself, the state is no longer the one that an index is about (`state || ''`), and lists count as short
-- (`n.id = n.id + 0`). What is left is the primary key.

-- name: at_the_gate
-- A second statement, hence a new snapshot: whatever was committed while the locks were being taken is seen.
SELECT m.id, m.recovery_id, m.person_id, m.step, m.channel, m.state, m.facts_no, m.policy_hash, m.not_after, m.prepared_at,
    m.basis, m.basis_evidence, m.consent_id, m.deferrals, m.reason, m.rehearsal, m.retry_real IS NOT NULL AS came_back,
    m.rehearsal <> (s.mode = 'rehearsal') AS of_another_mode,
    (SELECT z.reason FROM pause z WHERE z.shop_id = m.shop_id AND z.lifted_at IS NULL AND (z.until IS NULL OR z.until > :now)
        AND (z.policy IS NULL OR z.policy = r.policy_name) AND (z.step IS NULL OR z.step = m.step)
        AND (z.channel IS NULL OR z.channel = m.channel) ORDER BY z.id LIMIT 1) AS paused
FROM (SELECT :shop_id::bigint AS shop_id, n.id FROM unnest(:ids::bigint[]) AS n (id) WHERE n.id = n.id + 0 OFFSET 0) AS n
JOIN message m ON m.shop_id = n.shop_id AND m.id = n.id
CROSS JOIN LATERAL (SELECT policy_name FROM recovery WHERE shop_id = m.shop_id AND id = m.recovery_id OFFSET 0) AS r
JOIN shop s ON s.shop_id = :shop_id
WHERE m.state || '' IN ('prepared', 'retry_wait')
ORDER BY m.person_id, m.not_before, m.id
FOR NO KEY UPDATE OF m SKIP LOCKED;

-- name: move
-- What the gate said, for all of them at once: claimed with fence, lease and attempt, put off, held, sent back, or ended.
-- A held one stays as it is and is not looked at again until the brake is off: however long that is, its row is written
-- once. One that rests stays as it is until an allowance has room for it.
WITH n AS MATERIALIZED (
    SELECT :shop_id::bigint AS shop_id, n.* FROM unnest(:ids::bigint[], :verdicts::text[], :untils::timestamptz[], :reasons::text[], :bases::text[],
        :evidences::text[], :consents::bigint[], :not_afters::timestamptz[], :rests::interval[])
        AS n (id, verdict, until, reason, basis, evidence, consent_id, not_after, rests_for)
), claimed AS (
    UPDATE message m SET state = 'sending', fence = nextval('fence'), sending_at = :now, tries = m.tries + 1,
        lease_until_real = clock_timestamp() + :lease, retry_real = NULL, reason = NULL,
        basis = n.basis, basis_evidence = n.evidence, consent_id = n.consent_id
    FROM n WHERE m.shop_id = n.shop_id AND m.id = n.id AND n.verdict = 'go' AND m.state || '' IN ('prepared', 'retry_wait')
    RETURNING m.id, m.fence, m.recovery_id, m.person_id, m.content, m.letter, m.step, m.rehearsal, m.sending_at,
        m.not_after
), tried AS (
    INSERT INTO attempt (shop_id, message_id, fence, started_at, body_sha256)
    SELECT :shop_id, id, fence, :now, sha256(convert_to(content::text, 'UTF8') || coalesce(letter, '')) FROM claimed ORDER BY id
), put_off AS (
    UPDATE message m SET state = 'planned', not_before = n.until, not_after = coalesce(n.not_after, m.not_after),
        deferrals = m.deferrals + 1, reason = n.reason
    FROM n WHERE m.shop_id = n.shop_id AND m.id = n.id AND n.verdict = 'defer' AND m.state || '' IN ('prepared', 'retry_wait')
), held AS (
    UPDATE message m SET retry_real = 'infinity', reason = n.reason
    FROM n WHERE m.shop_id = n.shop_id AND m.id = n.id AND n.verdict = 'hold' AND m.state || '' IN ('prepared', 'retry_wait')
), rested AS (
    UPDATE message m SET retry_real = clock_timestamp() + n.rests_for, reason = n.reason
    FROM n WHERE m.shop_id = n.shop_id AND m.id = n.id AND n.verdict = 'rest' AND m.state || '' IN ('prepared', 'retry_wait')
), sent_back AS (
    UPDATE message m SET state = 'planned', reason = n.reason
    FROM n WHERE m.shop_id = n.shop_id AND m.id = n.id AND n.verdict = 'again' AND m.state || '' IN ('prepared', 'retry_wait')
), ended AS (
    UPDATE message m SET state = n.verdict, reason = n.reason, ended_at = :now
    FROM n WHERE m.shop_id = n.shop_id AND m.id = n.id AND n.verdict IN ('cancelled', 'expired')
        AND m.state || '' IN ('prepared', 'retry_wait')
    RETURNING m.shop_id, m.recovery_id
), asleep AS MATERIALIZED (
    SELECT r.shop_id, r.id FROM recovery r JOIN ended ON r.shop_id = ended.shop_id AND r.id = ended.recovery_id
    WHERE r.state || '' = 'open'
    ORDER BY r.id FOR NO KEY UPDATE OF r
), woken AS (
    UPDATE recovery r SET wake_at = least(:now, r.wake_at - interval '1 us') FROM asleep
    WHERE r.shop_id = asleep.shop_id AND r.id = asleep.id AND r.state || '' = 'open'
)
SELECT * FROM claimed ORDER BY id;

-- name: still_wanted
-- Right before the first byte and again before the last: claims that nothing has overtaken since the gate. No locks.
SELECT m.id FROM unnest(:ids::bigint[], :fences::bigint[]) AS n (id, fence)
CROSS JOIN LATERAL (SELECT * FROM message WHERE shop_id = :shop_id AND id = n.id OFFSET 0) AS m
CROSS JOIN LATERAL (SELECT * FROM recovery WHERE shop_id = m.shop_id AND id = m.recovery_id OFFSET 0) AS r
CROSS JOIN LATERAL (SELECT * FROM person WHERE shop_id = m.shop_id AND id = m.person_id OFFSET 0) AS p
WHERE m.fence = n.fence AND m.state = 'sending' AND r.state = 'open' AND p.may_be_written_to
    AND CASE m.channel WHEN 'email' THEN p.email IS NOT NULL WHEN 'sms' THEN p.phone IS NOT NULL
        WHEN 'webpush' THEN EXISTS (SELECT FROM subscription b WHERE b.shop_id = m.shop_id AND b.person_id = m.person_id)
        ELSE true END
    AND NOT EXISTS (SELECT FROM suppression s WHERE s.shop_id = m.shop_id AND s.channel IN ('any', m.channel)
        AND s.address_hmac IN (p.email_hmac, p.phone_hmac))
    AND NOT EXISTS (SELECT FROM consent k WHERE k.shop_id = m.shop_id AND k.person_id = m.person_id AND k.state = 'withdrawn'
        AND k.purpose = (:purposes::jsonb ->> m.channel) AND NOT EXISTS (
            SELECT FROM consent newer WHERE newer.shop_id = k.shop_id AND newer.person_id = k.person_id
                AND newer.purpose = k.purpose AND newer.id > k.id));

-- name: record
-- Outcomes by fence: one that has been overtaken changes nothing. A message whose recovery ended meanwhile is not tried
-- again. The recoveries are locked first, in their order, so what is read of them is how they are now. A browser that is
-- gone is removed with it, and the message is made anew for the next one of the person, which costs no try.
WITH given AS MATERIALIZED (
    SELECT :shop_id::bigint AS shop_id, n.* FROM unnest(:ids::bigint[], :fences::bigint[], :outcomes::text[], :provider_ids::text[], :codes::text[],
        :errors::text[], :costs::boolean[], :agains::interval[], :suppresses::boolean[], :gones::bytea[])
        AS n (id, fence, outcome, provider_id, code, error, costs_a_try, again_after, suppress, gone)
    WHERE n.id = n.id + 0
), n AS MATERIALIZED (
    SELECT g.shop_id, g.id, g.fence, g.provider_id, g.code, g.error, g.suppress, g.gone, x.goes_on,
        CASE WHEN x.goes_on THEN 'retry_wait' ELSE g.outcome END AS outcome, g.costs_a_try AND NOT x.goes_on AS costs_a_try,
        CASE WHEN NOT x.goes_on THEN g.again_after END AS again_after
    FROM given g CROSS JOIN LATERAL (
        SELECT g.gone IS NOT NULL AND EXISTS (
            SELECT FROM message m JOIN subscription b ON b.shop_id = m.shop_id AND b.person_id = m.person_id
            WHERE m.shop_id = g.shop_id AND m.id = g.id AND NOT m.sent_again
                AND NOT EXISTS (SELECT FROM given other WHERE other.gone = b.endpoint_hmac)
                AND NOT EXISTS (SELECT FROM suppression s WHERE s.shop_id = b.shop_id AND s.channel IN ('any', 'webpush')
                    AND s.address_hmac = b.endpoint_hmac)) AS goes_on
        OFFSET 0) AS x  -- or it would be planned once for each place where it is named
), dead AS (
    DELETE FROM subscription b USING given g WHERE b.shop_id = g.shop_id AND b.endpoint_hmac = g.gone
    RETURNING b.shop_id, b.endpoint_hmac
), nameless AS (
    DELETE FROM identity i USING dead
    WHERE i.shop_id = dead.shop_id AND i.kind = 'push' AND i.value = encode(dead.endpoint_hmac, 'hex')
), r AS MATERIALIZED (
    SELECT r.id, r.state, r.end_reason, m.id AS message_id FROM n
    JOIN message m ON m.shop_id = n.shop_id AND m.id = n.id
    JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id
    ORDER BY r.id, m.id FOR NO KEY UPDATE OF r
), closed AS (
    UPDATE attempt a SET outcome = n.outcome, code = n.code, closed_real = clock_timestamp(),
        provider_id = CASE WHEN r.end_reason IS DISTINCT FROM 'erased' THEN n.provider_id END,
        error = CASE WHEN r.end_reason IS DISTINCT FROM 'erased' THEN n.error END
    FROM n LEFT JOIN r ON r.message_id = n.id WHERE a.shop_id = n.shop_id AND a.message_id = n.id AND a.fence = n.fence
        AND (a.outcome IS NULL OR a.outcome = 'unknown')
), done AS (
    UPDATE message m SET
        state = CASE
            WHEN n.outcome <> 'retry_wait' THEN n.outcome
            WHEN r.state = 'ended' THEN 'cancelled'
            WHEN m.not_after < :now OR m.tries >= :most_tries AND n.costs_a_try THEN 'expired'
            WHEN n.goes_on THEN 'planned'
            ELSE 'retry_wait' END,
        lease_until_real = NULL,
        accepted_at = CASE WHEN n.outcome = 'accepted' THEN :now END,
        provider_id = CASE WHEN r.end_reason IS DISTINCT FROM 'erased' THEN n.provider_id END,
        reconcile_real = CASE WHEN n.outcome = 'unknown' THEN clock_timestamp() + interval '24 hours' END,
        tries = CASE WHEN n.costs_a_try THEN m.tries ELSE m.tries - 1 END,
        retry_real = CASE WHEN n.outcome = 'retry_wait' AND n.costs_a_try THEN clock_timestamp() + coalesce(n.again_after,
            least(3600, 60 * power(2, least(m.tries, 10) - 1)) * (0.75 + random() / 4) * interval '1 second')
            WHEN n.outcome = 'retry_wait' AND NOT n.goes_on THEN clock_timestamp() + coalesce(n.again_after, interval '0') END,
        reason = CASE WHEN n.outcome = 'accepted' THEN NULL
            WHEN n.outcome = 'retry_wait' AND r.state = 'ended' THEN coalesce(r.end_reason, 'ended')
            ELSE coalesce(nullif(n.code, ''), 'no answer') END,
        ended_at = CASE WHEN n.outcome = 'failed' OR n.outcome = 'retry_wait'
            AND (r.state = 'ended' OR m.not_after < :now OR m.tries >= :most_tries AND n.costs_a_try) THEN :now END
    FROM n JOIN r ON r.message_id = n.id
    WHERE m.shop_id = n.shop_id AND m.id = n.id AND m.fence = n.fence
        AND (m.state || '' = 'sending' OR m.state || '' = 'unknown' AND n.outcome IN ('accepted', 'failed'))
    RETURNING m.shop_id, m.id, m.state, m.recovery_id, m.person_id, m.channel, m.rehearsal, n.suppress, m.reason
), suppressed AS (
    INSERT INTO suppression (shop_id, channel, address_hmac, reason, source, since)
    SELECT DISTINCT ON (done.channel, a.hmac) :shop_id, done.channel, a.hmac, 'refused by the provider', 'delivery', :now
    FROM done JOIN person p ON p.shop_id = :shop_id AND p.id = done.person_id
    CROSS JOIN LATERAL (SELECT CASE done.channel WHEN 'email' THEN p.email_hmac WHEN 'sms' THEN p.phone_hmac END AS hmac) AS a
    WHERE done.suppress AND NOT done.rehearsal AND a.hmac IS NOT NULL
    ON CONFLICT DO NOTHING
), works_again AS (
    DELETE FROM channel_rest c WHERE c.shop_id = :shop_id AND c.until_real <= clock_timestamp()
        AND c.channel IN (SELECT channel FROM done WHERE state = 'accepted')
), woken AS (
    UPDATE recovery r SET wake_at = least(:now, r.wake_at - interval '1 us') FROM done
    WHERE r.shop_id = done.shop_id AND r.id = done.recovery_id AND r.state || '' = 'open'
        AND done.state NOT IN ('retry_wait', 'planned')
)
SELECT id, state, recovery_id, reason FROM done ORDER BY id;

-- name: reap
-- Claims whose lease is over: nobody knows what became of them, and nobody sends them again. The time is asked for once,
-- as a value: a volatile function would have every lease read.
WITH lost AS MATERIALIZED (
    SELECT m.id FROM message m JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id
    WHERE m.shop_id = :shop_id AND m.state = 'sending' AND m.lease_until_real < (SELECT clock_timestamp())
    ORDER BY m.lease_until_real LIMIT :most FOR NO KEY UPDATE OF r, m SKIP LOCKED
), noted AS (
    UPDATE attempt a SET outcome = 'unknown', code = 'lease over', error = 'the worker did not say what became of it',
        closed_real = clock_timestamp()
    FROM message m JOIN lost ON lost.id = m.id
    WHERE m.shop_id = :shop_id AND a.shop_id = m.shop_id AND a.message_id = m.id AND a.fence = m.fence AND a.outcome IS NULL
), done AS (
    UPDATE message m SET state = 'unknown', lease_until_real = NULL, reason = 'lease over',
        reconcile_real = clock_timestamp() + interval '24 hours'
    FROM lost WHERE m.shop_id = :shop_id AND m.id = lost.id
    RETURNING m.id, m.recovery_id
), woken AS (
    UPDATE recovery r SET wake_at = least(:now, r.wake_at - interval '1 us') FROM done
    WHERE r.shop_id = :shop_id AND r.id = done.recovery_id AND r.state = 'open'
)
SELECT id, recovery_id FROM done ORDER BY id;

-- name: settle_unknown
-- A day without evidence: it counts as sent and stays visible.
WITH over AS MATERIALIZED (
    SELECT id FROM message
    WHERE shop_id = :shop_id AND state = 'unknown' AND reconcile_real < (SELECT clock_timestamp())
    ORDER BY reconcile_real LIMIT :most FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE message m SET state = 'unknown_final', reconcile_real = NULL, ended_at = :now, reason = 'no evidence within a day'
FROM over WHERE m.shop_id = :shop_id AND m.id = over.id
RETURNING m.id;

-- name: expire
-- Too late, wherever they wait.
WITH late AS MATERIALIZED (
    SELECT m.id FROM message m JOIN recovery r ON r.shop_id = m.shop_id AND r.id = m.recovery_id
    WHERE m.shop_id = :shop_id AND m.state IN ('planned', 'prepared', 'retry_wait') AND m.not_after < :now
    ORDER BY m.not_after LIMIT :most FOR NO KEY UPDATE OF r, m SKIP LOCKED
), done AS (
    UPDATE message m SET state = 'expired', ended_at = :now,
        reason = coalesce(nullif(m.reason, ''), 'its time was over')
    FROM late WHERE m.shop_id = :shop_id AND m.id = late.id
    RETURNING m.id, m.recovery_id
), woken AS (
    UPDATE recovery r SET wake_at = least(:now, r.wake_at - interval '1 us') FROM done
    WHERE r.shop_id = :shop_id AND r.id = done.recovery_id AND r.state = 'open'
)
SELECT id, recovery_id FROM done ORDER BY id;

-- name: end_unprepared
-- Nothing left to write about: the message is not needed, the recovery is over.
WITH still_open AS MATERIALIZED (
    SELECT id FROM recovery WHERE shop_id = :shop_id AND id = ANY(:recoveries::bigint[]) AND state = 'open'
    ORDER BY id FOR NO KEY UPDATE
), over AS (
    UPDATE recovery r SET state = 'ended', ended_at = :now, end_reason = :reason, wake_at = NULL
    FROM still_open WHERE r.shop_id = :shop_id AND r.id = still_open.id AND r.state = 'open' RETURNING r.id
)
UPDATE message m SET state = 'cancelled', reason = :reason, ended_at = :now
FROM over WHERE m.shop_id = :shop_id AND m.recovery_id = over.id AND m.state IN ('planned', 'prepared', 'retry_wait')
RETURNING m.id, m.recovery_id;

-- name: rest_channel!
-- The sender is at fault: the channel rests, longer each time, and no message loses a try.
INSERT INTO channel_rest AS c (shop_id, channel, until_real, failures, reason)
VALUES (:shop_id, :channel, clock_timestamp() + interval '30 seconds', 1, :reason)
ON CONFLICT (shop_id, channel) DO UPDATE SET failures = c.failures + 1, reason = excluded.reason,
    until_real = clock_timestamp() + least(3600, 30 * power(2, least(c.failures, 8))) * interval '1 second'
WHERE c.until_real <= clock_timestamp();

-- name: resting
SELECT channel, reason, until_real FROM channel_rest WHERE shop_id = :shop_id AND until_real > clock_timestamp();

-- name: window^
-- Who may be at the gate next, for the look at the shop before it.
WITH fresh AS (
    SELECT m.id, m.person_id, m.recovery_id, m.not_before AS at FROM message m
    WHERE m.shop_id = :shop_id AND m.channel = :channel AND m.state IN ('prepared', 'retry_wait') AND m.retry_real IS NULL
        AND m.not_before <= :now
    ORDER BY m.not_before, m.id LIMIT :most
), back AS (
    SELECT m.id, m.person_id, m.recovery_id, m.retry_real AS at FROM message m
    WHERE m.shop_id = :shop_id AND m.channel = :channel AND m.state IN ('prepared', 'retry_wait')
        AND m.retry_real <= (SELECT clock_timestamp()) AND m.not_before <= :now
    ORDER BY m.retry_real, m.id LIMIT :most
), chosen AS MATERIALIZED (
    SELECT id, person_id, recovery_id FROM (
        SELECT *, row_number() OVER (ORDER BY at, id) AS place, 1 AS door FROM fresh
        UNION ALL SELECT *, row_number() OVER (ORDER BY at, id), 0 FROM back) AS queue
    ORDER BY place, door LIMIT :most
), t AS MATERIALIZED (
    SELECT q.id, q.person_id, c.first_seen_at AS started_at FROM chosen q
    JOIN recovery r ON r.shop_id = :shop_id AND r.id = q.recovery_id
    JOIN cart c ON c.shop_id = r.shop_id AND c.id = r.cart_id
)
SELECT ARRAY(SELECT id FROM t ORDER BY id) AS messages,
    coalesce(array_agg(DISTINCT i.value) FILTER (WHERE i.kind = 'customer'), '{}') AS refs,
    coalesce(array_agg(DISTINCT i.value) FILTER (WHERE i.kind = 'email'), '{}') AS emails, min(t.started_at) AS since
FROM t JOIN identity i ON i.shop_id = :shop_id AND i.person_id = t.person_id;

-- name: put_off!
-- These could not be made ready; they are tried again later.
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(:ids::bigint[], :reasons::text[]) AS n (id, reason)
), free AS MATERIALIZED (
    SELECT m.id FROM message m JOIN n ON m.id = n.id WHERE m.shop_id = :shop_id AND m.state = 'planned'
    ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
)
UPDATE message m SET not_before = :until, reason = n.reason
FROM n JOIN free ON free.id = n.id
WHERE m.shop_id = :shop_id AND m.id = n.id AND m.state = 'planned';
