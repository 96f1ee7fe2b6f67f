-- The two texts of a mail are kept as what they do not share with a made-up one, packed; before, they lay in content.
ALTER TABLE message
    ADD COLUMN letter bytea,
    ADD CONSTRAINT message_letter_has_content CHECK (letter IS NULL OR content IS NOT NULL) NOT VALID;
ALTER TABLE message ALTER COLUMN letter SET STORAGE EXTERNAL;

-- The messages of a recovery are found by the key that each step of it has only once.
DROP INDEX message_open_of_recovery;
