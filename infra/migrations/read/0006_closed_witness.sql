-- The witness of audit logs that were closed, and the record of each closing a second time: W may be put back to a point before it.

CREATE TABLE audit_closings (
    log_id  uuid PRIMARY KEY,
    record  bytea NOT NULL
);

CREATE TABLE audit_closed_witness (
    log_id      uuid NOT NULL REFERENCES audit_closings (log_id),
    leaf_index  bigint NOT NULL,
    position    bigint NOT NULL,
    hash        bytea NOT NULL,
    PRIMARY KEY (log_id, leaf_index)
);

GRANT SELECT ON audit_closings, audit_closed_witness TO auditor;
