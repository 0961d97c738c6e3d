-- What psychologists keep for themselves: texts that they send again and again, and notes about their clients. What they
-- write is sealed before it gets here (bytea), for the row and the column that it stands in.
CREATE TABLE quick_replies (
    person_id  uuid NOT NULL REFERENCES people (id),
    id         uuid NOT NULL,
    -- Its place in the list, from 1, without gaps.
    position   integer NOT NULL CHECK (position > 0),
    title      bytea NOT NULL,
    text       bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (person_id, id)
);

CREATE TABLE client_notes (
    psychologist_id uuid NOT NULL REFERENCES people (id),
    client_id       uuid NOT NULL REFERENCES people (id),
    text            bytea NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (psychologist_id, client_id)
);
-- All that is kept about one client.
CREATE INDEX client_notes_by_client ON client_notes (client_id);
