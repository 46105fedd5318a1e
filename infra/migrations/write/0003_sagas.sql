-- The sagas: where each stands, what it was told, what it did, and what it waits for.

CREATE TABLE sagas (
    saga_id         uuid PRIMARY KEY,                 -- the payment
    type            text NOT NULL,
    state           text NOT NULL,
    handled         integer NOT NULL,                 -- version of the payment's stream up to which events were taken
    steps           integer NOT NULL DEFAULT 0,       -- steps taken: here, and not counted, for a waiter for the row sees it as it is then
    data            jsonb NOT NULL,
    lease_until     timestamptz,                      -- a gateway drives it until then; NULL: nobody does
    reason          text,                             -- why it was parked or how it ended
    correlation_id  text,
    traceparent     text,
    started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at        timestamptz
);
CREATE INDEX sagas_open ON sagas (state, changed_at) WHERE ended_at IS NULL;

CREATE TABLE saga_inbox (
    saga_id      uuid NOT NULL,
    version      integer NOT NULL,                    -- of the payment's stream
    event_id     uuid NOT NULL,
    state        text NOT NULL CHECK (state IN ('pending', 'done')),
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (saga_id, version)
);
CREATE INDEX saga_inbox_pending ON saga_inbox (saga_id, version) WHERE state = 'pending';

CREATE TABLE saga_steps (
    saga_id     uuid NOT NULL,
    step        integer NOT NULL,
    input       text NOT NULL,                        -- event or timeout
    input_id    uuid,
    from_state  text NOT NULL,
    to_state    text NOT NULL,
    commands    jsonb NOT NULL,
    driver      text NOT NULL,                        -- gateway, sagas or timeout
    taken_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (saga_id, step)
);

CREATE TABLE saga_timeouts (
    saga_id   uuid NOT NULL,
    name      text NOT NULL,
    due_at    timestamptz NOT NULL,
    state     text NOT NULL CHECK (state IN ('waiting', 'fired', 'cancelled')),
    PRIMARY KEY (saga_id, name)
);
CREATE INDEX saga_timeouts_due ON saga_timeouts (due_at) WHERE state = 'waiting';

GRANT SELECT, INSERT, UPDATE ON sagas, saga_inbox, saga_timeouts TO sagas, gateway, operator;
GRANT SELECT, INSERT ON saga_steps TO sagas, gateway, operator;
GRANT SELECT ON sagas, saga_inbox, saga_steps, saga_timeouts TO auditor;
