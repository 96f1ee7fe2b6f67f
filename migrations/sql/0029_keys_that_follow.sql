-- A recovery is made from its cart, by the statement that holds the cart's row, and its policy was kept just before: both
-- keys were looked up once more for each row, which took a fifth of enrolling it. Nothing ever deletes a cart or a policy,
-- and the books tell if one were missing. The key to the person stays, for persons may go.
ALTER TABLE recovery DROP CONSTRAINT recovery_shop_id_cart_id_fkey, DROP CONSTRAINT recovery_shop_id_policy_hash_fkey;
