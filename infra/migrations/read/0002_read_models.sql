-- The read models. Each row is a fold of events; each table has one writer, the projector.

-- Every event as it was delivered: where it stood in Kafka, and what it said. One that was taken from the event store to fill
-- a gap has no place in Kafka until its record comes too.
CREATE TABLE deliveries (
    event_id      uuid PRIMARY KEY,
    stream_id     uuid NOT NULL,
    version       integer NOT NULL,
    type          text NOT NULL,
    position      bigint NOT NULL,
    payload       jsonb NOT NULL,
    headers       jsonb NOT NULL,
    topic         text,
    partition     integer,
    "offset"      bigint,
    recorded_at   timestamptz NOT NULL,
    delivered_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (stream_id, version),
    CHECK ((topic IS NULL) = (partition IS NULL) AND (topic IS NULL) = ("offset" IS NULL))
);
CREATE INDEX deliveries_position ON deliveries (position);

-- How far each stream is known to the projector: what is known is skipped, a jump is filled from the event store.
CREATE TABLE stream_versions (
    stream_id  uuid PRIMARY KEY,
    version    integer NOT NULL CHECK (version > 0)
);

CREATE SEQUENCE payments_change_number;

CREATE TABLE payments (
    payment_id         uuid PRIMARY KEY,
    account_id         uuid NOT NULL,
    origin             text NOT NULL,
    state              text NOT NULL,                 -- the card leg
    spend_state        text,                          -- planned, submitted, seen, unseen, settled, ended_unpaid
    refund_state       text,
    outcome            text NOT NULL,                 -- open, settled, declined, refunded, unseen, verified, unpaid
    amount_minor       bigint NOT NULL,
    currency           text NOT NULL,
    amount_raw         numeric(78, 0) NOT NULL,
    decimals           integer NOT NULL,
    captured_minor     bigint NOT NULL DEFAULT 0,
    reason             text,
    response_code      text,
    authorization_code text,
    card_token         text,
    merchant_name      text,
    merchant_country   text,
    mcc                text,
    network_reference  text,
    spend_tx_hash      text,
    refund_tx_hash     text,
    block_number       bigint,                        -- of the newest movement that stands in a block
    version            integer NOT NULL,
    requested_at       timestamptz NOT NULL,
    changed_at         timestamptz NOT NULL,
    -- What the live page follows, in order of (changed_in, change) and only below pg_snapshot_xmin(pg_current_snapshot()):
    -- then a change that commits late is never stepped over.
    change             bigint NOT NULL DEFAULT nextval('payments_change_number'),
    changed_in         xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX payments_account ON payments (account_id, requested_at DESC, payment_id);
CREATE INDEX payments_requested ON payments (requested_at DESC, payment_id);
CREATE INDEX payments_change ON payments (changed_in, change);

CREATE TABLE balances (
    account_id         uuid PRIMARY KEY,
    kind               text NOT NULL,
    wallet             text NOT NULL,
    token              text NOT NULL,
    currency           text NOT NULL,
    decimals           integer NOT NULL,
    card_token         text,
    card_state         text NOT NULL,
    integrity          text NOT NULL,
    queue_empty        boolean NOT NULL,
    final_raw          numeric(78, 0) NOT NULL,       -- what the chain says at the last final block booked
    pending_in_raw     numeric(78, 0) NOT NULL,       -- credits seen, not final
    pending_out_raw    numeric(78, 0) NOT NULL,       -- debits seen or unseen, not final
    unseen_spend_raw   numeric(78, 0) NOT NULL,       -- of those, spends that a reorg took out of sight: they may yet use allowance
    held_raw           numeric(78, 0) NOT NULL,
    allowance          jsonb NOT NULL,                -- balance, max_refill, refill (strings), period_seconds, timestamp
    raised_allowance   jsonb,                         -- a raise that is not final yet
    block_number       bigint NOT NULL,
    version            integer NOT NULL,
    changed_at         timestamptz NOT NULL
);

-- Double entry. A row is one posting: debit one ledger account, credit another, the same amount.
CREATE TABLE ledger_postings (
    posting_id   uuid PRIMARY KEY,                    -- uuid5(event, place in the event)
    event_id     uuid NOT NULL,
    account_id   uuid NOT NULL,
    phase        text NOT NULL CHECK (phase IN ('pend', 'void', 'post')),
    debit        text NOT NULL,
    credit       text NOT NULL,
    amount_raw   numeric(78, 0) NOT NULL CHECK (amount_raw >= 0),
    currency     text NOT NULL,
    reference    uuid NOT NULL,                       -- the hold's payment, the transfer, or the account it opens
    kind         text NOT NULL,                       -- opening, hold, or the transfer's kind
    payment_id   uuid,
    tx_hash      text,
    version      integer NOT NULL,
    booked_at    timestamptz NOT NULL,                -- the chain's or the write server's time, never this machine's
    CHECK (debit <> credit)
);
CREATE INDEX ledger_postings_account ON ledger_postings (account_id, version);
CREATE INDEX ledger_postings_payment ON ledger_postings (payment_id) WHERE payment_id IS NOT NULL;

CREATE TABLE ledger_accounts (
    name             text PRIMARY KEY,                -- safe:ACCOUNT, customer:ACCOUNT, settlement:ACCOUNT, network:ACCOUNT
    account_id       uuid NOT NULL,
    side             text NOT NULL CHECK (side IN ('asset', 'liability')),
    currency         text NOT NULL,
    debits_pending   numeric(78, 0) NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
    credits_pending  numeric(78, 0) NOT NULL DEFAULT 0 CHECK (credits_pending >= 0),
    debits_posted    numeric(78, 0) NOT NULL DEFAULT 0,
    credits_posted   numeric(78, 0) NOT NULL DEFAULT 0
);
CREATE INDEX ledger_accounts_account ON ledger_accounts (account_id);

GRANT SELECT, INSERT, UPDATE ON deliveries, stream_versions, payments, balances, ledger_accounts TO projections;
GRANT SELECT, INSERT ON ledger_postings TO projections;
GRANT USAGE ON SEQUENCE payments_change_number TO projections;
GRANT SELECT ON deliveries, stream_versions, payments, balances, ledger_postings, ledger_accounts TO queries, auditor;
GRANT SELECT, INSERT, UPDATE ON deliveries, stream_versions, payments, balances, ledger_accounts TO operator;
GRANT SELECT, INSERT ON ledger_postings TO operator;      -- a replay of a parked message runs the projector as operator
GRANT USAGE ON SEQUENCE payments_change_number TO operator;
