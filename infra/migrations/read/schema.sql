-- What the numbered steps of this folder end in. Written by `python -m infra.migrations.dump`; a test compares.

CREATE TABLE account_holders (
    account_id uuid NOT NULL,
    person_id uuid NOT NULL
);

CREATE TABLE audit_closed_witness (
    log_id uuid NOT NULL,
    leaf_index bigint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE audit_closings (
    log_id uuid NOT NULL,
    record bytea NOT NULL
);

CREATE TABLE audit_witness (
    leaf_index bigint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_witness_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT audit_witness_leaf_index_check CHECK ((leaf_index >= 0))
);

CREATE TABLE balances (
    account_id uuid NOT NULL,
    kind text NOT NULL,
    wallet text NOT NULL,
    token text NOT NULL,
    currency text NOT NULL,
    decimals integer NOT NULL,
    card_token text,
    card_state text NOT NULL,
    integrity text NOT NULL,
    queue_empty boolean NOT NULL,
    final_raw numeric(78,0) NOT NULL,
    pending_in_raw numeric(78,0) NOT NULL,
    pending_out_raw numeric(78,0) NOT NULL,
    unseen_spend_raw numeric(78,0) NOT NULL,
    held_raw numeric(78,0) NOT NULL,
    allowance jsonb NOT NULL,
    block_number bigint NOT NULL,
    version integer NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    card_limits jsonb DEFAULT '{}'::jsonb NOT NULL,
    blocks jsonb DEFAULT '{"mccs": [], "countries": []}'::jsonb NOT NULL,
    pending_allowances jsonb DEFAULT '[]'::jsonb NOT NULL
);

CREATE TABLE checkpoints (
    cluster text NOT NULL,
    topic_id text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    consumer text NOT NULL,
    next_offset bigint NOT NULL,
    moved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT checkpoints_next_offset_check CHECK ((next_offset >= 0)),
    CONSTRAINT checkpoints_partition_check CHECK ((partition >= 0))
);

CREATE TABLE deliveries (
    event_id uuid NOT NULL,
    stream_id uuid NOT NULL,
    version integer NOT NULL,
    type text NOT NULL,
    "position" bigint NOT NULL,
    payload jsonb NOT NULL,
    headers jsonb NOT NULL,
    topic text,
    partition integer,
    "offset" bigint,
    recorded_at timestamp with time zone NOT NULL,
    delivered_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT deliveries_check CHECK ((((topic IS NULL) = (partition IS NULL)) AND ((topic IS NULL) = ("offset" IS NULL))))
);

CREATE TABLE ledger_accounts (
    name text NOT NULL,
    account_id uuid NOT NULL,
    side text NOT NULL,
    currency text NOT NULL,
    debits_pending numeric(78,0) DEFAULT 0 NOT NULL,
    credits_pending numeric(78,0) DEFAULT 0 NOT NULL,
    debits_posted numeric(78,0) DEFAULT 0 NOT NULL,
    credits_posted numeric(78,0) DEFAULT 0 NOT NULL,
    CONSTRAINT ledger_accounts_credits_pending_check CHECK ((credits_pending >= (0)::numeric)),
    CONSTRAINT ledger_accounts_debits_pending_check CHECK ((debits_pending >= (0)::numeric)),
    CONSTRAINT ledger_accounts_side_check CHECK ((side = ANY (ARRAY['asset'::text, 'liability'::text, 'expense'::text])))
);

CREATE TABLE ledger_postings (
    posting_id uuid NOT NULL,
    event_id uuid NOT NULL,
    account_id uuid NOT NULL,
    phase text NOT NULL,
    debit text NOT NULL,
    credit text NOT NULL,
    amount_raw numeric(78,0) NOT NULL,
    currency text NOT NULL,
    reference uuid NOT NULL,
    kind text NOT NULL,
    payment_id uuid,
    tx_hash text,
    version integer NOT NULL,
    booked_at timestamp with time zone NOT NULL,
    book text DEFAULT 'wallet'::text NOT NULL,
    CONSTRAINT ledger_postings_amount_raw_check CHECK ((amount_raw >= (0)::numeric)),
    CONSTRAINT ledger_postings_book_check CHECK ((book = ANY (ARRAY['wallet'::text, 'card'::text]))),
    CONSTRAINT ledger_postings_check CHECK ((debit <> credit)),
    CONSTRAINT ledger_postings_phase_check CHECK ((phase = ANY (ARRAY['pend'::text, 'void'::text, 'post'::text])))
);

CREATE TABLE lost_events (
    event_id uuid NOT NULL,
    version integer NOT NULL,
    "position" bigint NOT NULL
);

CREATE TABLE migrations (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE parked_messages (
    parked_id uuid NOT NULL,
    consumer text NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key text,
    headers jsonb NOT NULL,
    value bytea,
    timestamp_ms bigint NOT NULL,
    state text NOT NULL,
    reason text,
    error text,
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    ended_by text,
    end_reason text,
    CONSTRAINT parked_messages_check CHECK (((state = ANY (ARRAY['replayed'::text, 'discarded'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT parked_messages_state_check CHECK ((state = ANY (ARRAY['parked'::text, 'queued'::text, 'replayed'::text, 'discarded'::text])))
);

CREATE SEQUENCE payments_change_number
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE payments (
    payment_id uuid NOT NULL,
    account_id uuid NOT NULL,
    origin text NOT NULL,
    state text NOT NULL,
    spend_state text,
    refund_state text,
    outcome text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    amount_raw numeric(78,0) NOT NULL,
    decimals integer NOT NULL,
    captured_minor bigint DEFAULT 0 NOT NULL,
    reason text,
    response_code text,
    authorization_code text,
    card_token text,
    merchant_name text,
    merchant_country text,
    mcc text,
    network_reference text,
    spend_tx_hash text,
    refund_tx_hash text,
    block_number bigint,
    version integer NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    change bigint DEFAULT nextval('payments_change_number'::regclass) NOT NULL,
    changed_in xid8 DEFAULT pg_current_xact_id() NOT NULL,
    authorized_minor bigint DEFAULT 0 NOT NULL,
    open_minor bigint DEFAULT 0 NOT NULL,
    refunded_minor bigint DEFAULT 0 NOT NULL,
    credited_minor bigint DEFAULT 0 NOT NULL,
    due_raw numeric(78,0) DEFAULT 0 NOT NULL,
    receivable_raw numeric(78,0) DEFAULT 0 NOT NULL,
    written_off_raw numeric(78,0) DEFAULT 0 NOT NULL,
    legs jsonb DEFAULT '{}'::jsonb NOT NULL,
    message text DEFAULT 'authorization'::text NOT NULL,
    transaction_type text DEFAULT 'purchase'::text NOT NULL
);

CREATE TABLE persons (
    person_id uuid NOT NULL,
    state text NOT NULL,
    revision integer NOT NULL,
    key_id uuid NOT NULL,
    algorithm text,
    nonce text,
    sealed text,
    held_until timestamp with time zone,
    hold_reason text,
    registered_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    CONSTRAINT persons_state_check CHECK ((state = ANY (ARRAY['known'::text, 'forgotten'::text])))
);

CREATE TABLE rebuilds (
    rebuild_id bigint NOT NULL,
    begun_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    begun_by text NOT NULL,
    reason text NOT NULL,
    code bytea NOT NULL,
    state text NOT NULL,
    events bigint,
    ended_at timestamp with time zone,
    ended_by text,
    end_reason text,
    CONSTRAINT rebuilds_check CHECK (((state = 'running'::text) = (ended_at IS NULL))),
    CONSTRAINT rebuilds_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'abandoned'::text])))
);

ALTER TABLE rebuilds ALTER COLUMN rebuild_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rebuilds_rebuild_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE stream_versions (
    stream_id uuid NOT NULL,
    version integer NOT NULL,
    CONSTRAINT stream_versions_version_check CHECK ((version > 0))
);

ALTER TABLE ONLY account_holders
    ADD CONSTRAINT account_holders_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY audit_closed_witness
    ADD CONSTRAINT audit_closed_witness_pkey PRIMARY KEY (log_id, leaf_index);

ALTER TABLE ONLY audit_closings
    ADD CONSTRAINT audit_closings_pkey PRIMARY KEY (log_id);

ALTER TABLE ONLY audit_witness
    ADD CONSTRAINT audit_witness_pkey PRIMARY KEY (leaf_index);

ALTER TABLE ONLY audit_witness
    ADD CONSTRAINT audit_witness_position_key UNIQUE ("position");

ALTER TABLE ONLY balances
    ADD CONSTRAINT balances_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (cluster, topic_id, partition, consumer);

ALTER TABLE ONLY deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY deliveries
    ADD CONSTRAINT deliveries_stream_id_version_key UNIQUE (stream_id, version);

ALTER TABLE ONLY ledger_accounts
    ADD CONSTRAINT ledger_accounts_pkey PRIMARY KEY (name);

ALTER TABLE ONLY ledger_postings
    ADD CONSTRAINT ledger_postings_pkey PRIMARY KEY (posting_id);

ALTER TABLE ONLY lost_events
    ADD CONSTRAINT lost_events_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY parked_messages
    ADD CONSTRAINT parked_messages_consumer_topic_id_partition_offset_key UNIQUE (consumer, topic_id, partition, "offset");

ALTER TABLE ONLY parked_messages
    ADD CONSTRAINT parked_messages_pkey PRIMARY KEY (parked_id);

ALTER TABLE ONLY payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (payment_id);

ALTER TABLE ONLY persons
    ADD CONSTRAINT persons_pkey PRIMARY KEY (person_id);

ALTER TABLE ONLY rebuilds
    ADD CONSTRAINT rebuilds_pkey PRIMARY KEY (rebuild_id);

ALTER TABLE ONLY stream_versions
    ADD CONSTRAINT stream_versions_pkey PRIMARY KEY (stream_id);

CREATE INDEX account_holders_person ON account_holders USING btree (person_id);

CREATE INDEX deliveries_position ON deliveries USING btree ("position");

CREATE INDEX ledger_accounts_account ON ledger_accounts USING btree (account_id);

CREATE INDEX ledger_postings_account ON ledger_postings USING btree (account_id, version);

CREATE INDEX ledger_postings_card ON ledger_postings USING btree (payment_id, version) WHERE (book = 'card'::text);

CREATE INDEX ledger_postings_payment ON ledger_postings USING btree (payment_id) WHERE (payment_id IS NOT NULL);

CREATE INDEX parked_messages_held ON parked_messages USING btree (consumer, key, "offset") WHERE (state = ANY (ARRAY['parked'::text, 'queued'::text]));

CREATE INDEX payments_account ON payments USING btree (account_id, requested_at DESC, payment_id);

CREATE INDEX payments_change ON payments USING btree (changed_in, change);

CREATE INDEX payments_requested ON payments USING btree (requested_at DESC, payment_id);

CREATE UNIQUE INDEX rebuilds_running ON rebuilds USING btree (state) WHERE (state = 'running'::text);

ALTER TABLE ONLY audit_closed_witness
    ADD CONSTRAINT audit_closed_witness_log_id_fkey FOREIGN KEY (log_id) REFERENCES audit_closings(log_id);

GRANT SELECT,INSERT,UPDATE ON TABLE account_holders TO projections;
GRANT SELECT,INSERT,UPDATE ON TABLE account_holders TO operator;
GRANT SELECT ON TABLE account_holders TO queries;
GRANT SELECT ON TABLE account_holders TO auditor;

GRANT SELECT ON TABLE audit_closed_witness TO auditor;

GRANT SELECT ON TABLE audit_closings TO auditor;

GRANT SELECT,INSERT ON TABLE audit_witness TO audit;
GRANT SELECT ON TABLE audit_witness TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE balances TO projections;
GRANT SELECT ON TABLE balances TO queries;
GRANT SELECT ON TABLE balances TO auditor;
GRANT SELECT,INSERT,UPDATE ON TABLE balances TO operator;

GRANT SELECT,UPDATE ON TABLE checkpoints TO projections;
GRANT SELECT,INSERT,UPDATE ON TABLE checkpoints TO operator;
GRANT SELECT ON TABLE checkpoints TO queries;
GRANT SELECT ON TABLE checkpoints TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE deliveries TO projections;
GRANT SELECT ON TABLE deliveries TO queries;
GRANT SELECT ON TABLE deliveries TO auditor;
GRANT SELECT,INSERT,UPDATE ON TABLE deliveries TO operator;

GRANT SELECT,INSERT,UPDATE ON TABLE ledger_accounts TO projections;
GRANT SELECT ON TABLE ledger_accounts TO queries;
GRANT SELECT ON TABLE ledger_accounts TO auditor;
GRANT SELECT,INSERT,UPDATE ON TABLE ledger_accounts TO operator;

GRANT SELECT,INSERT ON TABLE ledger_postings TO projections;
GRANT SELECT ON TABLE ledger_postings TO queries;
GRANT SELECT ON TABLE ledger_postings TO auditor;
GRANT SELECT,INSERT ON TABLE ledger_postings TO operator;

GRANT SELECT ON TABLE lost_events TO projections;
GRANT SELECT ON TABLE lost_events TO operator;
GRANT SELECT ON TABLE lost_events TO queries;
GRANT SELECT ON TABLE lost_events TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE parked_messages TO projections;
GRANT SELECT,INSERT,UPDATE ON TABLE parked_messages TO operator;
GRANT SELECT ON TABLE parked_messages TO queries;
GRANT SELECT ON TABLE parked_messages TO auditor;

GRANT USAGE ON SEQUENCE payments_change_number TO projections;
GRANT USAGE ON SEQUENCE payments_change_number TO operator;

GRANT SELECT,INSERT,UPDATE ON TABLE payments TO projections;
GRANT SELECT ON TABLE payments TO queries;
GRANT SELECT ON TABLE payments TO auditor;
GRANT SELECT,INSERT,UPDATE ON TABLE payments TO operator;

GRANT SELECT,INSERT,UPDATE ON TABLE persons TO projections;
GRANT SELECT,INSERT,UPDATE ON TABLE persons TO operator;
GRANT SELECT ON TABLE persons TO queries;
GRANT SELECT ON TABLE persons TO auditor;

GRANT SELECT ON TABLE rebuilds TO queries;
GRANT SELECT ON TABLE rebuilds TO operator;
GRANT SELECT ON TABLE rebuilds TO auditor;

GRANT SELECT,INSERT,UPDATE ON TABLE stream_versions TO projections;
GRANT SELECT ON TABLE stream_versions TO queries;
GRANT SELECT ON TABLE stream_versions TO auditor;
GRANT SELECT,INSERT,UPDATE ON TABLE stream_versions TO operator;
