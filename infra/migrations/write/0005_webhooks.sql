-- Webhooks: to whom, what, and every attempt. Outside any rebuild.

CREATE TABLE webhook_endpoints (
    endpoint_id   uuid PRIMARY KEY,
    url           text NOT NULL UNIQUE,
    secret        text NOT NULL,                      -- whsec_..., Standard Webhooks
    event_types   text [] NOT NULL,                   -- each names itself and all below it (card.transaction); empty: all
    state         text NOT NULL CHECK (state IN ('enabled', 'disabled')),
    reason        text,                               -- why it was disabled
    enabled_at    timestamptz NOT NULL DEFAULT clock_timestamp(),   -- it is told of events recorded since
    paused_until  timestamptz,                        -- it asked us to slow down
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
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
    replayed_after   integer NOT NULL DEFAULT 0,      -- attempts made before the last replay: the schedule counts from there
    next_attempt_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    claimed_until    timestamptz,                     -- a sender has it until then; one that died lets it go so
    reason           text,                            -- why it is parked
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at         timestamptz,
    UNIQUE (endpoint_id, event_id),
    CHECK ((state = 'waiting') = (ended_at IS NULL))
);
CREATE INDEX webhook_messages_due ON webhook_messages (endpoint_id, next_attempt_at) WHERE state = 'waiting';
CREATE INDEX webhook_messages_claimed ON webhook_messages (endpoint_id) WHERE state = 'waiting' AND claimed_until IS NOT NULL;
CREATE INDEX webhook_messages_stream ON webhook_messages (stream_id);
CREATE INDEX webhook_messages_parked ON webhook_messages (ended_at) WHERE state = 'parked';

-- Written when an attempt begins, completed when it ends: one without a duration ended with its sender.
CREATE TABLE webhook_attempts (
    message_id    uuid NOT NULL REFERENCES webhook_messages,
    attempt       integer NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    duration_ms   integer,
    status        integer,
    error         text,
    PRIMARY KEY (message_id, attempt)
);

-- UPDATE (reason): to lock an endpoint's row while its messages are made, nothing else.
GRANT SELECT (endpoint_id, event_types, state, enabled_at), UPDATE (reason) ON webhook_endpoints TO notifications;
GRANT SELECT, INSERT ON webhook_messages TO notifications;
GRANT SELECT, UPDATE (state, reason, paused_until) ON webhook_endpoints TO sender;
GRANT SELECT, UPDATE ON webhook_messages TO sender;
GRANT SELECT, INSERT, UPDATE ON webhook_attempts TO sender;
GRANT SELECT, INSERT, UPDATE ON webhook_endpoints TO operator;
GRANT SELECT, INSERT, UPDATE ON webhook_messages TO operator;
GRANT SELECT ON webhook_attempts TO operator;
GRANT SELECT (endpoint_id, url, event_types, state, reason, enabled_at, paused_until, created_at) ON webhook_endpoints TO auditor;
GRANT SELECT ON webhook_messages, webhook_attempts TO auditor;
