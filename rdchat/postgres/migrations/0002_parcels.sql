-- The outbox holds a row per commit of a session instead of one per event: a third of the rows to write and to
-- delete. Rows are deleted by `id` alone, `WHERE id = ANY(...)`: the table grows from nothing to tens of
-- thousands of rows faster than its statistics, and a join would be planned as if it were empty.
DROP TABLE outbox;

-- What a commit has for Ably, until Ably has accepted all of it. (session_id, version) is the order.
CREATE TABLE outbox (
    session_id  uuid NOT NULL,
    version     bigint NOT NULL,
    id          bigint NOT NULL UNIQUE,
    events      bytea NOT NULL,
    lease_until timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (session_id, version)
);
CREATE INDEX outbox_unclaimed ON outbox (lease_until);

-- A counselling by chat is active while its session is open: that is read from the session. Writing it here
-- as well would enter the row anew into every index, the one against overlaps above all.
UPDATE counselings SET status = 'pending' WHERE status = 'active';
ALTER TABLE counselings DROP CONSTRAINT counselings_status_check;
ALTER TABLE counselings ADD CONSTRAINT counselings_status_check
    CHECK (status IN ('pending', 'completed', 'cancelled'));
