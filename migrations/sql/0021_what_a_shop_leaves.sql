-- A shop that is taken out of shops.yaml leaves open recoveries and claims behind: since when, so that somebody is told.
ALTER TABLE shop ADD COLUMN left_at timestamptz;
