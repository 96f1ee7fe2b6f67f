-- Messages: the outbox. Never partitioned, because its unique keys are the promise.

CREATE SEQUENCE fence AS bigint;

CREATE TABLE message (
    shop_id       bigint NOT NULL REFERENCES shop,
    id            bigint GENERATED ALWAYS AS IDENTITY,
    recovery_id   bigint NOT NULL,
    person_id     bigint NOT NULL,
    step          text NOT NULL,
    channel       text NOT NULL,
    rehearsal     boolean NOT NULL,
    state         text NOT NULL DEFAULT 'planned' CHECK (state IN (
        'planned', 'prepared', 'sending', 'retry_wait', 'accepted', 'delivered', 'bounced', 'complained',
        'unknown', 'unknown_final', 'given_up', 'withheld', 'failed', 'cancelled', 'expired')),
    policy_hash   text NOT NULL,
    -- The person's facts_no on which it was decided.
    facts_no      bigint NOT NULL,
    basis         text NOT NULL,
    basis_evidence text NOT NULL,
    consent_id    bigint,
    planned_at    timestamptz NOT NULL,
    not_before    timestamptz NOT NULL,
    not_after     timestamptz NOT NULL,
    deferrals     integer NOT NULL DEFAULT 0,
    content       jsonb,
    prepared_at   timestamptz,
    tracked       boolean NOT NULL DEFAULT false,
    -- Shop time of the claim: what caps count from.
    sending_at    timestamptz,
    fence         bigint,
    lease_until_real timestamptz,
    tries         integer NOT NULL DEFAULT 0,
    -- Machine time before which a retry does not start.
    retry_real    timestamptz,
    accepted_at   timestamptz,
    provider_id   text,
    reconcile_real timestamptz,
    reason        text,
    ended_at      timestamptz,
    PRIMARY KEY (shop_id, id),
    -- A crash between claim and send must not let the same step go out twice.
    UNIQUE (shop_id, recovery_id, step, channel),
    FOREIGN KEY (shop_id, recovery_id) REFERENCES recovery,
    FOREIGN KEY (shop_id, person_id) REFERENCES person,
    FOREIGN KEY (shop_id, policy_hash) REFERENCES policy,
    FOREIGN KEY (shop_id, consent_id) REFERENCES consent,
    CONSTRAINT message_sending_has_lease CHECK ((state = 'sending') = (lease_until_real IS NOT NULL)),
    CONSTRAINT message_prepared_has_content CHECK (state NOT IN ('prepared', 'sending') OR prepared_at IS NOT NULL),
    CONSTRAINT message_claimed_has_fence CHECK (
        state NOT IN ('sending', 'accepted', 'delivered', 'bounced', 'complained', 'unknown', 'unknown_final')
        OR (fence IS NOT NULL AND sending_at IS NOT NULL)),
    CONSTRAINT message_accepted_has_time CHECK (
        (state IN ('accepted', 'delivered', 'bounced', 'complained')) = (accepted_at IS NOT NULL)),
    CONSTRAINT message_unknown_is_reconciled CHECK ((state = 'unknown') = (reconcile_real IS NOT NULL)),
    CONSTRAINT message_ended_has_reason CHECK (
        state NOT IN ('withheld', 'failed', 'cancelled', 'expired', 'given_up', 'unknown_final')
        OR (reason IS NOT NULL AND ended_at IS NOT NULL))
);
CREATE INDEX message_planned ON message (shop_id, not_before) WHERE state = 'planned';
CREATE INDEX message_due ON message (shop_id, channel, not_before) WHERE state IN ('prepared', 'retry_wait');
CREATE INDEX message_leased ON message (shop_id, lease_until_real) WHERE state = 'sending';
CREATE INDEX message_unknown ON message (shop_id, reconcile_real) WHERE state = 'unknown';
CREATE INDEX message_open_of_recovery ON message (shop_id, recovery_id)
    WHERE state IN ('planned', 'prepared', 'sending', 'retry_wait');
CREATE INDEX message_counted ON message (shop_id, person_id, sending_at DESC) INCLUDE (channel)
    WHERE state IN ('sending', 'accepted', 'delivered', 'bounced', 'complained', 'unknown', 'unknown_final');

-- One row for each time a message was claimed. Append-only but for its outcome.
CREATE TABLE attempt (
    shop_id       bigint NOT NULL REFERENCES shop,
    message_id    bigint NOT NULL,
    fence         bigint NOT NULL,
    started_at    timestamptz NOT NULL,
    started_real  timestamptz NOT NULL DEFAULT clock_timestamp(),
    body_sha256   bytea,
    outcome       text CHECK (outcome IN ('accepted', 'retry_wait', 'failed', 'unknown', 'cancelled')),
    provider_id   text,
    code          text,
    error         text,
    closed_real   timestamptz,
    PRIMARY KEY (shop_id, message_id, fence),
    FOREIGN KEY (shop_id, message_id) REFERENCES message,
    CHECK ((outcome IS NULL) = (closed_real IS NULL))
);

-- Where a tracked link leads: the address is never in the link itself.
CREATE TABLE link (
    shop_id     bigint NOT NULL REFERENCES shop,
    message_id  bigint NOT NULL,
    no          smallint NOT NULL CHECK (no >= 0),
    kind        text NOT NULL CHECK (kind IN ('cart', 'product', 'shop', 'honeypot')),
    target      text NOT NULL,
    PRIMARY KEY (shop_id, message_id, no),
    FOREIGN KEY (shop_id, message_id) REFERENCES message
);
