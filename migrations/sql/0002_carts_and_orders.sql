-- What the shops told us: carts, orders, and everything they push, raw.

CREATE TABLE cart (
    shop_id            bigint NOT NULL REFERENCES shop,
    id                 bigint GENERATED ALWAYS AS IDENTITY,
    ref                text NOT NULL,
    person_id          bigint,
    state              text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ordered', 'emptied')),
    stage              text NOT NULL DEFAULT 'cart' CHECK (stage IN ('cart', 'checkout', 'payment', 'frozen')),
    currency           text NOT NULL,
    total              numeric NOT NULL,
    total_is_estimate  boolean NOT NULL DEFAULT false,
    lines              jsonb NOT NULL DEFAULT '[]',
    recovery_url       text NOT NULL DEFAULT '',
    device             text NOT NULL DEFAULT '',
    -- Of line keys and quantities: what counts as a change by the customer.
    fingerprint        bytea NOT NULL,
    -- Of the whole snapshot as read: an equal one is not written again.
    read_hash          bytea NOT NULL,
    source_updated_at  timestamptz,
    -- The shop's own order of events: an older one never overwrites a newer one.
    version            bigint NOT NULL DEFAULT 0,
    first_seen_at      timestamptz NOT NULL,
    -- Its age counts from here; after a gap in our looking, from before the gap.
    changed_at         timestamptz NOT NULL,
    -- It has certainly been at rest since then.
    still_since        timestamptz NOT NULL,
    seen_at            timestamptz NOT NULL,
    -- Known since the first look at the shop (or since it went live) and unchanged: may not enrol.
    baseline           boolean NOT NULL DEFAULT false,
    -- When enrolment has to look at it again; empty once it has an answer.
    look_at            timestamptz,
    answer             text NOT NULL DEFAULT '',
    answered_at        timestamptz,
    closed_at          timestamptz,
    PRIMARY KEY (shop_id, id),
    UNIQUE (shop_id, ref),
    FOREIGN KEY (shop_id, person_id) REFERENCES person,
    CHECK ((state = 'open') = (closed_at IS NULL)),
    CHECK (look_at IS NULL OR state = 'open')
);
CREATE INDEX cart_to_look_at ON cart (shop_id, look_at) WHERE look_at IS NOT NULL;
CREATE INDEX cart_of_person ON cart (shop_id, person_id);
CREATE INDEX cart_open ON cart (shop_id, id) WHERE state = 'open';

CREATE TABLE shop_order (
    shop_id       bigint NOT NULL REFERENCES shop,
    id            bigint GENERATED ALWAYS AS IDENTITY,
    ref           text NOT NULL,
    cart_ref      text NOT NULL DEFAULT '',
    person_id     bigint,
    placed_at     timestamptz NOT NULL,
    status        text NOT NULL,
    standing      text NOT NULL CHECK (standing IN ('purchase', 'pending', 'on_hold', 'failed', 'cancelled')),
    total         numeric NOT NULL,
    currency      text NOT NULL,
    coupon_codes  text[] NOT NULL DEFAULT '{}',
    version       bigint NOT NULL DEFAULT 0,
    first_seen_at timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id),
    UNIQUE (shop_id, ref),
    FOREIGN KEY (shop_id, person_id) REFERENCES person
);
CREATE INDEX order_of_person ON shop_order (shop_id, person_id, placed_at DESC);
CREATE INDEX order_of_cart ON shop_order (shop_id, cart_ref) WHERE cart_ref <> '';

-- What was pushed to us, kept raw before the answer and worked off later. One delivery, one row.
CREATE TABLE inbox (
    shop_id      bigint NOT NULL REFERENCES shop,
    id           bigint GENERATED ALWAYS AS IDENTITY,
    source       text NOT NULL,
    delivery_id  text NOT NULL,
    body         bytea NOT NULL,
    received_at  timestamptz NOT NULL,
    received_real timestamptz NOT NULL DEFAULT clock_timestamp(),
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'refused')),
    effect       text,
    done_at      timestamptz,
    PRIMARY KEY (shop_id, id),
    UNIQUE (shop_id, source, delivery_id),
    CHECK ((state = 'waiting') = (done_at IS NULL)),
    CHECK ((state = 'waiting') = (effect IS NULL))
);
CREATE INDEX inbox_waiting ON inbox (shop_id, id) WHERE state = 'waiting';

-- One row for each work of a shop: single-flight, its cursor, and when it is next due.
CREATE TABLE work (
    shop_id          bigint NOT NULL REFERENCES shop,
    name             text NOT NULL,
    due_at           timestamptz NOT NULL,
    -- After a failure, machine time before which it is not tried again.
    rest_until_real  timestamptz,
    wake_no          bigint NOT NULL DEFAULT 0,
    holder           text,
    lease_until_real timestamptz,
    state            jsonb NOT NULL DEFAULT '{}',
    failures         integer NOT NULL DEFAULT 0,
    problem          text,
    last_good_at     timestamptz,
    last_good_real   timestamptz,
    PRIMARY KEY (shop_id, name),
    CHECK ((holder IS NULL) = (lease_until_real IS NULL))
);
