-- An audit log that broke is closed with its reason, by the owner, and a new one begins over all events (connectors/anchoring/begin_again.py).
-- What the closed one held is kept: its leaves here, their witness on R. Its anchors stay in their table: they name it in their data.

CREATE TABLE audit_closings (
    log_id   uuid PRIMARY KEY,                        -- the log that was closed
    next_id  uuid NOT NULL UNIQUE,                    -- the one that began: the first 16 bytes of SHA-256 of the record
    record   bytea NOT NULL                           -- canonical JSON (infra/audit/README.md): why, when, by whom, what it held
);

CREATE TABLE audit_closed_leaves (
    log_id      uuid NOT NULL REFERENCES audit_closings (log_id),
    leaf_index  bigint NOT NULL,
    position    bigint NOT NULL,
    hash        bytea NOT NULL,
    PRIMARY KEY (log_id, leaf_index)
);

-- Which log an anchor is of, by its call data; NULL for what is no head.
CREATE FUNCTION log_of(p_data bytea) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN length(p_data) = 97 THEN encode(substring(p_data FROM 10 FOR 16), 'hex')::uuid END;

GRANT SELECT ON audit_closings TO audit, auditor, gateway;
GRANT SELECT ON audit_closed_leaves TO auditor;
