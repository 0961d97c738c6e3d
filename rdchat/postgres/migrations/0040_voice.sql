-- Recordings: a type of messages, and how long they are where that could be found out.
ALTER TABLE messages
    DROP CONSTRAINT messages_message_type_check,
    ADD CONSTRAINT messages_message_type_check
        -- What is there already has passed a narrower one: it is not read again.
        CHECK (message_type IN ('text', 'image', 'audio', 'file', 'automated', 'system')) NOT VALID;
ALTER TABLE attachments ADD COLUMN duration_ms integer CHECK (duration_ms > 0);
