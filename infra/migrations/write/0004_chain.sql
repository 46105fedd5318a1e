-- What the listener has seen and what the submitter has sent.

CREATE TABLE chain_cursors (
    chain_id      bigint PRIMARY KEY,
    seen_number   bigint NOT NULL,
    seen_hash     text NOT NULL,
    seen_time     bigint NOT NULL,
    final_number  bigint NOT NULL,
    moved_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    holder        text,                               -- which listener works; another takes over when the lease ends
    lease_until   timestamptz,
    welcomes      bigint NOT NULL DEFAULT 0           -- how often wallets came under watch: who knows fewer must not go on
);

CREATE TABLE chain_blocks (
    chain_id     bigint NOT NULL,
    number       bigint NOT NULL,
    hash         text NOT NULL,
    parent_hash  text NOT NULL,
    time         bigint NOT NULL,
    state        text NOT NULL CHECK (state IN ('seen', 'final', 'orphaned')),
    visit        integer NOT NULL DEFAULT 1,          -- how often the listener came by: a reorg can bring a block back
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (chain_id, hash)
);
CREATE INDEX chain_blocks_seen ON chain_blocks (chain_id, number) WHERE state = 'seen';

-- The wallets under watch: one row an account, written in the same transaction as AccountRegistered.
CREATE TABLE chain_wallets (
    account_id      uuid PRIMARY KEY,
    chain_id        bigint NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('customer', 'settlement')),
    wallet          text NOT NULL,
    token           text NOT NULL,
    roles_module    text,
    delay_module    text,
    opening_block   bigint NOT NULL,                  -- facts count from the block after it
    state           text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'followed')),
    queued_block    bigint,                           -- the newest block in which something entered its Delay queue
    UNIQUE (chain_id, token, wallet)
);
CREATE INDEX chain_wallets_new ON chain_wallets (chain_id) WHERE state = 'new';
CREATE INDEX chain_wallets_queued ON chain_wallets (chain_id) WHERE queued_block IS NOT NULL;

-- Every fact that a reorg may take back, and where it stands.
CREATE TABLE chain_sightings (
    sighting_id   uuid NOT NULL,
    account_id    uuid NOT NULL,
    chain_id      bigint NOT NULL,
    kind          text NOT NULL,                      -- transfer, or reading: allowance or integrity changed
    state         text NOT NULL CHECK (state IN ('seen', 'unseen', 'final')),
    block_number  bigint NOT NULL,
    block_hash    text NOT NULL,
    block_time    bigint NOT NULL,
    tx_hash       text NOT NULL,
    visit         integer NOT NULL,                   -- of the block
    detail        jsonb NOT NULL,                     -- the transfer as it was brought to the account
    PRIMARY KEY (sighting_id, account_id)
);
CREATE INDEX chain_sightings_seen ON chain_sightings (chain_id, block_number) WHERE state = 'seen';

-- One row an intent to move tokens: what it is never changes, only how far it has come.
CREATE TABLE chain_intents (
    leg_id         uuid PRIMARY KEY,
    payment_id     uuid NOT NULL,
    account_id     uuid NOT NULL,
    chain_id       bigint NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('spend', 'refund')),
    amount_raw     numeric(78, 0) NOT NULL,
    target         text NOT NULL,                     -- contract that the transaction calls
    call_data      bytea NOT NULL,                    -- frozen for ever
    signer         text NOT NULL,                     -- who signed the call (spend) or sends it (refund)
    consumed_hash  text UNIQUE,                       -- what HashExecuted will say (spend)
    state          text NOT NULL CHECK (state IN ('planned', 'submitted', 'seen', 'final', 'ended_unpaid')),
    planned_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    correlation_id text,
    traceparent    text
);
CREATE INDEX chain_intents_open ON chain_intents (state, planned_at) WHERE state IN ('planned', 'submitted');

CREATE TABLE chain_nonces (
    chain_id    bigint NOT NULL,
    sender      text NOT NULL,
    next_nonce  bigint NOT NULL,
    PRIMARY KEY (chain_id, sender)
);

-- Signed before it is broadcast. A replacement is another row at the same nonce.
CREATE TABLE chain_transactions (
    tx_hash       text PRIMARY KEY,
    leg_id        uuid NOT NULL REFERENCES chain_intents,
    chain_id      bigint NOT NULL,
    sender        text NOT NULL,
    nonce         bigint NOT NULL,
    signed        bytea NOT NULL,
    max_fee_wei   numeric(78, 0) NOT NULL,
    state         text NOT NULL CHECK (
        state IN ('signed', 'broadcast', 'mined', 'final', 'reverted', 'reverted_final', 'replaced', 'lost')
    ),                                                -- lost: a transaction that we do not know used its nonce, finally
    block_number  bigint,
    reason        text,
    signed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    marked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    broadcast_at  timestamptz,
    looked_at     timestamptz NOT NULL DEFAULT clock_timestamp()    -- when its receipt was asked for, where there are many
);
CREATE INDEX chain_transactions_open ON chain_transactions (chain_id, sender, nonce) WHERE state IN ('signed', 'broadcast', 'mined', 'reverted');

GRANT SELECT, INSERT, UPDATE ON chain_cursors, chain_blocks, chain_wallets, chain_sightings TO listener;
GRANT SELECT, UPDATE ON chain_intents TO listener;
GRANT SELECT ON chain_transactions TO listener;
GRANT INSERT ON chain_wallets TO operator;
GRANT SELECT, INSERT, UPDATE ON chain_intents, chain_nonces, chain_transactions TO submitter;
GRANT SELECT ON chain_cursors, chain_wallets TO submitter, gateway, commands, sagas, operator;
GRANT SELECT ON chain_sightings TO submitter;
GRANT SELECT ON chain_cursors, chain_blocks, chain_wallets, chain_sightings, chain_intents, chain_nonces, chain_transactions TO auditor;
