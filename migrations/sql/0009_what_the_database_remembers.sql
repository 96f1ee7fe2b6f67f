-- A restored backup must not send again what it has forgotten, and a long silence must not end in a flood of old mails.
-- instance and heartbeat are reference tables.
ALTER TABLE instance
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Counts the beats of all processes. A host that remembers as many or more has a newer past than this database.
    ADD COLUMN beats bigint NOT NULL DEFAULT 0,
    ADD COLUMN alive_real timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The server and the database it lives in; another one makes it a copy.
    ADD COLUMN home text NOT NULL DEFAULT '';

-- Why a process claims nothing right now; empty when it does.
ALTER TABLE heartbeat ADD COLUMN held text NOT NULL DEFAULT '';

-- Steps that were due before such a pause was lifted are not made up for.
ALTER TABLE pause ADD COLUMN catch_up boolean NOT NULL DEFAULT true;
CREATE INDEX pause_without_catching_up ON pause (shop_id, lifted_at) WHERE NOT catch_up;
