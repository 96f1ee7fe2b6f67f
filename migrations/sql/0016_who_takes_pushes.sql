-- A browser that takes pushes for a person (RFC 8030): where it is reached, and the keys that only it can read with
-- (RFC 8291). The person is found by it, too: identity has a row of kind push, with the hash.
CREATE TABLE subscription (
    shop_id        bigint NOT NULL,
    id             bigint GENERATED ALWAYS AS IDENTITY,
    person_id      bigint NOT NULL,
    endpoint       text NOT NULL CHECK (endpoint <> '' AND length(endpoint) <= 2048),
    -- The same keyed hash that a suppression of this endpoint has.
    endpoint_hmac  bytea NOT NULL,
    p256dh         text NOT NULL,
    auth           text NOT NULL,
    device         text NOT NULL DEFAULT '' CHECK (device IN ('', 'desktop', 'mobile')),
    since          timestamptz NOT NULL,
    seen_at        timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id),
    UNIQUE (shop_id, endpoint_hmac),
    FOREIGN KEY (shop_id, person_id) REFERENCES person,
    CHECK (seen_at >= since)
);
CREATE INDEX subscription_of_person ON subscription (shop_id, person_id, seen_at DESC);
CREATE INDEX subscription_unseen ON subscription (shop_id, seen_at);
