-- By now the program has sealed what is here, in this transaction, with the table locked (rdchat/postgres/sealing.py).
-- There is no way back: a release that does not know of sealed names cannot run on this database any more.
DO $$
BEGIN
    IF EXISTS (SELECT FROM people WHERE full_name IS NOT NULL OR email IS NOT NULL) THEN
        RAISE EXCEPTION 'there are names that are not sealed yet: they need the program, as run.py migrate';
    END IF;
END $$;
ALTER TABLE people DROP COLUMN full_name, DROP COLUMN email;

-- What a replica of an earlier release has written since the last migration, with names in it.
UPDATE notifications n SET message = n.title, psychologist_id = c.psychologist_id
  FROM counselings c WHERE c.id = n.counseling_id AND n.psychologist_id IS NULL;
