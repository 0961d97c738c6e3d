-- When both are reminded of a counselling: a row for each time, and new ones when it is moved. Rows beside the session's
-- automations, since a reminder changes nothing of a session, and there are counsellings without one.
CREATE TABLE reminders (
    counseling_id uuid NOT NULL REFERENCES counselings (id),
    -- Counts all reminders that a counselling ever had.
    number        integer NOT NULL,
    -- How long before the start.
    lead          interval NOT NULL,
    due_at        timestamptz NOT NULL,
    status        text NOT NULL CHECK (status IN ('scheduled', 'done', 'skipped', 'cancelled', 'failed')),
    attempts      integer NOT NULL DEFAULT 0,
    executed_at   timestamptz,
    lateness_ms   bigint,
    reason        text,
    PRIMARY KEY (counseling_id, number)
) WITH (fillfactor = 80);
CREATE INDEX reminders_waiting ON reminders (due_at, counseling_id) WHERE status = 'scheduled';
CREATE INDEX reminders_failed ON reminders (due_at) WHERE status = 'failed';
