-- Who was there: recorded when a completed session ends.
ALTER TABLE chat_sessions ADD COLUMN outcome text
    CHECK (outcome IN ('held', 'client_absent', 'psychologist_absent', 'nobody_came'));

-- How far somebody has read, a row per step: what a message needs is the first step that covers it.
CREATE TABLE reads (
    session_id uuid NOT NULL REFERENCES chat_sessions (id),
    person_id  uuid NOT NULL,
    up_to_seq  bigint NOT NULL,
    read_at    timestamptz NOT NULL,
    PRIMARY KEY (session_id, person_id, up_to_seq)
);

-- Until when somebody could listen to a session, or last did something in it.
CREATE TABLE attendance (
    session_id uuid NOT NULL REFERENCES chat_sessions (id),
    person_id  uuid NOT NULL,
    until      timestamptz NOT NULL,
    PRIMARY KEY (session_id, person_id)
);

-- Whether somebody has said something in a session, or was there to listen after it had begun.
CREATE FUNCTION was_there(session uuid, person uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM attendance a JOIN chat_sessions s ON s.id = a.session_id
                    WHERE a.session_id = session AND a.person_id = person AND a.until > s.starts_at)
        OR EXISTS (SELECT FROM messages WHERE session_id = session AND sender_id = person
                      AND message_type NOT IN ('automated', 'system'))
$$;

CREATE TABLE notifications (
    person_id     uuid NOT NULL REFERENCES people (id),
    id            uuid NOT NULL,
    type          text NOT NULL,
    title         text NOT NULL,
    message       text NOT NULL,
    -- Null of a counselling without chat.
    session_id    uuid,
    counseling_id uuid NOT NULL,
    created_at    timestamptz NOT NULL,
    read_at       timestamptz,
    PRIMARY KEY (person_id, id)
);
CREATE INDEX notifications_by_person ON notifications (person_id, created_at DESC, id DESC);
CREATE INDEX notifications_unread ON notifications (person_id) WHERE read_at IS NULL;

-- Beside its commits, a session has parcels of its readers: they carry the version that they were read at.
ALTER TABLE outbox DROP CONSTRAINT outbox_pkey;
ALTER TABLE outbox ADD PRIMARY KEY (session_id, version, id);
