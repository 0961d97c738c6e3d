-- Webhooks: what has to be told to other programs, one row per event and endpoint, until it is delivered or given
-- up. The id is what the receiver sees as `webhook-id`, the same at every attempt. The body names people: it is
-- sealed, and taken out as soon as the receiver has it.
CREATE TABLE webhook_deliveries (
    id           uuid PRIMARY KEY,
    endpoint     text NOT NULL,
    type         text NOT NULL,
    body         bytea,
    created_at   timestamptz NOT NULL,
    -- When the next attempt is due. Claiming a row moves this ahead: that is the lease of whoever tries.
    due_at       timestamptz NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    status       text NOT NULL DEFAULT 'scheduled' CHECK (status IN ('scheduled', 'delivered', 'dead')),
    last_status  integer,
    last_error   text,
    delivered_at timestamptz,
    CHECK ((status = 'delivered') = (delivered_at IS NOT NULL)),
    CHECK ((status = 'delivered') = (body IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (endpoint, due_at) WHERE status = 'scheduled';
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (created_at) WHERE status = 'dead';
CREATE INDEX webhook_deliveries_delivered ON webhook_deliveries (delivered_at) WHERE status = 'delivered';
