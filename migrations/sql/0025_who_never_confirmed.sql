-- A request that nobody confirmed is deleted when its time is over, and with it whoever is known by nothing else.
CREATE INDEX opt_in_over ON opt_in (shop_id, not_after) WHERE state NOT IN ('confirmed', 'sending');
