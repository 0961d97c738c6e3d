-- A calendar by a secret link: all who have it see when one has counsellings. Only the secret's hash is kept.
CREATE TABLE calendar_links (
    person_id   uuid PRIMARY KEY REFERENCES people (id),
    secret_hash bytea NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL
);

-- How often the counselling has changed in a way that calendars have to show. Counted here, so that no statement that
-- moves, hands over or cancels one can forget it.
ALTER TABLE counselings ADD COLUMN revision integer NOT NULL DEFAULT 0;
CREATE FUNCTION count_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER counselings_revision BEFORE UPDATE ON counselings FOR EACH ROW
    WHEN ((OLD.starts_at, OLD.ends_at, OLD.psychologist_id, OLD.status = 'cancelled')
          IS DISTINCT FROM (NEW.starts_at, NEW.ends_at, NEW.psychologist_id, NEW.status = 'cancelled'))
    EXECUTE FUNCTION count_revision();
