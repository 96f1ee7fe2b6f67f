-- What the pulse asks: since when a process has been there, and whether anything went out lately.

-- A process that fell silent is missed until one of its kind has come after it.
ALTER TABLE heartbeat ADD COLUMN since_real timestamptz NOT NULL DEFAULT clock_timestamp();

-- Attempts are written in the order of their time: a summary of each range of pages answers "lately" at next to no cost.
CREATE INDEX attempt_lately ON attempt USING brin (started_real) WITH (autosummarize = on, pages_per_range = 16);

-- How late orders arrive is read from the newest ones.
CREATE INDEX order_seen ON shop_order (shop_id, first_seen_at DESC);

-- A pause that tillbell itself put on, by why; it lifts what it put on and nothing else.
ALTER TABLE pause ADD COLUMN cause text NOT NULL DEFAULT 'operator' CHECK (cause <> '');
