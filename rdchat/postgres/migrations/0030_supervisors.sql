-- Supervisors see how the counsellings of their organisation stand.
ALTER TABLE people DROP CONSTRAINT people_role_check;
ALTER TABLE people ADD CONSTRAINT people_role_check
    CHECK (role IN ('client', 'student', 'employee', 'psychologist', 'supervisor', 'super_admin')) NOT VALID;

-- Whose member the client was when they booked, for every method; and who has called one off that has no session
-- to say it.
ALTER TABLE counselings
    ADD COLUMN organization_id uuid,
    ADD COLUMN cancelled_by text CHECK (cancelled_by IN ('client', 'psychologist', 'administrator'));
-- As far as it is known: what a session says; without one, whose member the client is now.
UPDATE counselings c SET organization_id = s.organization_id
  FROM chat_sessions s WHERE s.counseling_id = c.id AND s.organization_id IS NOT NULL;
UPDATE counselings c SET organization_id = p.organization_id
  FROM people p
 WHERE p.id = c.client_id AND p.organization_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM chat_sessions s WHERE s.counseling_id = c.id);

-- Lists of all of them, and of an organisation's, latest start first; cancelled ones may be few among many.
-- Nothing here is changed while people talk: their sessions are found through their counsellings.
CREATE INDEX counselings_by_start ON counselings (starts_at, id);
CREATE INDEX counselings_by_organization ON counselings (organization_id, starts_at, id);
CREATE INDEX counselings_cancelled ON counselings (organization_id, starts_at, id) WHERE status = 'cancelled';
