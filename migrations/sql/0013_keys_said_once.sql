-- A row that belongs to a recovery, a message or a person belongs to a shop by that: the key to shop itself said it a
-- second time, and was looked up for each row.
ALTER TABLE identity DROP CONSTRAINT identity_shop_id_fkey;
ALTER TABLE consent DROP CONSTRAINT consent_shop_id_fkey;
ALTER TABLE recovery DROP CONSTRAINT recovery_shop_id_fkey;
ALTER TABLE decision DROP CONSTRAINT decision_shop_id_fkey;
ALTER TABLE message DROP CONSTRAINT message_shop_id_fkey;
ALTER TABLE attempt DROP CONSTRAINT attempt_shop_id_fkey;
ALTER TABLE link DROP CONSTRAINT link_shop_id_fkey;
