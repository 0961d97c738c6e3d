-- Files that are sent with messages. The row is written before the object is stored, without a message: it is
-- pending. It gets its message in the commit that stores that. One that is pending for long is what a crash or a
-- refusal has left, and its object with it. What the file is called is sealed, as all that people write.
CREATE TABLE attachments (
    session_id   uuid NOT NULL REFERENCES chat_sessions (id),
    id           uuid NOT NULL,
    message_id   uuid,
    person_id    uuid NOT NULL,
    file_name    bytea NOT NULL,
    content_type text NOT NULL,
    size         bigint NOT NULL CHECK (size > 0),
    width        integer CHECK (width > 0),
    height       integer CHECK (height > 0),
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (session_id, id),
    CHECK ((width IS NULL) = (height IS NULL))
);
-- Links name an attachment alone.
CREATE INDEX attachments_by_id ON attachments (id);
-- A message has one at most.
CREATE UNIQUE INDEX attachments_by_message ON attachments (session_id, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX attachments_pending ON attachments (created_at) WHERE message_id IS NULL;
