-- name: shop_now$
-- Shop time: the database's clock through the row `clock`. Read once per batch and passed in.
SELECT base_shop + (clock_timestamp() - base_real) * speed::float8 FROM clock;

-- name: machine_now$
SELECT clock_timestamp();

-- name: set_clock!
-- From now on shop time is `shop_at` and runs at `speed` (0 stands still).
UPDATE clock SET base_real = clock_timestamp(), base_shop = :shop_at, speed = :speed;
