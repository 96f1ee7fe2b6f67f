-- A consent is worth what can be shown of it: the sentence that was agreed to, where, when, and how it was confirmed.
-- The way there (double opt-in) and what a person chose for themselves are kept here, too.

-- Each sentence once, by its hash.
CREATE TABLE wording (
    shop_id        bigint NOT NULL REFERENCES shop,
    sha256         bytea NOT NULL CHECK (length(sha256) = 32),
    text           text NOT NULL CHECK (text <> ''),
    first_used_at  timestamptz NOT NULL,
    PRIMARY KEY (shop_id, sha256)
);

ALTER TABLE consent
    ADD COLUMN wording_sha256 bytea,
    ADD COLUMN source_url     text NOT NULL DEFAULT '',
    ADD COLUMN ip_net         text NOT NULL DEFAULT '',
    ADD COLUMN user_agent     text NOT NULL DEFAULT '',
    ADD COLUMN requested_at   timestamptz,
    ADD COLUMN confirmed_at   timestamptz,
    ADD FOREIGN KEY (shop_id, wording_sha256) REFERENCES wording;
INSERT INTO wording (shop_id, sha256, text, first_used_at)
SELECT shop_id, sha256(convert_to(wording, 'UTF8')), wording, min(recorded_at) FROM consent WHERE wording <> ''
GROUP BY shop_id, wording;
UPDATE consent SET wording_sha256 = sha256(convert_to(wording, 'UTF8')) WHERE wording <> '';
ALTER TABLE consent DROP COLUMN wording;

-- What a person chose in the preference centre, and where their goods were last sent to (ISO 3166-2).
ALTER TABLE person
    ADD COLUMN region        text NOT NULL DEFAULT '',
    ADD COLUMN fewer         boolean NOT NULL DEFAULT false,
    -- Until then they are left alone.
    ADD COLUMN wanted_again_at timestamptz,
    ADD COLUMN chosen_locale text NOT NULL DEFAULT '';

-- Requests to confirm a consent. They are no messages: no recovery, no policy, no cap and no hours stand behind them, and
-- they must never be counted as advertising. The promise is the same: a claim with its fence and lease, one accepted at
-- most, and unknown is never sent again.
CREATE TABLE opt_in (
    shop_id        bigint NOT NULL,
    id             bigint GENERATED ALWAYS AS IDENTITY,
    person_id      bigint NOT NULL,
    channel        text NOT NULL CHECK (channel IN ('email', 'sms')),
    purposes       text[] NOT NULL CHECK (purposes <> '{}'),
    address_hmac   bytea NOT NULL,
    wording_sha256 bytea NOT NULL,
    source         text NOT NULL,
    source_url     text NOT NULL DEFAULT '',
    -- Keyed hash of who asked, for the limits of a minute; forgotten after a day.
    ip_hmac        bytea,
    ip_net         text NOT NULL DEFAULT '',
    user_agent     text NOT NULL DEFAULT '',
    requested_at   timestamptz NOT NULL,
    not_after      timestamptz NOT NULL,
    state          text NOT NULL DEFAULT 'waiting' CHECK (state IN (
        'waiting', 'sending', 'accepted', 'unknown', 'failed', 'cancelled', 'expired', 'confirmed')),
    -- What the mail or text carries is random and made at the claim: only its hash is kept.
    token_sha256   bytea,
    guesses        integer NOT NULL DEFAULT 0,
    fence          bigint,
    lease_until_real timestamptz,
    tries          integer NOT NULL DEFAULT 0,
    retry_real     timestamptz,
    sending_at     timestamptz,
    accepted_at    timestamptz,
    provider_id    text,
    reason         text,
    confirmed_at   timestamptz,
    PRIMARY KEY (shop_id, id),
    FOREIGN KEY (shop_id, person_id) REFERENCES person,
    FOREIGN KEY (shop_id, wording_sha256) REFERENCES wording,
    CONSTRAINT opt_in_sending_has_lease CHECK ((state = 'sending') = (lease_until_real IS NOT NULL)),
    CONSTRAINT opt_in_confirmed_has_time CHECK ((state = 'confirmed') = (confirmed_at IS NOT NULL)),
    CONSTRAINT opt_in_claimed_has_fence CHECK (
        state NOT IN ('sending', 'accepted', 'unknown', 'confirmed') OR (fence IS NOT NULL AND sending_at IS NOT NULL))
);
CREATE UNIQUE INDEX opt_in_token ON opt_in (shop_id, token_sha256) WHERE token_sha256 IS NOT NULL;
CREATE INDEX opt_in_waiting ON opt_in (shop_id, channel, requested_at) WHERE state = 'waiting';
CREATE INDEX opt_in_leased ON opt_in (shop_id, lease_until_real) WHERE state = 'sending';
CREATE INDEX opt_in_of_address ON opt_in (shop_id, address_hmac, requested_at DESC);
CREATE INDEX opt_in_of_ip ON opt_in (shop_id, ip_hmac, requested_at DESC) WHERE ip_hmac IS NOT NULL;
CREATE INDEX opt_in_of_person ON opt_in (shop_id, person_id);
