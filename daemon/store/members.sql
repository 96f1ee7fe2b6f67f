-- name: news
-- Messages that were accepted and have made nobody a member yet.
SELECT m.id, coalesce(p.merged_into, p.id) AS person_id, p.split_key, m.content ->> 'audience' AS audience,
    (m.content ->> 'for')::bigint AS seconds, m.sending_at AS claimed_at, m.accepted_at
FROM message m JOIN person p ON p.shop_id = m.shop_id AND p.id = m.person_id
WHERE m.shop_id = :shop_id AND m.channel = 'audience' AND m.state = 'accepted' AND NOT m.rehearsal
ORDER BY m.id LIMIT :most
FOR NO KEY UPDATE OF m SKIP LOCKED;

-- name: join!
-- Members from now on, or for longer; who was out comes back. Their messages have arrived.
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(:ids::bigint[], :persons::bigint[], :audiences::text[], :sinces::timestamptz[], :untils::timestamptz[],
        :controls::boolean[]) AS n (id, person_id, audience, since, until, control)
), arrived AS (
    UPDATE message m SET state = 'delivered' FROM n
    WHERE m.shop_id = :shop_id AND m.id = n.id AND m.state = 'accepted'
), latest AS (
    SELECT DISTINCT ON (audience, person_id) * FROM n WHERE audience IS NOT NULL AND until IS NOT NULL
    ORDER BY audience, person_id, id DESC
)
INSERT INTO member AS b (shop_id, audience, person_id, message_id, since, until, control, wanted)
SELECT :shop_id, audience, person_id, id, since, until, control, NOT control FROM latest ORDER BY audience, person_id
ON CONFLICT (shop_id, audience, person_id) DO UPDATE SET message_id = excluded.message_id,
    since = CASE WHEN b.ended_at IS NULL THEN b.since ELSE excluded.since END, until = greatest(b.until, excluded.until),
    control = excluded.control, wanted = excluded.wanted, ended_at = NULL, end_reason = NULL;

-- Where members are named by a list, the shop comes from the list itself, and what is asked of a row is not what an index is
-- about: so each is looked up by its key, and no list is read once for each member, whatever old statistics say.

-- name: leave
-- Who is a member, or stays out as one, and must not be any more: why stands in the order in which it is asked.
WITH asked AS MATERIALIZED (
    SELECT b.shop_id, b.audience, b.person_id, CASE
        WHEN p.erased_at IS NOT NULL THEN 'erased'
        WHEN p.merged_into IS NOT NULL THEN 'merged'
        WHEN EXISTS (SELECT FROM shop_order o WHERE o.shop_id = b.shop_id AND o.person_id = b.person_id
            AND o.standing = 'purchase' AND (o.placed_at >= b.since OR o.first_seen_at >= b.since)) THEN 'purchase'
        WHEN NOT p.may_be_written_to THEN 'not_allowed'
        WHEN EXISTS (SELECT FROM suppression s WHERE s.shop_id = b.shop_id
            AND s.address_hmac IN (p.email_hmac, p.phone_hmac)) THEN 'suppressed'
        WHEN (SELECT k.state FROM consent k WHERE k.shop_id = b.shop_id AND k.person_id = b.person_id
            AND k.purpose = 'ads_audience' ORDER BY k.id DESC LIMIT 1) IS DISTINCT FROM 'confirmed' THEN 'no_consent'
        WHEN p.email IS NULL AND p.phone IS NULL THEN 'no_address'
        WHEN p.split_key < :holdout THEN 'held_out'
        WHEN b.until <= :now THEN 'over'
        WHEN NOT :live THEN 'not_live'
        WHEN b.audience <> ALL(:known::text[]) THEN 'removed'
    END AS reason
    FROM member b CROSS JOIN LATERAL (SELECT * FROM person WHERE shop_id = b.shop_id AND id = b.person_id OFFSET 0) AS p
    WHERE b.shop_id = :shop_id AND b.ended_at IS NULL
), gone AS MATERIALIZED (
    SELECT * FROM asked WHERE reason IS NOT NULL
), done AS (
    UPDATE member b SET ended_at = :now, end_reason = gone.reason, wanted = false
    FROM gone WHERE b.shop_id = gone.shop_id AND b.audience = gone.audience AND b.person_id = gone.person_id
        AND coalesce(b.ended_at, 'infinity') = 'infinity'
    RETURNING b.audience, b.end_reason, b.control
)
SELECT audience, end_reason, count(*) AS people FROM done WHERE NOT control GROUP BY 1, 2 ORDER BY 1, 2;

-- name: end!
-- Everybody of one audience is out.
UPDATE member SET ended_at = :now, end_reason = :reason, wanted = false
WHERE shop_id = :shop_id AND audience = :audience AND ended_at IS NULL;

-- name: mark_stale!
-- Who is known under other addresses by now than the platform got.
WITH moved AS MATERIALIZED (
    SELECT b.shop_id, b.audience, b.person_id FROM member b
    CROSS JOIN LATERAL (SELECT * FROM person WHERE shop_id = b.shop_id AND id = b.person_id OFFSET 0) AS p
    WHERE b.shop_id = :shop_id AND b.audience = :audience AND b.wanted AND b.actual <> 'out' AND NOT b.stale
        AND b.known_as IS DISTINCT FROM array_remove(ARRAY[p.email_hmac, p.phone_hmac], NULL)
)
UPDATE member b SET stale = true FROM moved
WHERE b.shop_id = moved.shop_id AND b.audience = moved.audience AND b.person_id = moved.person_id;

-- name: forget!
-- Of whom was erased nothing is left once they are out; nor is it of whom was out for long.
DELETE FROM member WHERE shop_id = :shop_id AND actual = 'out' AND ended_at IS NOT NULL
    AND (end_reason = 'erased' OR ended_at < :before);

-- name: to_remove
SELECT b.person_id, b.op_seq, b.actual, b.keys, NULL::text AS email, NULL::text AS phone, NULL::bytea[] AS known_as
FROM member b
WHERE b.shop_id = :shop_id AND b.audience = :audience AND (NOT b.wanted OR b.stale) AND b.actual <> 'out'
    AND (b.stale OR b.actual <> CASE WHEN b.wanted THEN 'in' ELSE 'out' END)
    AND NOT (b.request IS NOT NULL AND b.asked = 'remove')
ORDER BY b.person_id LIMIT :most;

-- name: to_add
SELECT b.person_id, b.op_seq, b.actual, b.keys, p.email, p.phone,
    array_remove(ARRAY[p.email_hmac, p.phone_hmac], NULL) AS known_as
FROM member b CROSS JOIN LATERAL (SELECT * FROM person WHERE shop_id = b.shop_id AND id = b.person_id OFFSET 0) AS p
WHERE b.shop_id = :shop_id AND b.audience = :audience AND b.wanted AND NOT b.stale AND b.actual <> 'in'
    AND (b.stale OR b.actual <> CASE WHEN b.wanted THEN 'in' ELSE 'out' END)
    AND NOT (b.request IS NOT NULL AND b.asked = 'add')
ORDER BY b.person_id LIMIT :most;

-- name: distinct_in$
-- How many the platform can tell apart of those who are in and stay.
SELECT count(DISTINCT keys) FROM member WHERE shop_id = :shop_id AND audience = :audience AND wanted AND NOT stale
    AND actual = 'in';

-- name: begin
-- A call is about to be made: whatever becomes of it, it is known that it was. Those whom it will be about.
WITH n AS MATERIALIZED (
    SELECT :shop_id::bigint AS shop_id, :audience::text AS audience, n.*
    FROM unnest(:persons::bigint[], :op_seqs::bigint[], :keys::jsonb[], :known_as_first::bytea[], :known_as_second::bytea[])
        AS n (person_id, op_seq, keys, first, second)
)
UPDATE member b SET actual = 'unsure', op_seq = b.op_seq + 1, asked = :asked::text, asked_real = clock_timestamp(), request = NULL,
    twice = :asked::text = 'remove' AND (b.twice OR b.request IS NOT NULL),
    keys = n.keys, known_as = CASE WHEN :asked::text = 'add' THEN array_remove(ARRAY[n.first, n.second], NULL) ELSE b.known_as END
FROM n WHERE b.shop_id = n.shop_id AND b.audience = n.audience AND b.person_id = n.person_id AND b.op_seq = n.op_seq
RETURNING b.person_id;

-- name: settle!
-- What became of a call. Who was asked about anew meanwhile is unsure: either call may have been the last.
WITH n AS MATERIALIZED (
    SELECT :shop_id::bigint AS shop_id, :audience::text AS audience, n.*
    FROM unnest(:persons::bigint[], :op_seqs::bigint[], :actuals::text[]) AS n (person_id, op_seq, actual)
), ours AS (
    UPDATE member b SET request = NULL, asked = NULL, asked_real = NULL,
        actual = CASE WHEN b.twice AND n.actual = 'out' THEN 'unsure' ELSE n.actual END, twice = false,
        keys = CASE WHEN n.actual = 'out' AND NOT b.twice THEN NULL ELSE b.keys END,
        stale = b.stale AND n.actual <> 'out', tries = CASE WHEN n.actual = 'unsure' THEN b.tries + 1 ELSE 0 END
    FROM n WHERE b.shop_id = n.shop_id AND b.audience = n.audience AND b.person_id = n.person_id AND b.op_seq = n.op_seq
)
UPDATE member b SET actual = 'unsure', request = NULL FROM n
WHERE b.shop_id = n.shop_id AND b.audience = n.audience AND b.person_id = n.person_id AND b.op_seq <> n.op_seq
    AND b.keys IS NOT NULL;

-- name: ask_later!
-- The platform works it off and tells by this number what became of it.
UPDATE member b SET request = :request
FROM (SELECT :shop_id::bigint AS shop_id, :audience::text AS audience, n.*
    FROM unnest(:persons::bigint[], :op_seqs::bigint[]) AS n (person_id, op_seq)) AS n
WHERE b.shop_id = n.shop_id AND b.audience = n.audience AND b.person_id = n.person_id AND b.op_seq = n.op_seq
    AND b.actual = 'unsure';

-- name: requests
-- What is being worked off, and for how long already.
SELECT request, asked, max(tries) AS tries, clock_timestamp() - min(asked_real) AS age, count(*) AS people FROM member
WHERE shop_id = :shop_id AND audience = :audience AND request IS NOT NULL
GROUP BY request, asked ORDER BY min(asked_real), request;

-- name: answered!
-- What became of what was worked off.
UPDATE member b SET request = NULL, asked = NULL, asked_real = NULL,
    actual = CASE WHEN b.twice AND :actual::text = 'out' THEN 'unsure' ELSE :actual::text END, twice = false,
    keys = CASE WHEN :actual::text = 'out' AND NOT b.twice THEN NULL ELSE b.keys END,
    stale = b.stale AND :actual::text <> 'out', tries = CASE WHEN :actual::text = 'unsure' THEN b.tries + 1 ELSE 0 END
WHERE b.shop_id = :shop_id AND b.audience = :audience AND b.request = :request;

-- name: well!
INSERT INTO audience AS a (shop_id, name, pushed_at, note) VALUES (:shop_id, :audience, :now, :note)
ON CONFLICT (shop_id, name) DO UPDATE SET failures = 0, problem = NULL, problem_at = NULL, rest_real = NULL, pushed_at = :now,
    note = coalesce(excluded.note, a.note);

-- name: trouble!
-- The platform is left alone for a while, longer each time, and never so long that who has to leave is late.
INSERT INTO audience AS a (shop_id, name, failures, problem, problem_at, rest_real)
VALUES (:shop_id, :audience, 1, :problem, :now, clock_timestamp() + coalesce(:after::interval, interval '15 seconds'))
ON CONFLICT (shop_id, name) DO UPDATE SET failures = a.failures + 1, problem = :problem, problem_at = :now,
    rest_real = clock_timestamp() + least(interval '4 minutes',
        coalesce(:after::interval, power(2, least(a.failures, 4)) * interval '15 seconds'));

-- name: heed!
-- Something forbids one of these people to stay in an ad audience, or may: it is asked at once, by whichever process works.
UPDATE work SET due_at = :now WHERE shop_id = :shop_id AND name = 'audiences' AND due_at > :now AND EXISTS (
    SELECT FROM member b WHERE b.shop_id = :shop_id AND b.person_id = ANY(:persons::bigint[]) AND b.ended_at IS NULL);

-- name: out_of_reach
-- How many people are, or may be, in audiences other than these.
SELECT audience, count(*) AS people FROM member
WHERE shop_id = :shop_id AND actual <> 'out' AND audience <> ALL(:known::text[]) GROUP BY audience ORDER BY audience;

-- name: problems
-- What is wrong with the audiences of these shops.
SELECT shop_id, name, problem FROM audience WHERE shop_id = ANY(:shops::bigint[]) AND problem IS NOT NULL ORDER BY shop_id, name;

-- name: resting$
SELECT EXISTS (SELECT FROM audience WHERE shop_id = :shop_id AND name = :audience AND rest_real > clock_timestamp());

-- name: unrest!
UPDATE audience SET rest_real = NULL WHERE shop_id = :shop_id AND name = :audience;

-- name: is_anything_left$
SELECT EXISTS (SELECT FROM member WHERE shop_id = :shop_id AND ended_at IS NULL)
    OR EXISTS (SELECT FROM member WHERE shop_id = :shop_id AND (stale OR actual <> CASE WHEN wanted THEN 'in' ELSE 'out' END));

-- name: sizes
-- Each audience as it should be and as it is, with its control group and who bought of both.
SELECT coalesce(b.audience, a.name) AS audience, count(b.person_id) FILTER (WHERE b.wanted) AS wanted,
    count(b.person_id) FILTER (WHERE b.actual = 'in') AS actual,
    count(b.person_id) FILTER (WHERE b.actual = 'unsure') AS unsure,
    count(b.person_id) FILTER (WHERE NOT b.wanted AND b.actual <> 'out') AS leaving,
    count(b.person_id) FILTER (WHERE b.control AND b.ended_at IS NULL) AS control,
    count(b.person_id) FILTER (WHERE NOT b.control) AS members_ever,
    count(b.person_id) FILTER (WHERE NOT b.control AND b.end_reason = 'purchase') AS members_bought,
    count(b.person_id) FILTER (WHERE b.control) AS control_ever,
    count(b.person_id) FILTER (WHERE b.control AND b.end_reason = 'purchase') AS control_bought,
    max(a.problem) AS problem, max(a.problem_at) AS problem_at, max(a.note) AS note, max(a.pushed_at) AS pushed_at
FROM (SELECT * FROM member WHERE shop_id = :shop_id) AS b
FULL JOIN (SELECT * FROM audience WHERE shop_id = :shop_id) AS a ON a.name = b.audience
GROUP BY 1 ORDER BY 1;

-- name: listed
-- Whoever is wanted in an audience, for a list of it.
SELECT b.person_id, p.customer_ref, p.email, p.phone, p.first_name, p.last_name, b.since, b.until, b.actual
FROM member b JOIN person p ON p.shop_id = b.shop_id AND p.id = b.person_id
WHERE b.shop_id = :shop_id AND b.audience = :audience AND b.wanted ORDER BY b.person_id;

-- name: drop_rows$
-- Nothing is kept of an audience: for one whose platform is not asked any more.
WITH gone AS (
    DELETE FROM member WHERE shop_id = :shop_id AND audience = :audience RETURNING person_id
), problem AS (
    DELETE FROM audience WHERE shop_id = :shop_id AND name = :audience
)
SELECT count(*) FROM gone;
