-- Events that stand on topics and contradict W, since it went on after it was restored to an earlier point: put aside for a person.

CREATE TABLE lost_events (
    event_id   uuid PRIMARY KEY,
    stream_id  uuid NOT NULL,
    version    integer NOT NULL,
    position   bigint NOT NULL,
    type       text NOT NULL,
    topic      text NOT NULL,
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL,
    payload    bytea NOT NULL,
    headers    jsonb NOT NULL,
    reason     text NOT NULL,
    parked_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT ON lost_events TO listener, commands, sagas, submitter, gateway, operator, auditor, projections, notifications;
