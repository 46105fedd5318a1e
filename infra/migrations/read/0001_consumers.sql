-- Where each consumer on R stands, and the messages that wait for a person. The same two tables stand on W.

CREATE TABLE checkpoints (
    cluster      text NOT NULL,
    topic_id     text NOT NULL,
    topic        text NOT NULL,
    partition    integer NOT NULL CHECK (partition >= 0),
    consumer     text NOT NULL,
    next_offset  bigint NOT NULL CHECK (next_offset >= 0),
    moved_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cluster, topic_id, partition, consumer)
);

CREATE TABLE parked_messages (
    parked_id     uuid PRIMARY KEY,
    consumer      text NOT NULL,
    topic         text NOT NULL,
    topic_id      text NOT NULL,                      -- a topic made anew under the same name must not meet old rows
    partition     integer NOT NULL,
    "offset"      bigint NOT NULL,
    key           text,
    headers       jsonb NOT NULL,
    value         bytea,
    timestamp_ms  bigint NOT NULL,
    state         text NOT NULL CHECK (state IN ('parked', 'queued', 'replayed', 'discarded')),
    reason        text,
    error         text,
    parked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at      timestamptz,
    ended_by      text,
    end_reason    text,
    UNIQUE (consumer, topic_id, partition, "offset"),
    CHECK ((state IN ('replayed', 'discarded')) = (ended_at IS NOT NULL))
);
CREATE INDEX parked_messages_held ON parked_messages (consumer, key, "offset") WHERE state IN ('parked', 'queued');

GRANT SELECT, UPDATE ON checkpoints TO projections;
GRANT SELECT, INSERT, UPDATE ON parked_messages TO projections;
GRANT SELECT, INSERT, UPDATE ON checkpoints TO operator;
GRANT SELECT, INSERT, UPDATE ON parked_messages TO operator;
GRANT SELECT ON checkpoints, parked_messages TO queries, auditor;
