-- What was erased: that, when and by whom is kept for good; what it was is gone with its data keys.

-- An erasure of a person, or a run of the retention. `actor_id` NULL: by the command line or by the service itself.
CREATE TABLE erasures (
    id           uuid PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('person', 'retention')),
    -- No foreign key: a record outlives what it is about.
    person_id    uuid,
    actor_id     uuid,
    -- Encrypted with the service's own key: it may say more of a person than all that is left.
    reason       bytea,
    -- How far it is. What is interrupted goes on from there.
    status       text NOT NULL CHECK (status IN ('begun', 'destroyed', 'done')),
    counts       jsonb NOT NULL DEFAULT '{}',
    begun_at     timestamptz NOT NULL,
    destroyed_at timestamptz,
    finished_at  timestamptz,
    -- The signed receipt, as it was given.
    receipt      text,
    CHECK ((kind = 'person') = (person_id IS NOT NULL)),
    CHECK ((status = 'done') = (finished_at IS NOT NULL))
);
CREATE UNIQUE INDEX erasures_unfinished ON erasures (person_id) WHERE finished_at IS NULL AND person_id IS NOT NULL;
CREATE INDEX erasures_by_time ON erasures (begun_at DESC, id DESC);

-- In the place of a data key that was destroyed. Without a row here, a key that is missing is an alarm. `mac` is made
-- with the service's own key: a key that another has deleted cannot pass for one that was destroyed.
CREATE TABLE destroyed_keys (
    owner        uuid PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('session', 'counseling', 'person')),
    -- Which key of the ring had wrapped it.
    kid          text NOT NULL,
    erasure_id   uuid NOT NULL REFERENCES erasures (id),
    destroyed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    mac          bytea NOT NULL,
    -- As in access_changes, by which every replica learns of it within a second.
    change       bigint NOT NULL
);
CREATE INDEX destroyed_keys_by_change ON destroyed_keys (change);
CREATE INDEX destroyed_keys_by_erasure ON destroyed_keys (erasure_id);

-- What must not be erased, by whom and why (encrypted with the service's own key).
CREATE TABLE legal_holds (
    id           uuid PRIMARY KEY,
    subject_type text NOT NULL CHECK (subject_type IN ('person', 'session')),
    subject_id   uuid NOT NULL,
    reason       bytea NOT NULL,
    set_by       uuid,
    set_at       timestamptz NOT NULL,
    lift_reason  bytea,
    lifted_by    uuid,
    lifted_at    timestamptz
);
CREATE UNIQUE INDEX legal_holds_in_force ON legal_holds (subject_id) WHERE lifted_at IS NULL;

-- When the file was taken out of its storage, since nothing opens it any more.
ALTER TABLE attachments ADD COLUMN erased_at timestamptz;

-- The service may not change what was said. What a client's app has named a message is the one thing of it that can be
-- read without a key: it is taken away by this function alone, which does so where no key is left.
DO $$
BEGIN
    EXECUTE format($sql$
        CREATE FUNCTION erase_client_message_ids(session uuid) RETURNS bigint
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
        DECLARE
            changed bigint;
        BEGIN
            UPDATE messages SET client_message_id = NULL
             WHERE session_id = session AND client_message_id IS NOT NULL
               AND EXISTS (SELECT FROM destroyed_keys WHERE owner = session)
               AND NOT EXISTS (SELECT FROM data_keys WHERE owner = session);
            GET DIAGNOSTICS changed = ROW_COUNT;
            RETURN changed;
        END
        $body$
    $sql$, current_schema());
END $$;


-- All that was told of a counselling, to whomever.
CREATE INDEX notifications_by_counseling ON notifications (counseling_id);
