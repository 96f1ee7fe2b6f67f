-- name: letters
-- The messages that mails speak of. Has the person had the same address ever since it was sent?
SELECT m.id, m.person_id, m.recovery_id, m.state, m.channel, m.rehearsal, p.email_hmac, p.phone_hmac,
    NOT EXISTS (SELECT FROM identity i WHERE i.shop_id = m.shop_id AND i.person_id = m.person_id AND i.kind = 'email'
        AND i.since > m.sending_at) AS same_address
FROM message m JOIN person p ON p.shop_id = m.shop_id AND p.id = m.person_id
WHERE m.shop_id = :shop_id AND m.id = ANY(:ids::bigint[]) ORDER BY m.id;

-- name: came_back
-- A message goes up to this rank if it stood on a lower one: never backwards. That it came back, or was answered, also
-- proves that it had been taken. The caller holds the person's lock.
WITH moved AS (
    UPDATE message m SET state = :state, accepted_at = coalesce(m.accepted_at, greatest(m.sending_at, :at)),
        reconcile_real = NULL, ended_at = NULL, reason = :reason
    WHERE m.shop_id = :shop_id AND m.id = :id AND m.state = ANY(:below::text[])
    RETURNING m.id, m.fence
), closed AS (
    UPDATE attempt a SET outcome = 'accepted', closed_real = coalesce(a.closed_real, clock_timestamp())
    FROM moved WHERE a.shop_id = :shop_id AND a.message_id = moved.id AND a.fence = moved.fence
        AND a.outcome IS DISTINCT FROM 'accepted'
)
SELECT id FROM moved;

-- name: keep!
-- What came back, as an event that has been worked off.
INSERT INTO event (shop_id, id, kind, message_id, recovery_id, person_id, at, class, handled_at, detail)
VALUES (:shop_id, :id, :kind, :message_id, :recovery_id, :person_id, :at, :class_, :at, :detail);

-- name: soft_bounces^
-- Messages to the address that the person has now which came back without saying that it is dead, and on how many days.
SELECT count(DISTINCT m.id) AS messages, count(DISTINCT (e.at AT TIME ZONE 'UTC')::date) AS days
FROM message m JOIN event e ON e.shop_id = m.shop_id AND e.message_id = m.id
WHERE m.shop_id = :shop_id AND m.person_id = :person_id AND m.channel = :channel AND NOT m.rehearsal
    AND m.state IN ('sending', 'accepted', 'delivered', 'bounced', 'complained', 'unknown', 'unknown_final')
    AND m.sending_at > :since::timestamptz - interval '14 days'
    AND m.sending_at >= coalesce((SELECT max(i.since) FROM identity i
        WHERE i.shop_id = m.shop_id AND i.person_id = m.person_id AND i.kind = 'email'), '-infinity')
    AND e.kind = 'bounced' AND e.detail ->> 'severity' = 'soft' AND e.at > :since;

-- name: unknown^
-- A message whose outcome nobody knows, for whoever found out.
SELECT m.id, m.person_id, m.recovery_id, m.state, m.fence FROM message m
WHERE m.shop_id = :shop_id AND m.id = :id AND m.state IN ('unknown', 'unknown_final');

-- name: resolve
-- A person says what became of it, and how they know. The caller holds the person's lock.
WITH moved AS (
    UPDATE message m SET state = :state, reason = :reason, reconcile_real = NULL,
        accepted_at = CASE WHEN :state = 'accepted' THEN m.sending_at END,
        ended_at = CASE WHEN :state = 'failed' THEN :at::timestamptz END
    WHERE m.shop_id = :shop_id AND m.id = :id AND m.state IN ('unknown', 'unknown_final')
    RETURNING m.id, m.fence
), closed AS (
    UPDATE attempt a SET outcome = :state, error = :reason, closed_real = coalesce(a.closed_real, clock_timestamp())
    FROM moved WHERE a.shop_id = :shop_id AND a.message_id = moved.id AND a.fence = moved.fence
)
SELECT id FROM moved;
