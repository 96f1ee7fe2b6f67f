-- Who visits a shop that carries our script, as far as they allowed it: a name drawn at random, and no address.
CREATE TABLE visitor (
    shop_id     bigint NOT NULL REFERENCES shop,
    -- 32 hex digits. The person is found by it: identity has a row of kind onsite, once the shop said who it is.
    name        text NOT NULL CHECK (name ~ '^[0-9a-f]{32}$'),
    allowed     text[] NOT NULL CHECK (allowed <@ ARRAY['report', 'notices', 'push']),
    -- The proof: when, on which page's host, and the shop's name for the words that they agreed to.
    allowed_at  timestamptz NOT NULL,
    origin      text NOT NULL,
    wording     text NOT NULL DEFAULT '',
    device      text NOT NULL DEFAULT '' CHECK (device IN ('', 'desktop', 'mobile')),
    -- The newest cart of one whom the shop has not named yet; gone once it has.
    cart        jsonb,
    seen_at     timestamptz NOT NULL,
    PRIMARY KEY (shop_id, name)
);
CREATE INDEX visitor_unseen ON visitor (shop_id, seen_at);

-- What the script tells of a page behind a click, and of a notice. NOT VALID: the kinds of before are all among these. The
-- last four are what a channel's provider may tell of a message.
ALTER TABLE event DROP CONSTRAINT event_kind_check;
ALTER TABLE event ADD CONSTRAINT event_kind_check CHECK (kind IN (
    'opened', 'clicked', 'viewed', 'landed', 'dismissed', 'unsubscribed', 'resubscribed', 'delivered', 'delayed', 'bounced',
    'complained', 'replied', 'undelivered', 'stopped', 'started', 'asked_for_help'))
    NOT VALID;
