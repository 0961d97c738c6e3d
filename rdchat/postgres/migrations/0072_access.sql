-- People who may not call as their tokens say: deactivated ones, tokens that were revoked, roles that have changed.
-- Every replica keeps these rows in memory, and asks for what is new several times a second.
--
-- `number` counts changes. It is one row, so that changes are committed in the order of their numbers: who has seen
-- one has seen all before it.
CREATE TABLE access_changes (
    number bigint NOT NULL
);
INSERT INTO access_changes (number) VALUES (0);

CREATE TABLE access_rules (
    -- No foreign key: a person can be stopped before they were ever seen.
    person_id     uuid PRIMARY KEY,
    is_active     boolean NOT NULL DEFAULT true,
    -- Tokens that were issued until then are refused.
    revoked_at    timestamptz,
    -- Tokens that say another role are refused: those issued until `role_since`, or all of them if it is fixed.
    role          text,
    role_since    timestamptz,
    role_is_fixed boolean NOT NULL DEFAULT false,
    -- When what they listen by at Ably is to be revoked (next), and how often that was put into the outbox.
    cut_at        timestamptz,
    cuts          smallint NOT NULL DEFAULT 0,
    change        bigint NOT NULL,
    CHECK (NOT role_is_fixed OR role IS NOT NULL)
);
CREATE INDEX access_rules_by_change ON access_rules (change);
CREATE INDEX access_rules_to_cut ON access_rules (cut_at) WHERE cut_at IS NOT NULL;

-- When the token was issued that says what is kept of a person: an older one changes nothing any more, on whatever
-- replica it is seen.
ALTER TABLE people ADD COLUMN token_at timestamptz;

-- A role that has changed, by a token or by hand, is what counts from then on. Psychologists are what an administrator
-- has made of them, whatever else they are: that takes nothing away.
CREATE FUNCTION note_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.role = 'psychologist' AND EXISTS (SELECT FROM psychologists WHERE id = NEW.id) THEN
        RETURN NEW;
    END IF;
    IF NEW.token_at IS NOT DISTINCT FROM OLD.token_at THEN
        NEW.token_at := clock_timestamp();
    END IF;
    WITH counted AS (UPDATE access_changes SET number = number + 1 RETURNING number)
    INSERT INTO access_rules (person_id, role, role_since, cut_at, change)
    SELECT NEW.id, NEW.role, clock_timestamp(), clock_timestamp(), number FROM counted
    ON CONFLICT (person_id) DO UPDATE
       SET role = CASE WHEN access_rules.role_is_fixed THEN access_rules.role ELSE excluded.role END,
           role_since = excluded.role_since, cut_at = excluded.cut_at, cuts = 0, change = excluded.change;
    RETURN NEW;
END
$$;
CREATE TRIGGER people_role_changed BEFORE UPDATE OF role ON people
    FOR EACH ROW WHEN (OLD.role IS DISTINCT FROM NEW.role) EXECUTE FUNCTION note_role();

-- What those have changed who run the service: also of people.
ALTER TABLE operator_actions DROP CONSTRAINT operator_actions_subject_type_check;
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_subject_type_check
    CHECK (subject_type IN ('session', 'counseling', 'psychologist', 'webhook', 'person')) NOT VALID;
