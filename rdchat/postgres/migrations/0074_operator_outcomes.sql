-- What became of an operator's action. It is added beside the action, so that the service, which writes both, needs
-- no right to change what was written down. Until 0074 the outcome was put into the action's own row.
CREATE TABLE operator_outcomes (
    action_id uuid PRIMARY KEY REFERENCES operator_actions (id),
    outcome   text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now()
);
