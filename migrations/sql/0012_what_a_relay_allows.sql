-- So many mails, and no more, by all workers of all shops together: per provider of mailboxes, per day, and while the name
-- of a sender is new. Its key does not begin with shop_id, because an allowance is the installation's.
CREATE TABLE allowance (
    channel       text NOT NULL,
    -- relay, day, domain gmail.com, warm-up shop.example
    name          text NOT NULL,
    since_real    timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the next place in the line of a provider of mailboxes is free.
    next_real     timestamptz,
    -- Up to when those who did not fit have been told to come back.
    queue_real    timestamptz,
    -- By how much a provider that complained is spared, and until when.
    slowed        double precision NOT NULL DEFAULT 1 CHECK (slowed >= 1),
    slowed_until_real timestamptz,
    -- Mails by the number of their hour or day.
    used          jsonb NOT NULL DEFAULT '{}',
    -- What each process may send of a rate, and until when it may.
    shares        jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (channel, name),
    CHECK ((slowed > 1) <= (slowed_until_real IS NOT NULL))
);

-- Whatever waits for a time of its own (a relay that was busy, an allowance) is found when that time comes, and stepped over
-- by nobody before.
DROP INDEX message_due;
CREATE INDEX message_fresh ON message (shop_id, channel, not_before)
    WHERE state IN ('prepared', 'retry_wait') AND retry_real IS NULL;
CREATE INDEX message_back ON message (shop_id, channel, retry_real)
    WHERE state IN ('prepared', 'retry_wait') AND retry_real IS NOT NULL;
