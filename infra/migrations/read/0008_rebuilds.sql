-- Read models are made anew in a second copy, which then takes the place of the first: who asked for it, when, and why.

CREATE TABLE rebuilds (
    rebuild_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    begun_by    text NOT NULL,
    reason      text NOT NULL,
    code        bytea NOT NULL,                       -- sha256 of what folds: a copy is finished by the code that began it
    state       text NOT NULL CHECK (state IN ('running', 'done', 'abandoned')),
    events      bigint,                               -- that the copy held when it took the place of the first
    ended_at    timestamptz,
    ended_by    text,
    end_reason  text,
    CHECK ((state = 'running') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX rebuilds_running ON rebuilds (state) WHERE state = 'running';

-- Events that W has put aside (the table of this name there). They stand on the topics for ever, and nobody folds them.
CREATE TABLE lost_events (
    event_id  uuid PRIMARY KEY,
    version   integer NOT NULL,
    position  bigint NOT NULL
);

GRANT SELECT ON rebuilds TO queries, operator, auditor;
GRANT SELECT ON lost_events TO projections, operator, queries, auditor;
