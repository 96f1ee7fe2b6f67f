-- What comes back by mail: a delay is an event too, and a reply stays unread until a person has read it.
ALTER TABLE event DROP CONSTRAINT event_kind_check;
-- NOT VALID: the kinds of before are all among these, so no event has to be read for it.
ALTER TABLE event ADD CONSTRAINT event_kind_check CHECK (kind IN (
    'opened', 'clicked', 'viewed', 'unsubscribed', 'resubscribed', 'delivered', 'delayed', 'bounced', 'complained', 'replied'))
    NOT VALID;

-- Which message a mail speaks of, once that is known: so it is found again when its person is erased.
ALTER TABLE inbox ADD COLUMN message_id bigint, ADD COLUMN unread boolean NOT NULL DEFAULT false;
CREATE INDEX inbox_unread ON inbox (shop_id, id) WHERE unread;
CREATE INDEX inbox_of_message ON inbox (shop_id, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX inbox_mail_kept ON inbox (shop_id, done_at) WHERE source = 'mail' AND body <> '' AND NOT unread;
CREATE INDEX inbox_mail_waiting ON inbox (shop_id, id) WHERE state = 'waiting' AND source = 'mail';
