-- The public key of ours that the browser subscribed with: what is signed with another one it does not get, and its push
-- service takes the sender for a fraud (RFC 8292, section 4.2). Empty: subscribed before this was kept.
ALTER TABLE subscription ADD COLUMN public_key text NOT NULL DEFAULT '';
