-- Whoever watches from outside is told how often the contracts contradicted our books (drift_observed, by what differed), and how often a
-- node was contradicted by the others (endpoint_outvoted, by its host and port): counted by the listener, forgotten by nobody.
CREATE TABLE chain_contradictions (
    chain_id  bigint NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('drift_observed', 'endpoint_outvoted')),
    subject   text NOT NULL,
    times     bigint NOT NULL,
    last_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (chain_id, kind, subject)
);

GRANT SELECT, INSERT, UPDATE ON chain_contradictions TO listener;
GRANT SELECT ON chain_contradictions TO gateway, auditor;
