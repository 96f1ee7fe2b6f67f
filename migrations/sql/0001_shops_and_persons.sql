-- The clock, the shops, and the people in them.
-- clock, instance, heartbeat and shop are reference tables: their keys do not begin with shop_id.

-- Shop time is the database's clock through this one row: identity in production, stepped or sped up elsewhere.
CREATE TABLE clock (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    base_real  timestamptz NOT NULL DEFAULT clock_timestamp(),
    base_shop  timestamptz NOT NULL DEFAULT clock_timestamp(),
    speed      numeric NOT NULL DEFAULT 1 CHECK (speed >= 0)
);
INSERT INTO clock (base_real, base_shop) SELECT t, t FROM clock_timestamp() AS t;

-- What this database belongs to. The pepper never rotates: another one would forget every opt-out silently.
CREATE TABLE instance (
    only_row            boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    pepper_fingerprint  bytea NOT NULL,
    created_real        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One row a process; a web process also says how many hits its journal still holds.
CREATE TABLE heartbeat (
    process       text PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('all', 'web', 'worker')),
    version       text NOT NULL,
    journal_lines bigint NOT NULL DEFAULT 0,
    beat_real     timestamptz NOT NULL
);

CREATE TABLE shop (
    shop_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    mode         text NOT NULL DEFAULT 'rehearsal' CHECK (mode IN ('rehearsal', 'live')),
    live_since   timestamptz,
    baseline_at  timestamptz,
    added_at     timestamptz NOT NULL,
    CHECK (mode <> 'live' OR live_since IS NOT NULL)
);

CREATE TABLE person (
    shop_id          bigint NOT NULL REFERENCES shop,
    id               bigint GENERATED ALWAYS AS IDENTITY,
    customer_ref     text,
    email            text,
    email_hmac       bytea,
    phone            text,
    phone_hmac       bytea,
    first_name       text NOT NULL DEFAULT '',
    last_name        text NOT NULL DEFAULT '',
    locale           text NOT NULL DEFAULT '',
    zone             text NOT NULL DEFAULT '',
    country          text NOT NULL DEFAULT '',
    customer_group   text NOT NULL DEFAULT '',
    is_guest         boolean NOT NULL DEFAULT false,
    may_be_written_to boolean NOT NULL DEFAULT true,
    active_at        timestamptz,
    -- Another system wrote to them then: the cool-down counts from it.
    written_to_elsewhere_at timestamptz,
    -- Of two descriptions by the shop the newer counts, whatever their order of arrival.
    described_version bigint NOT NULL DEFAULT 0,
    -- Raised by every fact that may change a decision; a message decided on an older number is decided again.
    facts_no         bigint NOT NULL DEFAULT 0,
    -- Holdout and arms come from this one random number, drawn once.
    split_key        double precision NOT NULL DEFAULT random() CHECK (split_key >= 0 AND split_key < 1),
    crossed_at       timestamptz,
    merged_into      bigint,
    merged_at        timestamptz,
    erased_at        timestamptz,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id),
    FOREIGN KEY (shop_id, merged_into) REFERENCES person,
    CHECK ((merged_into IS NULL) = (merged_at IS NULL)),
    CHECK ((email IS NULL) = (email_hmac IS NULL)),
    CHECK ((phone IS NULL) = (phone_hmac IS NULL)),
    CHECK (merged_into IS NULL OR merged_into < id)
);
CREATE INDEX person_by_email ON person (shop_id, email_hmac) WHERE merged_into IS NULL;

-- How a person is found: customer reference first, then normalised e-mail. A phone alone finds nobody.
CREATE TABLE identity (
    shop_id    bigint NOT NULL REFERENCES shop,
    kind       text NOT NULL CHECK (kind IN ('customer', 'email', 'push', 'onsite')),
    value      text NOT NULL,
    person_id  bigint NOT NULL,
    since      timestamptz NOT NULL,
    PRIMARY KEY (shop_id, kind, value),
    FOREIGN KEY (shop_id, person_id) REFERENCES person
);
CREATE INDEX identity_of_person ON identity (shop_id, person_id);

-- Append-only; the newest row of a purpose counts.
CREATE TABLE consent (
    shop_id    bigint NOT NULL REFERENCES shop,
    id         bigint GENERATED ALWAYS AS IDENTITY,
    person_id  bigint NOT NULL,
    purpose    text NOT NULL
        CHECK (purpose IN ('email_mkt', 'sms_mkt', 'push_mkt', 'track_open', 'track_click', 'ads_audience')),
    state      text NOT NULL CHECK (state IN ('hint', 'requested', 'confirmed', 'withdrawn')),
    at         timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    source     text NOT NULL,
    evidence   text NOT NULL DEFAULT '',
    wording    text NOT NULL DEFAULT '',
    PRIMARY KEY (shop_id, id),
    FOREIGN KEY (shop_id, person_id) REFERENCES person,
    CHECK (state <> 'confirmed' OR evidence <> '')
);
CREATE INDEX consent_of_person ON consent (shop_id, person_id, purpose, id DESC);

-- Addresses that are not written to, as keyed hashes: they outlive the person.
CREATE TABLE suppression (
    shop_id       bigint NOT NULL REFERENCES shop,
    channel       text NOT NULL,
    address_hmac  bytea NOT NULL,
    reason        text NOT NULL,
    source        text NOT NULL,
    since         timestamptz NOT NULL,
    PRIMARY KEY (shop_id, channel, address_hmac)
);
