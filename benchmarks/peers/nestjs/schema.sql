-- What the peer needs: people, their sessions and the messages, in a PostgreSQL schema of its own.
CREATE SCHEMA peer;

CREATE TABLE peer.people (
    id        uuid PRIMARY KEY,
    role      text NOT NULL,
    full_name text NOT NULL
);

CREATE TABLE peer.chat_sessions (
    id                uuid PRIMARY KEY,
    client_id         uuid NOT NULL REFERENCES peer.people (id),
    client_name       text NOT NULL,
    psychologist_id   uuid NOT NULL REFERENCES peer.people (id),
    psychologist_name text NOT NULL,
    status            text NOT NULL
                      CHECK (status IN ('pending', 'active', 'ending_soon', 'completed', 'cancelled')),
    last_seq          bigint NOT NULL DEFAULT 0,
    updated_at        timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80); -- every message updates a row: room to do it in place

CREATE TABLE peer.messages (
    session_id        uuid NOT NULL REFERENCES peer.chat_sessions (id),
    seq               bigint NOT NULL,
    id                uuid NOT NULL,
    sender_id         uuid NOT NULL,
    message_type      text NOT NULL,
    body              text NOT NULL,
    client_message_id text,
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (session_id, seq)
);
CREATE UNIQUE INDEX messages_once_per_client_id
    ON peer.messages (session_id, sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;
