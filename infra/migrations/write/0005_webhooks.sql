-- Webhooks: to whom, what, and every attempt. Outside any rebuild.

CREATE TABLE webhook_endpoints (
    endpoint_id  uuid PRIMARY KEY,
    url          text NOT NULL UNIQUE,
    secret       text NOT NULL,                       -- whsec_..., Standard Webhooks
    event_types  text [] NOT NULL,                    -- empty: all
    state        text NOT NULL CHECK (state IN ('enabled', 'disabled')),
    reason       text,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE webhook_messages (
    message_id       uuid PRIMARY KEY,                -- uuid5(event, endpoint): the stable webhook-id
    endpoint_id      uuid NOT NULL REFERENCES webhook_endpoints,
    event_id         uuid NOT NULL,
    stream_id        uuid NOT NULL,
    type             text NOT NULL,
    body             text NOT NULL,
    state            text NOT NULL CHECK (state IN ('waiting', 'delivered', 'parked')),
    attempts         integer NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason           text,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at         timestamptz,
    UNIQUE (endpoint_id, event_id)
);
CREATE INDEX webhook_messages_due ON webhook_messages (next_attempt_at) WHERE state = 'waiting';

CREATE TABLE webhook_attempts (
    message_id    uuid NOT NULL REFERENCES webhook_messages,
    attempt       integer NOT NULL,
    started_at    timestamptz NOT NULL,
    duration_ms   integer NOT NULL,
    status        integer,
    error         text,
    PRIMARY KEY (message_id, attempt)
);

GRANT SELECT (endpoint_id, url, event_types, state), UPDATE (state, reason) ON webhook_endpoints TO notifications;
GRANT SELECT, INSERT ON webhook_messages TO notifications;
GRANT SELECT, UPDATE (state, reason) ON webhook_endpoints TO sender;
GRANT SELECT, UPDATE ON webhook_messages TO sender;
GRANT SELECT, INSERT ON webhook_attempts TO sender;
GRANT SELECT, INSERT, UPDATE ON webhook_endpoints TO operator;
GRANT SELECT, UPDATE ON webhook_messages TO operator;
GRANT SELECT (endpoint_id, url, event_types, state, reason, created_at) ON webhook_endpoints TO auditor;
GRANT SELECT ON webhook_messages, webhook_attempts TO auditor;
