-- Ably tokens of sessions that are over, or that a person has left: what is still to be revoked.

-- A TokenRequest can be exchanged for a token until then, also after the end of its session.
CREATE TABLE ably_token_requests (
    session_id       uuid NOT NULL REFERENCES chat_sessions (id),
    person_id        uuid NOT NULL,
    redeemable_until timestamptz NOT NULL,
    PRIMARY KEY (session_id, person_id)
);

-- `target` is Ably's: `channel:...` for a session that is over, `clientId:...` for one who has left it.
CREATE TABLE late_revocations (
    target     text PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES chat_sessions (id),
    due_at     timestamptz NOT NULL
);
CREATE INDEX ON late_revocations (due_at);
