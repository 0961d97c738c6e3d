-- What the peer needs: people, counsellings, their sessions and the messages, in a PostgreSQL schema of its own.
CREATE SCHEMA peer;

CREATE TABLE peer.people (
    id        uuid PRIMARY KEY,
    role      text NOT NULL,
    full_name text NOT NULL
);

CREATE TABLE peer.psychologists (
    id       uuid PRIMARY KEY REFERENCES peer.people (id),
    timezone text NOT NULL
);

-- Times of day in the psychologist's zone.
CREATE TABLE peer.working_hours (
    psychologist_id uuid NOT NULL REFERENCES peer.psychologists (id),
    weekday         smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    starts          time NOT NULL,
    ends            time NOT NULL CHECK (ends > starts),
    PRIMARY KEY (psychologist_id, weekday, starts)
);

CREATE TABLE peer.days_off (
    psychologist_id uuid NOT NULL REFERENCES peer.psychologists (id),
    day             date NOT NULL,
    PRIMARY KEY (psychologist_id, day)
);

CREATE TABLE peer.counselings (
    id              uuid PRIMARY KEY,
    client_id       uuid NOT NULL REFERENCES peer.people (id),
    psychologist_id uuid NOT NULL REFERENCES peer.psychologists (id),
    status          text NOT NULL CHECK (status IN ('pending', 'completed', 'cancelled')),
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL CHECK (ends_at > starts_at)
);
CREATE INDEX counselings_by_psychologist ON peer.counselings (psychologist_id, starts_at)
    WHERE status = 'pending';

CREATE TABLE peer.chat_sessions (
    id                uuid PRIMARY KEY,
    counseling_id     uuid NOT NULL UNIQUE REFERENCES peer.counselings (id),
    client_id         uuid NOT NULL REFERENCES peer.people (id),
    client_name       text NOT NULL,
    psychologist_id   uuid NOT NULL REFERENCES peer.people (id),
    psychologist_name text NOT NULL,
    status            text NOT NULL
                      CHECK (status IN ('pending', 'active', 'ending_soon', 'completed', 'cancelled')),
    last_seq          bigint NOT NULL DEFAULT 0,
    starts_at         timestamptz NOT NULL,
    ends_at           timestamptz NOT NULL,
    started_at        timestamptz,
    ended_at          timestamptz,
    end_reason        text,
    outcome           text,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
) WITH (fillfactor = 80); -- every message updates a row: room to do it in place
CREATE INDEX chat_sessions_by_client ON peer.chat_sessions (client_id, starts_at DESC, id DESC);
CREATE INDEX chat_sessions_by_psychologist ON peer.chat_sessions (psychologist_id, starts_at DESC, id DESC);

CREATE TABLE peer.automations (
    session_id  uuid NOT NULL REFERENCES peer.chat_sessions (id),
    kind        text NOT NULL,
    due_at      timestamptz NOT NULL,
    status      text NOT NULL,
    executed_at timestamptz,
    lateness_ms integer,
    reason      text,
    PRIMARY KEY (session_id, kind)
);

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

-- How far a participant has read.
CREATE TABLE peer.reads (
    session_id uuid NOT NULL REFERENCES peer.chat_sessions (id),
    person_id  uuid NOT NULL REFERENCES peer.people (id),
    up_to_seq  bigint NOT NULL,
    read_at    timestamptz NOT NULL,
    PRIMARY KEY (session_id, person_id)
);
