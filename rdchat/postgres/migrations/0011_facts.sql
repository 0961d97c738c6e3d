-- What replicas have found out once for all of them, as the version of the tz database that counsellings keep to.
CREATE TABLE facts (
    name       text PRIMARY KEY,
    value      text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
