-- A small shop whose books are clean.
INSERT INTO shop (name, added_at) VALUES ('main', '2026-03-01');
INSERT INTO person (shop_id, email, email_hmac, created_at) SELECT 1, n || '@example.org', n::text::bytea, '2026-03-01'
    FROM generate_series(1, 3) AS n;
INSERT INTO policy (shop_id, hash, name, body, first_used_at) VALUES (1, 'h', 'main', '{}', '2026-03-01');
INSERT INTO cart (shop_id, ref, person_id, currency, total, fingerprint, read_hash, first_seen_at, changed_at, still_since,
    seen_at, answer, answered_at)
    SELECT 1, 'c' || n, n, 'EUR', 20, '', '', '2026-03-02', '2026-03-02', '2026-03-02', '2026-03-02', 'enrolled', '2026-03-02'
    FROM generate_series(1, 2) AS n;
INSERT INTO shop_order (shop_id, ref, person_id, placed_at, status, standing, total, currency, first_seen_at, seen_at)
    VALUES (1, 'o1', 2, '2026-03-02', 'paid', 'purchase', 20, 'EUR', '2026-03-02', '2026-03-02');
INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal, started_at, wake_at)
    VALUES (1, 1, 1, 1, 'h', 'main', false, false, '2026-03-02', '2026-03-03');
INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal, started_at, state,
    end_reason, ended_at, order_id, evidence)
    VALUES (1, 2, 1, 2, 'h', 'main', false, false, '2026-03-02', 'ended', 'purchase', '2026-03-02', 1, 'same cart');
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, planned_at, not_before, not_after, prepared_at, sending_at, fence, accepted_at)
    VALUES (1, 1, 1, 'remind', 'email', false, 'accepted', 'h', 0, 'consent', 'consent 1', '2026-03-02', '2026-03-02',
        '2026-03-03', '2026-03-02', '2026-03-02', 1, '2026-03-02');
INSERT INTO attempt (shop_id, message_id, fence, started_at, outcome, closed_real)
    VALUES (1, 1, 1, '2026-03-02', 'accepted', '2026-03-02');
INSERT INTO inbox (shop_id, source, delivery_id, body, received_at, state, effect, done_at)
    VALUES (1, 'push', 'd1', '', '2026-03-02', 'done', 'cart.updated: kept', '2026-03-02');
INSERT INTO wording (shop_id, sha256, text, first_used_at) VALUES (1, sha256('yes'), 'yes', '2026-03-01');
INSERT INTO opt_in (shop_id, person_id, channel, purposes, address_hmac, wording_sha256, source, requested_at, not_after, state,
    token_sha256, fence, sending_at, accepted_at, confirmed_at)
    VALUES (1, 1, 'email', '{email_mkt,track_open}', '1', sha256('yes'), 'form', '2026-03-01', '2026-03-08', 'confirmed',
        sha256('token'), 1, '2026-03-01', '2026-03-01', '2026-03-01');
INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence)
    SELECT 1, 1, purpose, 'confirmed', '2026-03-01', '2026-03-01', 'form', 'double opt-in 1 by email, button on the page'
    FROM unnest(ARRAY['email_mkt', 'track_open']) AS purpose;
