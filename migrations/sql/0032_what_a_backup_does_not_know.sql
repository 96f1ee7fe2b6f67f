-- Whoever leaves, or complains, by a message that a restored backup does not know has no recovery, and is nobody here: few
-- rows, if any, that the operator is told of.
CREATE INDEX event_of_nobody ON event (shop_id, message_id)
    WHERE recovery_id IS NULL AND message_id IS NOT NULL AND kind IN ('unsubscribed', 'resubscribed', 'complained');
