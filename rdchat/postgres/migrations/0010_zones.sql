-- A counselling has a zone for each of its two people beside the one in which its times were agreed, and may
-- end on another day than it starts. A fold is the second pass of a local time that comes twice.
ALTER TABLE counselings
    ADD COLUMN client_timezone text,
    ADD COLUMN psychologist_timezone text,
    ADD COLUMN local_end_date date,
    ADD COLUMN start_fold boolean NOT NULL DEFAULT false,
    ADD COLUMN end_fold boolean NOT NULL DEFAULT false;

UPDATE counselings c
   SET client_timezone = c.timezone, local_end_date = c.local_date,
       psychologist_timezone = (SELECT p.timezone FROM psychologists p WHERE p.id = c.psychologist_id);

ALTER TABLE counselings
    ALTER COLUMN client_timezone SET NOT NULL,
    ALTER COLUMN psychologist_timezone SET NOT NULL,
    ALTER COLUMN local_end_date SET NOT NULL;
