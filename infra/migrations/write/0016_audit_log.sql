-- Tamper evidence: the Merkle log over all events (RFC 6962), and the anchors that state its root on chain. Nothing of the log is ever updated.

CREATE TABLE audit_log (
    log_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    one     boolean NOT NULL DEFAULT true UNIQUE CHECK (one)
);
INSERT INTO audit_log DEFAULT VALUES;

CREATE TABLE audit_leaves (
    leaf_index  bigint PRIMARY KEY CHECK (leaf_index >= 0),
    position    bigint NOT NULL UNIQUE,               -- of the event; rolled-back transactions leave gaps, the index has none
    hash        bytea NOT NULL CHECK (length(hash) = 32)
);

-- One row a whole subtree of 256 of the level below: a proof reads a tile of 256 hashes a level, whatever the log's size.
CREATE TABLE audit_nodes (
    level       smallint NOT NULL CHECK (level > 0 AND level % 8 = 0),
    node_index  bigint NOT NULL CHECK (node_index >= 0),
    hash        bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, node_index)
);

-- What was to be stated on chain. One nonce of the sender carries one anchor, for ever.
CREATE TABLE audit_anchors (
    chain_id    bigint NOT NULL,
    sender      text NOT NULL,
    nonce       bigint NOT NULL CHECK (nonce >= 0),
    tree_size   bigint NOT NULL CHECK (tree_size > 0),
    root        bytea NOT NULL CHECK (length(root) = 32),
    data        bytea NOT NULL,                       -- the call data
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (chain_id, sender, nonce)
);

-- Signed before it is broadcast. A replacement is another row at the same nonce.
CREATE TABLE audit_transactions (
    tx_hash       text PRIMARY KEY,
    chain_id      bigint NOT NULL,
    sender        text NOT NULL,
    nonce         bigint NOT NULL,
    signed        bytea NOT NULL,
    max_fee_wei   numeric(78, 0) NOT NULL,
    state         text NOT NULL CHECK (state IN ('signed', 'broadcast', 'mined', 'final', 'replaced', 'lost')),
    block_number  bigint,
    block_hash    text,
    signed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    broadcast_at  timestamptz,
    marked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (chain_id, sender, nonce) REFERENCES audit_anchors
);
CREATE INDEX audit_transactions_open ON audit_transactions (chain_id, sender, nonce) WHERE state IN ('signed', 'broadcast', 'mined');

GRANT SELECT ON events, audit_log, audit_leaves, audit_nodes, audit_anchors, audit_transactions TO audit;
GRANT EXECUTE ON FUNCTION read_horizon, newest_position, appending TO audit;
GRANT INSERT ON audit_leaves, audit_nodes, audit_anchors, audit_transactions TO audit;
GRANT UPDATE (state, block_number, block_hash, broadcast_at, marked_at) ON audit_transactions TO audit;
GRANT SELECT ON audit_log, audit_leaves, audit_nodes, audit_anchors, audit_transactions TO auditor, gateway;
