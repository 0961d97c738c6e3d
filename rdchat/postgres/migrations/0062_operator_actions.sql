-- What those have changed who run the service. `actor_id` NULL: on the command line, which knows no one.
-- No foreign keys: it outlives what it is about.
CREATE TABLE operator_actions (
    id           uuid PRIMARY KEY,
    at           timestamptz NOT NULL,
    actor_id     uuid,
    action       text NOT NULL,
    subject_type text NOT NULL CHECK (subject_type IN ('session', 'counseling', 'psychologist', 'webhook')),
    subject_id   uuid NOT NULL,
    detail       text,
    -- `begun` until it is known: of one whose process died in between, no more is known.
    outcome      text NOT NULL,
    request_id   text
);
CREATE INDEX operator_actions_by_time ON operator_actions (at DESC, id DESC);
