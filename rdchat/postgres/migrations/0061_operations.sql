-- What those see at a glance who run the service, with a million sessions in the database as well. `status` of a
-- session stands in no index, since every step of every session would write it: sessions that are not over are found
-- through their counsellings, which change only when all is over.
CREATE INDEX counselings_open_chats ON counselings (starts_at, organization_id)
    WHERE status = 'pending' AND method = 'chat';
-- Written once for each session, at its end.
CREATE INDEX chat_sessions_ended ON chat_sessions (ended_at, organization_id, status, end_reason)
    WHERE ended_at IS NOT NULL;
-- Written once for each automation, when it has run.
CREATE INDEX automations_done ON automations (executed_at, session_id, lateness_ms) WHERE status = 'done';
