-- A shop that is taken out of shops.yaml leaves open recoveries and claims behind: since when, so that somebody is told.
ALTER TABLE shop ADD COLUMN left_at timestamptz;

-- A web process that beats is no process that works: a silence of the workers is long, whoever else is there.
ALTER TABLE instance ADD COLUMN worked_real timestamptz NOT NULL DEFAULT clock_timestamp();

-- When a pause that tillbell put on was last lifted, without reading all there ever were.
CREATE INDEX pause_lifted ON pause (shop_id, cause, lifted_at);
