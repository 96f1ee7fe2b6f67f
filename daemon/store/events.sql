-- name: record
-- Hits, the shop time of now (place 0), and for each that has a link where it leads: one round trip for all of it.
-- A hit on a message that is gone is kept too.
-- The look-ups are lateral with a limit, so that no plan ever reads a whole table for a group of hits.
-- `again`: these may have been written before (a lost answer, a journal replayed twice).
WITH hit AS (
    SELECT * FROM unnest(:ids::uuid[], :kinds::text[], :shops::bigint[], :messages::bigint[], :links::smallint[],
        :methods::text[], :user_agents::text[], :ip_nets::text[], :times::timestamptz[])
        WITH ORDINALITY AS h (id, kind, shop_id, message_id, link_no, method, user_agent, ip_net, at, place)
), shop_time AS (
    SELECT base_shop + (clock_timestamp() - base_real) * speed::float8 AS at FROM clock
), kept AS (
    INSERT INTO event (shop_id, id, kind, message_id, recovery_id, person_id, link_no, at, method, user_agent, ip_net)
    SELECT hit.shop_id, hit.id, hit.kind, hit.message_id, m.recovery_id, m.person_id, hit.link_no,
        coalesce(hit.at, shop_time.at), hit.method, hit.user_agent, hit.ip_net
    FROM hit CROSS JOIN shop_time
    LEFT JOIN LATERAL (
        SELECT recovery_id, person_id FROM message
        WHERE message.shop_id = hit.shop_id AND message.id = hit.message_id LIMIT 1
    ) m ON true
    WHERE NOT (:again AND EXISTS (
        SELECT FROM event e WHERE e.shop_id = hit.shop_id AND e.message_id = hit.message_id AND e.id = hit.id))
    ORDER BY hit.shop_id, hit.message_id, hit.id
)
SELECT 0 AS place, NULL AS target, NULL AS kind, at FROM shop_time
UNION ALL
SELECT hit.place, l.target, l.kind, NULL
FROM hit CROSS JOIN LATERAL (
    SELECT target, kind FROM link
    WHERE link.shop_id = hit.shop_id AND link.message_id = hit.message_id AND link.no = hit.link_no LIMIT 1
) l
WHERE hit.link_no IS NOT NULL;

-- name: link^
SELECT target, kind FROM link WHERE shop_id = :shop_id AND message_id = :message_id AND no = :no;

-- name: clock_speed$
SELECT speed::float8 FROM clock;

-- name: unhandled
-- What came in and was not worked off yet, oldest first.
SELECT recorded_at, id, person_id FROM event
WHERE shop_id = :shop_id AND handled_at IS NULL
ORDER BY recorded_at LIMIT :limit;

-- name: reread
-- The same under the persons' locks.
SELECT e.recorded_at, e.id, e.kind, e.message_id, e.person_id, e.at
FROM unnest(:recorded::timestamptz[], :ids::uuid[]) AS n (recorded_at, id)
JOIN event e ON e.shop_id = :shop_id AND e.recorded_at = n.recorded_at AND e.id = n.id
WHERE e.handled_at IS NULL
ORDER BY e.recorded_at, e.id;

-- name: of_messages
-- The hits that judge each other: of each message at most `most`, the newest up to `until`.
SELECT h.recorded_at, h.id, h.kind, h.message_id, h.at, h.method, h.user_agent, h.link_no, h.class,
    coalesce(l.kind = 'honeypot', false) AS honeypot,
    (SELECT m.channel = 'webpush' FROM message m WHERE m.shop_id = h.shop_id AND m.id = h.message_id) AS pushed
FROM unnest(:messages::bigint[]) AS n (message_id)
CROSS JOIN LATERAL (
    SELECT * FROM event e
    WHERE e.shop_id = :shop_id AND e.message_id = n.message_id AND e.at <= :until
        AND e.kind IN ('opened', 'clicked', 'viewed', 'landed')
    ORDER BY e.at DESC LIMIT :most
) h
LEFT JOIN link l ON l.shop_id = h.shop_id AND l.message_id = h.message_id AND l.no = h.link_no
ORDER BY h.message_id, h.at, h.id;

-- name: acceptances
-- When each message was taken by its provider, or at the latest handed over.
SELECT id, person_id, coalesce(accepted_at, sending_at) AS at FROM message
WHERE shop_id = :shop_id AND id = ANY(:messages::bigint[]);

-- name: visits
-- When these persons last changed a cart of theirs or ordered.
SELECT person_id, changed_at AS at FROM cart WHERE shop_id = :shop_id AND person_id = ANY(:persons::bigint[])
UNION ALL
SELECT person_id, placed_at FROM shop_order WHERE shop_id = :shop_id AND person_id = ANY(:persons::bigint[]);

-- name: classed!
-- Who is behind each, and that it has been worked off. Of somebody who was erased no more than that is kept; the caller
-- holds the persons' locks.
UPDATE event e SET class = n.class, handled_at = coalesce(e.handled_at, :now),
    user_agent = CASE WHEN gone.id IS NULL THEN e.user_agent ELSE '' END,
    ip_net = CASE WHEN gone.id IS NULL THEN e.ip_net ELSE '' END
FROM unnest(:recorded::timestamptz[], :ids::uuid[], :classes::text[]) AS n (recorded_at, id, class)
JOIN event old ON old.shop_id = :shop_id AND old.recorded_at = n.recorded_at AND old.id = n.id
LEFT JOIN person gone ON gone.shop_id = :shop_id AND gone.id = old.person_id AND gone.erased_at IS NOT NULL
WHERE e.shop_id = :shop_id AND e.recorded_at = n.recorded_at AND e.id = n.id;

-- name: proven
-- A message whose outcome was unknown, however long ago, has been taken, for its link was used. The caller holds the persons' locks.
WITH taken AS (
    UPDATE message m SET state = 'accepted', accepted_at = greatest(m.sending_at, n.at), reconcile_real = NULL,
        ended_at = NULL, reason = 'proven by ' || n.kind
    FROM unnest(:messages::bigint[], :kinds::text[], :times::timestamptz[]) AS n (id, kind, at)
    WHERE m.shop_id = :shop_id AND m.id = n.id AND m.state IN ('unknown', 'unknown_final')
    RETURNING m.id, m.fence
), closed AS (
    UPDATE attempt a SET outcome = 'accepted', closed_real = coalesce(a.closed_real, clock_timestamp())
    FROM taken WHERE a.shop_id = :shop_id AND a.message_id = taken.id AND a.fence = taken.fence
)
SELECT id FROM taken;

-- name: clicked_by_nobody^
-- The next events of a span, and the messages with clicks that may be somebody's when later news is taken in.
WITH next AS MATERIALIZED (
    SELECT recorded_at, message_id, kind, class FROM event
    WHERE shop_id = :shop_id AND recorded_at > :after AND recorded_at <= :until
    ORDER BY recorded_at LIMIT :most
)
SELECT max(recorded_at) AS reached, coalesce(array_agg(DISTINCT message_id ORDER BY message_id)
    FILTER (WHERE class = 'unknown' AND kind IN ('clicked', 'viewed') AND message_id IS NOT NULL), '{}') AS messages
FROM next;
