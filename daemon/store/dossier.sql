-- name: find
-- Whom a word may mean, by what it was found; those who were merged away stand for whom they became. A tombstone
-- answers as the identity that it was.
SELECT DISTINCT found.shop_id, coalesce(p.merged_into, p.id) AS id, found.kind FROM (
    SELECT i.shop_id, i.person_id, i.kind FROM identity i  -- by a hash, too
    WHERE i.shop_id = ANY(:shops::bigint[])
        AND (i.kind = 'email' AND i.value IN (:email, :email_gone) OR i.kind = 'customer' AND i.value IN (:word, :word_gone))
    UNION ALL
    SELECT shop_id, id, 'email' FROM person WHERE shop_id = ANY(:shops::bigint[]) AND email_hmac = :email_hmac
    UNION ALL
    SELECT shop_id, id, 'phone' FROM person WHERE shop_id = ANY(:shops::bigint[]) AND phone IN (:word, :phone)
    UNION ALL
    SELECT shop_id, id, 'id' FROM person WHERE shop_id = ANY(:shops::bigint[]) AND id = :number
) found JOIN person p ON p.shop_id = found.shop_id AND p.id = found.person_id
ORDER BY 1, 2, 3;

-- name: held
-- Every row about a person and those who were merged into them, whole, by its table.
WITH us AS MATERIALIZED (
    SELECT id, email_hmac, phone_hmac FROM person WHERE shop_id = :shop_id AND (id = :person OR merged_into = :person)
), letters AS MATERIALIZED (
    SELECT m.id FROM message m JOIN us ON m.person_id = us.id WHERE m.shop_id = :shop_id
), tries AS MATERIALIZED (
    SELECT r.id, r.policy_hash FROM recovery r JOIN us ON r.person_id = us.id WHERE r.shop_id = :shop_id
)
SELECT 'person' AS noun, p.id AS place, to_jsonb(p) AS held FROM person p JOIN us ON p.id = us.id WHERE p.shop_id = :shop_id
UNION ALL SELECT 'identity', 0, to_jsonb(i) FROM identity i JOIN us ON i.person_id = us.id WHERE i.shop_id = :shop_id
UNION ALL SELECT 'merge', g.id, to_jsonb(g) FROM merge g WHERE g.shop_id = :shop_id
    AND (g.older IN (SELECT id FROM us) OR g.younger IN (SELECT id FROM us))
UNION ALL SELECT 'parted', q.other, to_jsonb(q) FROM parted q JOIN us ON q.person_id = us.id WHERE q.shop_id = :shop_id
UNION ALL SELECT 'subscription', b.id, to_jsonb(b) FROM subscription b JOIN us ON b.person_id = us.id WHERE b.shop_id = :shop_id
UNION ALL SELECT 'consent', k.id, to_jsonb(k) || jsonb_build_object('wording', coalesce(w.text, ''))
    FROM consent k JOIN us ON k.person_id = us.id LEFT JOIN wording w ON w.shop_id = k.shop_id AND w.sha256 = k.wording_sha256
    WHERE k.shop_id = :shop_id
UNION ALL SELECT 'opt_in', o.id, to_jsonb(o) FROM opt_in o JOIN us ON o.person_id = us.id WHERE o.shop_id = :shop_id
UNION ALL SELECT 'suppression', 0, to_jsonb(s) FROM suppression s JOIN us ON s.address_hmac IN (us.email_hmac, us.phone_hmac)
    WHERE s.shop_id = :shop_id
UNION ALL SELECT 'visitor', 0, to_jsonb(v) FROM visitor v
    JOIN identity i ON i.shop_id = v.shop_id AND i.kind = 'onsite' AND i.value = v.name
    JOIN us ON i.person_id = us.id WHERE v.shop_id = :shop_id
UNION ALL SELECT 'cart', c.id, to_jsonb(c) FROM cart c JOIN us ON c.person_id = us.id WHERE c.shop_id = :shop_id
UNION ALL SELECT 'order', o.id, to_jsonb(o) FROM shop_order o JOIN us ON o.person_id = us.id WHERE o.shop_id = :shop_id
UNION ALL SELECT 'recovery', r.id, to_jsonb(r) FROM recovery r JOIN tries USING (id) WHERE r.shop_id = :shop_id
UNION ALL SELECT 'decision', d.id, to_jsonb(d) FROM decision d JOIN tries ON d.recovery_id = tries.id WHERE d.shop_id = :shop_id
UNION ALL SELECT 'message', m.id, to_jsonb(m) FROM message m JOIN letters USING (id) WHERE m.shop_id = :shop_id
UNION ALL SELECT 'attempt', a.fence, to_jsonb(a) FROM attempt a JOIN letters ON a.message_id = letters.id WHERE a.shop_id = :shop_id
UNION ALL SELECT 'member', 0, to_jsonb(b) FROM member b JOIN us ON b.person_id = us.id WHERE b.shop_id = :shop_id
UNION ALL SELECT 'link', l.message_id, to_jsonb(l) FROM link l JOIN letters ON l.message_id = letters.id WHERE l.shop_id = :shop_id
UNION ALL SELECT 'event', 0, to_jsonb(e) FROM event e JOIN letters ON e.message_id = letters.id WHERE e.shop_id = :shop_id
ORDER BY 1, 2;

-- name: deliveries
-- What was pushed and is still kept as it came, behind the given id.
SELECT id, source, delivery_id, body, received_at, state, message_id FROM inbox
WHERE shop_id = :shop_id AND id > :after AND body <> '' ORDER BY id LIMIT :most;

-- name: newest_delivery$
SELECT coalesce(max(id), 0) FROM inbox WHERE shop_id = :shop_id;

-- name: people
-- The person, those who were merged into them, and whom they were merged into since they were found.
SELECT id, merged_into, erased_at, customer_ref, email, phone FROM person
WHERE shop_id = :shop_id AND (id = :person OR merged_into = :person) ORDER BY id;

-- name: identities
SELECT kind, value FROM identity WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]) ORDER BY kind, value;

-- name: erase_person!
-- The number stays, with the share that it drew, for the comparison of the held-out; nothing says any more who it was.
UPDATE person SET customer_ref = NULL, email = NULL, email_hmac = NULL, phone = NULL, phone_hmac = NULL, first_name = '',
    last_name = '', locale = '', zone = '', country = '', customer_group = '', region = '', chosen_locale = '',
    fewer = false, wanted_again_at = NULL, may_be_written_to = false, active_at = NULL,
    written_to_elsewhere_at = NULL, erased_at = coalesce(erased_at, :now), facts_no = facts_no + 1
WHERE shop_id = :shop_id AND id = ANY(:people::bigint[]);

-- name: erase_members!
-- Out of every ad audience. What a platform has of them stays until it was told to forget it; then the row goes, too.
WITH gone AS (
    DELETE FROM member WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]) AND actual = 'out'
)
UPDATE member SET ended_at = coalesce(ended_at, :now), end_reason = 'erased', wanted = false
WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]) AND actual <> 'out';

-- name: erase_identities!
-- The visitors of the shop's pages that they were go with them.
WITH gone AS (
    DELETE FROM identity WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]) RETURNING kind, value
)
DELETE FROM visitor v USING gone WHERE v.shop_id = :shop_id AND gone.kind = 'onsite' AND v.name = gone.value;

-- name: erase_subscriptions!
DELETE FROM subscription WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]);

-- name: bury!
-- Tombstones: keyed hashes in the place of what a poll of the shop would find them by.
INSERT INTO identity (shop_id, kind, value, person_id, since)
SELECT :shop_id, n.kind, n.value, :person, :now FROM unnest(:kinds::text[], :values::text[]) AS n (kind, value)
ORDER BY n.kind, n.value
ON CONFLICT (shop_id, kind, value) DO UPDATE SET person_id = excluded.person_id, since = excluded.since;

-- name: exhume!
-- They came back of their own will: nothing keeps them away any more.
DELETE FROM identity WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]) AND value LIKE :mark::text || '%';

-- name: erase_merges!
-- It stays that they were one with somebody, and since when; who they were, and what moved, goes.
UPDATE merge SET value = CASE WHEN value = '' THEN '' ELSE 'erased' END, moved = '{}'
WHERE shop_id = :shop_id AND (older = ANY(:people::bigint[]) OR younger = ANY(:people::bigint[]));

-- name: erase_consents!
-- That there was a consent stays, for the messages that rest on it; who gave it how goes.
UPDATE consent SET source = 'erased', evidence = CASE WHEN evidence = '' THEN '' ELSE 'erased' END, wording_sha256 = NULL,
    source_url = '', ip_net = '', user_agent = ''
WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]);

-- name: wordings
-- The sentences that they agreed to, by their hashes.
SELECT wording_sha256 AS sha256 FROM consent
WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]) AND wording_sha256 IS NOT NULL
UNION SELECT wording_sha256 FROM opt_in WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]);

-- name: erase_requests!
DELETE FROM opt_in WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]);

-- name: erase_wordings!
-- A sentence that nobody else agreed to may have been made for this person alone.
DELETE FROM wording w WHERE w.shop_id = :shop_id AND w.sha256 = ANY(:hashes::bytea[])
    AND NOT EXISTS (SELECT FROM consent k WHERE k.shop_id = w.shop_id AND k.wording_sha256 = w.sha256)
    AND NOT EXISTS (SELECT FROM opt_in o WHERE o.shop_id = w.shop_id AND o.wording_sha256 = w.sha256);

-- name: erase_reasons!
-- Suppressions stay, as hashes; what somebody typed beside them may name the person.
-- The source is ours ("by hand", "delivery", the form of an import), or, by an earlier version or by SQL, anybody's.
UPDATE suppression SET
    reason = CASE WHEN reason IN ('unsubscribed', 'complained', 'by hand', 'refused by the mail server', 'refused by the provider', 'bounced', 'blocked')
        THEN reason ELSE 'erased' END,
    source = CASE WHEN source IN ('by hand', 'delivery') OR source ~ '^(message [0-9]+|import [a-z-]+)$' THEN source ELSE 'erased' END
WHERE shop_id = :shop_id AND address_hmac = ANY(:hmacs::bytea[]);

-- name: erase_pauses!
-- A pause is nobody's, but what somebody typed as its reason may hold an address or a number of theirs.
UPDATE pause SET reason = 'erased' WHERE shop_id = :shop_id
    AND EXISTS (SELECT FROM unnest(:words::text[]) AS w (word) WHERE strpos(lower(pause.reason), w.word) > 0);

-- name: erase_carts!
-- What it cost and when it lay still stays, for the figures.
UPDATE cart SET ref = 'erased-' || id, lines = '[]', recovery_url = '', device = '', fingerprint = '', read_hash = '',
    state = CASE WHEN state = 'open' THEN 'emptied' ELSE state END, closed_at = coalesce(closed_at, :now), look_at = NULL,
    answer = CASE WHEN answer = 'enrolled' THEN answer ELSE 'erased' END, answered_at = coalesce(answered_at, :now)
WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]);

-- name: erase_orders!
UPDATE shop_order SET ref = 'erased-' || id, cart_ref = '', coupon_codes = '{}', status = standing
WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[]);

-- name: erase_messages!
-- Content, reasons, outcomes and links of all their messages, and who was behind each hit. States, times and classes stay.
WITH tries AS MATERIALIZED (
    SELECT id FROM recovery WHERE shop_id = :shop_id AND person_id = ANY(:people::bigint[])
), decisions AS (
    UPDATE decision d SET because = 'erased', questions = '[]', facts = '{}'
    FROM tries WHERE d.shop_id = :shop_id AND d.recovery_id = tries.id
), letters AS (
    UPDATE message m SET content = NULL, letter = NULL, provider_id = NULL,
        reason = CASE WHEN reason LIKE 'resolved by hand%' THEN 'resolved by hand'
            WHEN state IN ('bounced', 'complained') THEN split_part(reason, ':', 1) ELSE reason END,
        basis_evidence = CASE WHEN basis_evidence = '' THEN '' ELSE 'erased' END
    WHERE m.shop_id = :shop_id AND m.person_id = ANY(:people::bigint[])
    RETURNING m.id
), attempts AS (
    UPDATE attempt a SET error = NULL, provider_id = NULL, body_sha256 = NULL
    FROM letters WHERE a.shop_id = :shop_id AND a.message_id = letters.id
), links AS (
    DELETE FROM link l USING letters WHERE l.shop_id = :shop_id AND l.message_id = letters.id
), mails AS (
    UPDATE inbox i SET body = '', unread = false FROM letters WHERE i.shop_id = :shop_id AND i.message_id = letters.id
)
UPDATE event e SET user_agent = '', ip_net = '', detail = NULL
FROM letters WHERE e.shop_id = :shop_id AND e.message_id = letters.id;

-- name: erase_deliveries!
-- What waits still has its effect, which for somebody who was erased is none; then it goes, too.
UPDATE inbox SET body = '', unread = false, effect = CASE WHEN state = 'refused' THEN 'erased' ELSE effect END
WHERE shop_id = :shop_id AND id = ANY(:ids::bigint[]) AND state <> 'waiting';
