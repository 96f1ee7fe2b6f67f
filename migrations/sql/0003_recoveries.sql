-- Recoveries, the decisions taken on them, and the brake.

-- A policy as it was read, by the hash of its merged text: a recovery keeps the ladder it began with.
CREATE TABLE policy (
    shop_id     bigint NOT NULL REFERENCES shop,
    hash        text NOT NULL,
    name        text NOT NULL,
    body        jsonb NOT NULL,
    first_used_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, hash)
);

CREATE TABLE recovery (
    shop_id      bigint NOT NULL REFERENCES shop,
    id           bigint GENERATED ALWAYS AS IDENTITY,
    cart_id      bigint NOT NULL,
    episode      integer NOT NULL CHECK (episode > 0),
    person_id    bigint NOT NULL,
    programme    text NOT NULL DEFAULT 'cart',
    policy_hash  text NOT NULL,
    policy_name  text NOT NULL,
    held_out     boolean NOT NULL,
    rehearsal    boolean NOT NULL,
    crossed      boolean NOT NULL DEFAULT false,
    started_at   timestamptz NOT NULL,
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ended')),
    -- When the rules are asked next; empty while a message of it is on its way.
    wake_at      timestamptz,
    end_reason   text,
    ended_at     timestamptz,
    order_id     bigint,
    evidence     text,
    PRIMARY KEY (shop_id, id),
    -- A new episode only after real activity and the policy's cool-down.
    UNIQUE (shop_id, cart_id, episode),
    FOREIGN KEY (shop_id, cart_id) REFERENCES cart,
    FOREIGN KEY (shop_id, person_id) REFERENCES person,
    FOREIGN KEY (shop_id, policy_hash) REFERENCES policy,
    FOREIGN KEY (shop_id, order_id) REFERENCES shop_order,
    CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
    CHECK ((state = 'ended') = (end_reason IS NOT NULL)),
    CHECK (state = 'open' OR wake_at IS NULL),
    CHECK ((order_id IS NULL) = (evidence IS NULL))
);
CREATE INDEX recovery_due ON recovery (shop_id, wake_at) WHERE wake_at IS NOT NULL;
CREATE UNIQUE INDEX recovery_one_open_per_person ON recovery (shop_id, person_id) WHERE state = 'open';
CREATE INDEX recovery_of_person ON recovery (shop_id, person_id, ended_at DESC);

-- Every question put to a policy, with its answer, its reasons and the facts it was taken on. Append-only.
CREATE TABLE decision (
    shop_id      bigint NOT NULL REFERENCES shop,
    id           bigint GENERATED ALWAYS AS IDENTITY,
    recovery_id  bigint NOT NULL,
    at           timestamptz NOT NULL,
    verdict      text NOT NULL CHECK (verdict IN ('send', 'wait', 'stop', 'defer', 'cancel', 'skip')),
    step         text,
    until        timestamptz,
    because      text NOT NULL CHECK (because <> ''),
    questions    jsonb NOT NULL DEFAULT '[]',
    facts        jsonb NOT NULL DEFAULT '{}',
    facts_no     bigint NOT NULL,
    policy_hash  text NOT NULL,
    PRIMARY KEY (shop_id, id),
    FOREIGN KEY (shop_id, recovery_id) REFERENCES recovery
);
CREATE INDEX decision_of_recovery ON decision (shop_id, recovery_id, id);

-- The brake: read by the gate, so effective at the next claim everywhere. Empty fields match everything.
CREATE TABLE pause (
    shop_id     bigint NOT NULL REFERENCES shop,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    policy      text,
    step        text,
    channel     text,
    reason      text NOT NULL CHECK (reason <> ''),
    since       timestamptz NOT NULL,
    until       timestamptz,
    lifted_at   timestamptz,
    PRIMARY KEY (shop_id, id)
);
CREATE INDEX pause_now ON pause (shop_id) WHERE lifted_at IS NULL;

-- A channel whose sender is at fault rests; its messages keep their tries.
CREATE TABLE channel_rest (
    shop_id     bigint NOT NULL REFERENCES shop,
    channel     text NOT NULL,
    until_real  timestamptz NOT NULL,
    failures    integer NOT NULL DEFAULT 1,
    reason      text NOT NULL,
    PRIMARY KEY (shop_id, channel)
);
