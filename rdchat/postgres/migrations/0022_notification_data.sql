-- What a notification is about, for programs: the times of the counselling when it was made, and the zone of the one
-- who is told. Those that are there already get the times that their counselling has now.
ALTER TABLE notifications
    ADD COLUMN starts_at timestamptz,
    ADD COLUMN ends_at timestamptz,
    ADD COLUMN timezone text,
    -- What somebody wrote of why; sealed, as all that people write.
    ADD COLUMN reason bytea;

UPDATE notifications n
   SET starts_at = c.starts_at, ends_at = c.ends_at,
       timezone = CASE n.person_id WHEN c.psychologist_id THEN c.psychologist_timezone ELSE c.client_timezone END
  FROM counselings c WHERE c.id = n.counseling_id;

ALTER TABLE notifications
    ALTER COLUMN starts_at SET NOT NULL,
    ALTER COLUMN ends_at SET NOT NULL,
    ALTER COLUMN timezone SET NOT NULL;

-- The language that a person's tokens ask for, where they ask for one that is spoken here.
ALTER TABLE people ADD COLUMN locale text;
