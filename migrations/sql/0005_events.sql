-- What comes back: hits, bounces, replies, opt-outs. Partitioned by database time so that old ones are dropped whole.

CREATE TABLE event (
    shop_id      bigint NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Made by the process that saw it, so that replaying a journal adds nothing twice.
    id           uuid NOT NULL,
    kind         text NOT NULL CHECK (kind IN (
        'opened', 'clicked', 'viewed', 'unsubscribed', 'resubscribed', 'delivered', 'bounced', 'complained', 'replied')),
    message_id   bigint,
    recovery_id  bigint,
    person_id    bigint,
    link_no      smallint,
    -- Shop time of the hit.
    at           timestamptz NOT NULL,
    method       text NOT NULL DEFAULT '',
    user_agent   text NOT NULL DEFAULT '',
    ip_net       text NOT NULL DEFAULT '',
    class        text CHECK (class IN ('human', 'machine', 'unknown')),
    -- Empty until the reaction has been worked off.
    handled_at   timestamptz,
    detail       jsonb,
    PRIMARY KEY (shop_id, recorded_at, id)
) PARTITION BY RANGE (recorded_at);
CREATE TABLE event_default PARTITION OF event DEFAULT;
CREATE INDEX event_unhandled ON event (shop_id, recorded_at) WHERE handled_at IS NULL;
CREATE INDEX event_of_message ON event (shop_id, message_id, at);
