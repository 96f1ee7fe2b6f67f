-- A message that waits ends when its time is over: found without reading all that wait.
CREATE INDEX message_ends ON message (shop_id, not_after) WHERE state IN ('planned', 'prepared', 'retry_wait');
