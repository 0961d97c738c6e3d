-- Two people who talk at the same time, through two replicas, are no conflict: their messages go behind one
-- another in any case. So a commit of messages alone is fenced by the last change of anything else, and its
-- numbers are given here.
ALTER TABLE chat_sessions ADD COLUMN state_version bigint NOT NULL DEFAULT 0;
UPDATE chat_sessions SET state_version = version;

-- Such a commit has its messages for Ably, which are stored already: the outbox names them.
ALTER TABLE outbox ALTER COLUMN events DROP NOT NULL;
ALTER TABLE outbox ADD COLUMN first_seq bigint;
ALTER TABLE outbox ADD COLUMN messages integer;
ALTER TABLE outbox ADD CONSTRAINT outbox_events_or_messages
    CHECK ((events IS NULL) = (first_seq IS NOT NULL AND messages IS NOT NULL));
