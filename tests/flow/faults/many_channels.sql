-- Beside many_carts.sql: years of texts, requests to confirm, members of audiences and words of providers. Of each a handful is
-- not done yet.
UPDATE person SET phone = '+49151' || id, phone_hmac = ('phone ' || id)::bytea;

UPDATE message SET state = 'accepted', accepted_at = :opened, lease_until_real = NULL WHERE state = 'sending' AND id > 400;

UPDATE message SET channel = 'sms', content = '{"to": "x"}' WHERE state = 'accepted';

UPDATE message SET state = 'unknown', accepted_at = NULL, reconcile_real = clock_timestamp() + interval '1 day'
WHERE state = 'accepted' AND id <= 80;

INSERT INTO attempt (shop_id, message_id, fence, started_at, outcome, closed_real)
SELECT shop_id, id, fence, :opened, state, clock_timestamp() - interval '1 hour' FROM message
WHERE state IN ('accepted', 'unknown');

INSERT INTO member (shop_id, audience, person_id, since, until, control, ended_at, end_reason, wanted, actual, keys, known_as)
SELECT 1, 'shoes', id, :opened, :opened::timestamptz + interval '30 days', false, CASE WHEN id > 60 THEN :opened::timestamptz END,
    CASE WHEN id > 60 THEN 'over' END, id <= 60, CASE WHEN id <= 20 THEN 'out' WHEN id <= 60 THEN 'in' ELSE 'out' END,
    CASE WHEN id BETWEEN 21 AND 60 THEN jsonb_build_object('email', id) END, ARRAY[email_hmac, phone_hmac] FROM person;

UPDATE member SET ended_at = :opened, end_reason = 'over', wanted = false WHERE person_id BETWEEN 41 AND 50;

INSERT INTO wording (shop_id, sha256, text, first_used_at) VALUES (1, sha256('yes'), 'yes', :opened);

INSERT INTO opt_in (shop_id, person_id, channel, purposes, address_hmac, wording_sha256, source, requested_at, not_after, state,
    token_sha256, fence, sending_at, lease_until_real, confirmed_at)
SELECT 1, id, 'email', '{email_mkt}', email_hmac, sha256('yes'), 'footer', :opened, :opened::timestamptz + interval '7 days',
    CASE WHEN id <= 20 THEN 'waiting' WHEN id <= 30 THEN 'sending' ELSE 'confirmed' END,
    CASE WHEN id > 20 THEN sha256(id::text::bytea) END, id, :opened,
    CASE WHEN id BETWEEN 21 AND 30 THEN clock_timestamp() - interval '1 hour' END, CASE WHEN id > 30 THEN :opened::timestamptz END
FROM person;

INSERT INTO inbox (shop_id, source, delivery_id, body, received_at, state, effect, done_at, message_id)
SELECT 1, 'channel sms', 'told ' || id, '', :opened, CASE WHEN id > 20 THEN 'done' ELSE 'waiting' END,
    CASE WHEN id > 20 THEN 'done' END, CASE WHEN id > 20 THEN :opened::timestamptz END, CASE WHEN id > 20 THEN id END FROM person;

INSERT INTO suppression (shop_id, channel, address_hmac, reason, source, since)
SELECT 1, 'any', phone_hmac, 'unsubscribed', 'a STOP by sms', :opened FROM person WHERE id % 10 = 0;

INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence)
SELECT 1, id, word, 'confirmed', :opened, :opened, 'form', 'double opt-in' FROM person, unnest('{sms_mkt,ads_audience}'::text[]) AS word
