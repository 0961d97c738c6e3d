-- Who did what and saw what. Rows are added in the transaction of what they are about, and never changed; each is
-- authenticated by the service (`mac`), so that no one else can make one. `detail` is encrypted with the data key of
-- `detail_owner`, a person; the code covers what is encrypted, and still holds when that key is destroyed.
-- No foreign keys: it outlives what it is about.
CREATE TABLE audit (
    id           uuid PRIMARY KEY,
    at           timestamptz NOT NULL,
    kind         text NOT NULL,
    action       text NOT NULL,
    outcome      text NOT NULL,
    -- NULL: the service itself, the command line, or one who is not known.
    actor_id     uuid,
    subject_id   uuid,
    session_id   uuid,
    occurrences  integer NOT NULL,
    detail_owner uuid,
    detail       bytea,
    mac          bytea NOT NULL
);
CREATE INDEX audit_by_time ON audit (at DESC, id DESC);
CREATE INDEX audit_by_session ON audit (session_id, at DESC, id DESC) WHERE session_id IS NOT NULL;
CREATE INDEX audit_by_actor ON audit (actor_id, at DESC, id DESC) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_by_subject ON audit (subject_id, at DESC, id DESC) WHERE subject_id IS NOT NULL;

-- The order of the rows, as chains: each link's hash covers the one before it. There are several chains, so that not
-- every transaction of every replica waits for the one before it; checkpoints tie their ends together.
CREATE TABLE audit_chains (
    chain    smallint PRIMARY KEY,
    last_seq bigint NOT NULL,
    hash     bytea NOT NULL
) WITH (fillfactor = 50);
INSERT INTO audit_chains SELECT chain, 0, '\x' FROM generate_series(0, 7) AS chain;

CREATE TABLE audit_links (
    chain    smallint NOT NULL,
    seq      bigint NOT NULL,
    audit_id uuid NOT NULL,
    hash     bytea NOT NULL,
    PRIMARY KEY (chain, seq)
);

-- The ends of the chains at an instant, signed by the service: one JSON text each, in order.
CREATE TABLE audit_checkpoints (
    n    bigint PRIMARY KEY,
    at   timestamptz NOT NULL,
    line text NOT NULL
);

-- With the rights of its owner: the service may add rows, and nothing else puts them into the chains.
CREATE FUNCTION link_audit_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    own audit_chains;
BEGIN
    UPDATE audit_chains
       SET last_seq = last_seq + 1, hash = sha256(hash || int8send(last_seq + 1) || uuid_send(NEW.id) || NEW.mac)
     WHERE chain = pg_backend_pid() % 8
    RETURNING * INTO own;
    INSERT INTO audit_links VALUES (own.chain, own.last_seq, NEW.id, own.hash);
    RETURN NULL;
END $$;

-- At the end of the transaction: the chain's row is locked last, and not for longer than the commit takes, so that no
-- two transactions ever wait for each other in a circle.
CREATE CONSTRAINT TRIGGER audit_is_linked AFTER INSERT ON audit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION link_audit_row();
