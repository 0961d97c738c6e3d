-- Lists of sessions by what happened last. `updated_at` stands in no index: every message writes it, and such an
-- update would no longer stay within its page. What is over changes no more, and what is not over is little.
CREATE INDEX chat_sessions_over_by_client ON chat_sessions (client_id, ended_at DESC, id DESC)
    WHERE ended_at IS NOT NULL;
CREATE INDEX chat_sessions_over_by_psychologist ON chat_sessions (psychologist_id, ended_at DESC, id DESC)
    WHERE ended_at IS NOT NULL;
CREATE INDEX chat_sessions_not_over_by_client ON chat_sessions (client_id) WHERE ended_at IS NULL;
CREATE INDEX chat_sessions_not_over_by_psychologist ON chat_sessions (psychologist_id) WHERE ended_at IS NULL;
