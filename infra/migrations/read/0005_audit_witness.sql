-- A second copy of the log's leaves, under other logins than those of W: whoever rewrites the log there is told from this.

CREATE TABLE audit_witness (
    leaf_index  bigint PRIMARY KEY CHECK (leaf_index >= 0),
    position    bigint NOT NULL UNIQUE,
    hash        bytea NOT NULL CHECK (length(hash) = 32)
);

GRANT SELECT, INSERT ON audit_witness TO audit;
GRANT SELECT ON audit_witness TO auditor;
