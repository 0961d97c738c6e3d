-- What a notification is about, for programs: the times of the counselling when it was made, and the zone of the one
-- who is told. Those that are there already, and those that a replica of the former release still writes, have none:
-- they are shown with the times that their counselling has.
ALTER TABLE notifications
    ADD COLUMN starts_at timestamptz,
    ADD COLUMN ends_at timestamptz,
    ADD COLUMN timezone text,
    -- What was written of why; encrypted, as all that people write.
    ADD COLUMN reason bytea;

-- The language that a person's tokens ask for, where they ask for one that is spoken here.
ALTER TABLE people ADD COLUMN locale text;
