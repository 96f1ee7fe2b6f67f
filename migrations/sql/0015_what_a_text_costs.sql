-- What a provider does not answer is looked up there, three times, before it may be sent once more; and what a text costs is
-- counted against the budget of its shop.
ALTER TABLE message
    -- How often it was looked up since it became unknown, and when last.
    ADD COLUMN look_ups smallint NOT NULL DEFAULT 0,
    ADD COLUMN looked_up_real timestamptz,
    -- The provider did not have it, so it went out once more: never a second time.
    ADD COLUMN sent_again boolean NOT NULL DEFAULT false,
    -- Of the shop's currency, reserved with the claim.
    ADD COLUMN cost numeric(12, 4) CHECK (cost >= 0);
CREATE INDEX message_looked_up ON message (shop_id, id) WHERE state = 'unknown' AND channel <> 'email';
CREATE INDEX message_cost ON message (shop_id, channel, sending_at) INCLUDE (cost, state) WHERE cost IS NOT NULL;

-- Somebody who writes back is found by their number.
CREATE INDEX person_by_phone ON person (shop_id, phone_hmac) WHERE merged_into IS NULL;
