-- People, counsellings and their chat sessions.
--
-- Every table that grows with traffic has session_id first in its primary key, so that Citus or native hash
-- partitioning can spread it. What people write is sealed before it gets here (bytea).

-- The extension is trusted: it needs CREATE on the database, unless it is there. Where it is refused, the constraint
-- that wants it is made without (below).
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS btree_gist;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'without btree_gist: %', SQLERRM;
END $$;

CREATE TABLE people (
    id              uuid PRIMARY KEY,
    role            text NOT NULL CHECK (role IN ('client', 'student', 'employee', 'psychologist', 'super_admin')),
    full_name       text NOT NULL,
    email           text,
    organization_id uuid,
    seen_at         timestamptz NOT NULL
);

CREATE TABLE psychologists (
    id         uuid PRIMARY KEY REFERENCES people (id),
    timezone   text NOT NULL,
    is_active  boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE counselings (
    id              uuid PRIMARY KEY,
    client_id       uuid NOT NULL REFERENCES people (id),
    psychologist_id uuid NOT NULL REFERENCES psychologists (id),
    method          text NOT NULL CHECK (method IN ('chat', 'online', 'offline', 'organization')),
    status          text NOT NULL CHECK (status IN ('pending', 'active', 'completed', 'cancelled')),
    -- The instants rule; the wall time and the zone that were booked are kept beside them.
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL CHECK (ends_at > starts_at),
    timezone        text NOT NULL,
    local_date      date NOT NULL,
    local_start     time NOT NULL,
    local_end       time NOT NULL,
    notes           bytea,
    cancel_reason   bytea,
    -- With the usual limit of one counselling at a time, the database itself forbids the second.
    client_exclusive boolean NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gist') THEN
        ALTER TABLE counselings ADD CONSTRAINT counselings_client_overlap EXCLUDE USING gist (
            client_id WITH =, tstzrange(starts_at, ends_at) WITH &&
        ) WHERE (client_exclusive AND status IN ('pending', 'active'));
    ELSE
        -- GiST knows ranges of any type by itself: a client is the range from this id to this id.
        CREATE TYPE uuid_range AS RANGE (subtype = uuid);
        ALTER TABLE counselings ADD CONSTRAINT counselings_client_overlap EXCLUDE USING gist (
            uuid_range(client_id, client_id, '[]') WITH =, tstzrange(starts_at, ends_at) WITH &&
        ) WHERE (client_exclusive AND status IN ('pending', 'active'));
    END IF;
END $$;
CREATE INDEX counselings_by_psychologist ON counselings (psychologist_id, starts_at)
    WHERE status IN ('pending', 'active');
CREATE INDEX counselings_by_client ON counselings (client_id, starts_at);

CREATE TABLE chat_sessions (
    id               uuid PRIMARY KEY,
    counseling_id    uuid NOT NULL UNIQUE REFERENCES counselings (id),
    client_id        uuid NOT NULL REFERENCES people (id),
    psychologist_id  uuid NOT NULL REFERENCES psychologists (id),
    status           text NOT NULL
                     CHECK (status IN ('pending', 'active', 'ending_soon', 'completed', 'cancelled')),
    -- Counts commits. Every writer names the version it decided on; who lost the race changes nothing.
    version          bigint NOT NULL,
    last_seq         bigint NOT NULL,
    schedule_version integer NOT NULL,
    language         text NOT NULL,
    starts_at        timestamptz NOT NULL,
    ends_at          timestamptz NOT NULL,
    started_at       timestamptz,
    ended_at         timestamptz,
    end_reason       text,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CHECK ((status IN ('completed', 'cancelled')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX chat_sessions_by_client ON chat_sessions (client_id, starts_at DESC, id);
CREATE INDEX chat_sessions_by_psychologist ON chat_sessions (psychologist_id, starts_at DESC, id);

CREATE TABLE messages (
    session_id        uuid NOT NULL REFERENCES chat_sessions (id),
    seq               bigint NOT NULL,
    id                uuid NOT NULL,
    sender_id         uuid NOT NULL,
    message_type      text NOT NULL CHECK (message_type IN ('text', 'image', 'file', 'automated', 'system')),
    body              bytea NOT NULL,
    client_message_id text,
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (session_id, seq)
);
CREATE UNIQUE INDEX messages_once_per_client_id ON messages (session_id, sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;

CREATE TABLE automations (
    session_id       uuid NOT NULL REFERENCES chat_sessions (id),
    kind             text NOT NULL
                     CHECK (kind IN ('initial_message', 'enable_chat', 'end_warning', 'auto_end')),
    schedule_version integer NOT NULL,
    due_at           timestamptz NOT NULL,
    status           text NOT NULL
                     CHECK (status IN ('scheduled', 'done', 'skipped', 'cancelled', 'failed')),
    attempts         integer NOT NULL DEFAULT 0,
    executed_at      timestamptz,
    lateness_ms      bigint,
    reason           text,
    PRIMARY KEY (session_id, kind, schedule_version)
) WITH (fillfactor = 80);
CREATE INDEX automations_waiting ON automations (due_at, session_id) WHERE status = 'scheduled';
CREATE INDEX automations_failed ON automations (due_at) WHERE status = 'failed';

-- What happened to a session, command by command: state changes and settled automations.
CREATE TABLE timeline (
    session_id  uuid NOT NULL REFERENCES chat_sessions (id),
    version     bigint NOT NULL,
    position    smallint NOT NULL,
    command_id  uuid NOT NULL,
    trigger     text NOT NULL,
    actor_id    uuid,
    from_status text NOT NULL,
    to_status   text NOT NULL,
    planned_at  timestamptz,
    at          timestamptz NOT NULL,
    PRIMARY KEY (session_id, version, position)
);

-- Realtime events until Ably has accepted them. (session_id, version, position) is their order in a channel.
CREATE TABLE outbox (
    session_id  uuid NOT NULL,
    version     bigint NOT NULL,
    position    smallint NOT NULL,
    channel     text NOT NULL,
    ably_id     text NOT NULL,
    name        text NOT NULL,
    payload     bytea NOT NULL,
    lease_until timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (session_id, version, position)
);
CREATE INDEX outbox_unclaimed ON outbox (lease_until);
