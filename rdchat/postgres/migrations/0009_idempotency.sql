-- What somebody asked for under a key of their own (Idempotency-Key), and what they were answered. Kept a day.
CREATE TABLE idempotency (
    person_id    uuid NOT NULL,
    key          text NOT NULL,
    -- Of the route and everything that was asked: the key with another request is a mistake.
    fingerprint  bytea NOT NULL,
    operation_id uuid NOT NULL,
    -- Null while it is under way.
    status       smallint,
    answer       bytea,
    started_at   timestamptz NOT NULL,
    PRIMARY KEY (person_id, key)
);
CREATE INDEX idempotency_by_age ON idempotency (started_at);
