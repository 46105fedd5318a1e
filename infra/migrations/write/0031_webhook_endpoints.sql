-- Several secrets an endpoint, so that one is changed while its holder still checks by the one before; removal; and who did what to one.

CREATE TABLE webhook_secrets (
    endpoint_id  uuid NOT NULL REFERENCES webhook_endpoints,
    number       integer NOT NULL,
    secret       text,                                -- whsec_..., Standard Webhooks; taken away when it signs no more
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    signs_until  timestamptz,                         -- null: the newest, until another is made
    PRIMARY KEY (endpoint_id, number),
    CHECK (secret IS NOT NULL OR signs_until IS NOT NULL)
);
CREATE UNIQUE INDEX webhook_secrets_newest ON webhook_secrets (endpoint_id) WHERE signs_until IS NULL;
INSERT INTO webhook_secrets (endpoint_id, number, secret, made_at)
SELECT endpoint_id, 1 AS number, secret, created_at FROM webhook_endpoints;

ALTER TABLE webhook_endpoints
DROP COLUMN secret,
ADD COLUMN types_since timestamptz NOT NULL DEFAULT clock_timestamp(),    -- the filter is this one since
DROP CONSTRAINT webhook_endpoints_state_check,
ADD CONSTRAINT webhook_endpoints_state_check CHECK (state IN ('enabled', 'disabled', 'removed'));
UPDATE webhook_endpoints SET types_since = created_at;

-- discarded: its endpoint was removed before it was told; the reason says so.
ALTER TABLE webhook_messages
DROP CONSTRAINT webhook_messages_state_check,
ADD CONSTRAINT webhook_messages_state_check CHECK (state IN ('waiting', 'delivered', 'parked', 'discarded'));

CREATE TABLE webhook_actions (
    endpoint_id  uuid NOT NULL REFERENCES webhook_endpoints,
    number       integer NOT NULL,                    -- without a gap
    action       text NOT NULL CHECK (
        action IN ('registered', 'changed', 'rotated', 'paused', 'enabled', 'disabled', 'removed')
    ),
    done_by      text NOT NULL,
    reason       text,
    told         jsonb NOT NULL,                      -- what became of it, what it was before; never a secret
    done_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (endpoint_id, number)
);
INSERT INTO webhook_actions (endpoint_id, number, action, done_by, told, done_at)
SELECT endpoint_id, 1 AS number, 'registered' AS action, 'nobody wrote it down' AS done_by, jsonb_build_object('url', url) AS told, created_at
FROM webhook_endpoints;

GRANT SELECT, INSERT, UPDATE (secret, signs_until) ON webhook_secrets TO operator;
GRANT SELECT, UPDATE (secret) ON webhook_secrets TO sender;
GRANT SELECT (endpoint_id, number, made_at, signs_until) ON webhook_secrets TO auditor;
GRANT SELECT (types_since) ON webhook_endpoints TO auditor;
GRANT SELECT, INSERT ON webhook_actions TO operator, sender;
GRANT SELECT ON webhook_actions TO auditor;
