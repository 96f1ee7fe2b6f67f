-- :opened is when the first was left, :count how many there are. One a minute, so most of what follows lies in the future.
INSERT INTO shop (name, mode, live_since, added_at) VALUES ('main', 'live', :opened, :opened);

INSERT INTO work (shop_id, name, due_at)
SELECT 1, name, :opened FROM unnest('{poll,sweep,decide,prepare,deliver}'::text[]) AS name;

INSERT INTO policy (shop_id, hash, name, body, first_used_at) VALUES (1, 'h', 'main', '{}', :opened);

INSERT INTO person (shop_id, email, email_hmac, created_at)
SELECT 1, 'p' || i, i::text::bytea, :opened FROM generate_series(1, :count) AS i;

INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence)
SELECT 1, id, 'email_mkt', 'confirmed', :opened, :opened, 'form', 'double opt-in' FROM person;

INSERT INTO cart (shop_id, ref, person_id, currency, total, fingerprint, read_hash, first_seen_at, changed_at, still_since,
    seen_at, answer, answered_at)
SELECT 1, 'c' || id, id, 'EUR', 10, '', '', :opened, :opened, :opened, :opened, 'enrolled', :opened FROM person;

INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal, started_at, wake_at)
SELECT 1, id, 1, person_id, 'h', 'main', false, false, :opened, :opened::timestamptz + id * interval '1 min' FROM cart;

-- One of four each is planned, prepared, claimed, accepted.
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, planned_at, not_before, not_after, prepared_at, fence, sending_at, lease_until_real, accepted_at)
SELECT 1, id, person_id, 'remind', 'email', false, now_is, 'h', 0, 'consent', 'x', :opened, wake_at,
    wake_at + interval '13 h', :opened,
    CASE WHEN id % 4 > 1 THEN id END, CASE WHEN id % 4 > 1 THEN :opened::timestamptz END,
    CASE now_is WHEN 'sending' THEN clock_timestamp() + (id - 1000) * interval '1 min' END,
    CASE now_is WHEN 'accepted' THEN :opened::timestamptz END
FROM (SELECT r.*, (ARRAY['planned', 'prepared', 'sending', 'accepted'])[id % 4 + 1] AS now_is FROM recovery r) AS s;

-- What the first look at the shop brought: years of orders, all from before us and of guests.
INSERT INTO shop_order (shop_id, ref, placed_at, status, standing, total, currency, first_seen_at, seen_at)
SELECT 1, 'o' || id, :opened::timestamptz - id * interval '1 h', 'paid', 'purchase', 10, 'EUR',
    :opened::timestamptz + id * interval '1 ms', :opened FROM person;
