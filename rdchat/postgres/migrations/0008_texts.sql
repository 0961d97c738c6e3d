-- Whose member the client was when they booked: automated texts and their language can be an organisation's own.
ALTER TABLE chat_sessions ADD COLUMN organization_id uuid;
-- What is booked already has yet to speak.
UPDATE chat_sessions s SET organization_id = p.organization_id
  FROM people p WHERE p.id = s.client_id AND s.status = 'pending' AND p.organization_id IS NOT NULL;

-- What became of the automation that a line is about (done, skipped, cancelled), and why it was not run.
ALTER TABLE timeline ADD COLUMN outcome text;
ALTER TABLE timeline ADD COLUMN reason text;
