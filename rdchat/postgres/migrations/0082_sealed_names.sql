-- Names and e-mail addresses are sealed with their person's data key (rdchat/postgres/names.py). SQL cannot do that:
-- what is there is sealed by the program, before the next migration.
ALTER TABLE people
    ADD COLUMN sealed_name bytea,
    ADD COLUMN sealed_email bytea,
    ALTER COLUMN full_name DROP NOT NULL;

-- The texts of notifications have places for names instead: `{client}` and `{psychologist}`, who is the one of then.
ALTER TABLE notifications ADD COLUMN psychologist_id uuid;

-- Of those that are there, by way of characters that no name has, so that what one name leaves behind is not taken
-- for a part of the other.
UPDATE notifications n
   SET psychologist_id = c.psychologist_id,
       message = replace(replace(
           replace(replace(n.message, psychologist.full_name, U&'\E000'), client.full_name, U&'\E001'),
           U&'\E000', '{psychologist}'), U&'\E001', '{client}')
  FROM counselings c, people client, people psychologist
 WHERE c.id = n.counseling_id AND client.id = c.client_id AND psychologist.id = c.psychologist_id;

-- Each text has a name, and that of a hand-over, to the one who had the counselling, has two. Where it is none that
-- the two have now, it is one of before, and what is left says what it was about.
UPDATE notifications
   SET message = title
 WHERE message !~ '\{(client|psychologist)\}'
    OR (type = 'counseling_reassigned' AND message ~ '(dialihkan ke|handed over to) '
        AND message !~ '(dialihkan ke|handed over to) \{psychologist\}');
