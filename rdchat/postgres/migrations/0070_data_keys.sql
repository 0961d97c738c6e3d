-- What is encrypted belongs to a session, a counselling or a person, and each of them has a data key, wrapped
-- with a key of the ring that is in no store.
DO $$
BEGIN
    IF EXISTS (SELECT FROM counselings) THEN
        RAISE EXCEPTION 'this database holds counsellings from before there were data keys, whose chats could '
            'not be read any more: start with an empty one';
    END IF;
END $$;

-- No foreign keys: a key can be destroyed, and backed up, apart from what it opens.
CREATE TABLE data_keys (
    owner      uuid PRIMARY KEY,
    kid        text NOT NULL,
    wrapped    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX data_keys_by_kid ON data_keys (kid);

-- What tells a key of the ring from any other of its name, so that no replica runs with another one.
CREATE TABLE encryption_keys (
    kid         text PRIMARY KEY,
    check_value bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Binds a message to its place: of its session's data key, over seq and id.
ALTER TABLE messages ADD COLUMN mac bytea NOT NULL;

-- Whose data key a body is encrypted with.
ALTER TABLE webhook_deliveries ADD COLUMN person_id uuid;

-- Answers are kept for a day, so that a request that is sent again does nothing again.
DELETE FROM idempotency;
DELETE FROM quick_replies;
DELETE FROM client_notes;
