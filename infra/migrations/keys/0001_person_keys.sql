-- One key a person. A database of its own, which no other role enters: neither R's read models nor a backup of W's events have the keys.

CREATE TABLE person_keys (
    key_id        uuid PRIMARY KEY,
    person_id     uuid NOT NULL UNIQUE,
    secret        bytea CHECK (octet_length(secret) = 32),   -- NULL: destroyed, and never given again
    made_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    destroyed_at  timestamptz,
    CHECK ((secret IS NULL) = (destroyed_at IS NOT NULL))
);

GRANT SELECT, INSERT, UPDATE (secret, destroyed_at) ON person_keys TO keeper;
-- To write the table anew once a key is destroyed.
GRANT MAINTAIN ON person_keys TO keeper; -- noqa: PRS
GRANT SELECT (key_id, person_id, made_at, destroyed_at) ON person_keys TO auditor;   -- that a key is there; not the key
