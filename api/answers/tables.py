"""The read models on R as SQLAlchemy sees them: the columns that queries use, no more. infra/migrations/read makes the tables."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

READ = MetaData()
RAW = Numeric(78, 0)
TIME = DateTime(timezone=True)

payments = Table(
    "payments",
    READ,
    Column("payment_id", Uuid, primary_key=True),
    Column("account_id", Uuid),
    Column("origin", Text),
    Column("state", Text),
    Column("spend_state", Text),
    Column("refund_state", Text),
    Column("outcome", Text),
    Column("amount_minor", BigInteger),
    Column("currency", Text),
    Column("amount_raw", RAW),
    Column("decimals", Integer),
    Column("captured_minor", BigInteger),
    Column("authorized_minor", BigInteger),
    Column("open_minor", BigInteger),
    Column("refunded_minor", BigInteger),
    Column("credited_minor", BigInteger),
    Column("due_raw", RAW),
    Column("receivable_raw", RAW),
    Column("message", Text),
    Column("transaction_type", Text),
    Column("reason", Text),
    Column("response_code", Text),
    Column("authorization_code", Text),
    Column("card_token", Text),
    Column("merchant_name", Text),
    Column("merchant_country", Text),
    Column("mcc", Text),
    Column("network_reference", Text),
    Column("spend_tx_hash", Text),
    Column("refund_tx_hash", Text),
    Column("block_number", BigInteger),
    Column("version", Integer),
    Column("requested_at", TIME),
    Column("changed_at", TIME),
)

deliveries = Table(
    "deliveries",
    READ,
    Column("event_id", Uuid, primary_key=True),
    Column("stream_id", Uuid),
    Column("version", Integer),
    Column("type", Text),
    Column("position", BigInteger),
    Column("payload", JSONB),
    Column("headers", JSONB),
    Column("topic", Text),
    Column("partition", Integer),
    Column("offset", BigInteger),
    Column("recorded_at", TIME),
    Column("delivered_at", TIME),
)

balances = Table(
    "balances",
    READ,
    Column("account_id", Uuid, primary_key=True),
    Column("kind", Text),
    Column("wallet", Text),
    Column("token", Text),
    Column("currency", Text),
    Column("decimals", Integer),
    Column("card_token", Text),
    Column("card_state", Text),
    Column("integrity", Text),
    Column("queue_empty", Boolean),
    Column("final_raw", RAW),
    Column("pending_in_raw", RAW),
    Column("pending_out_raw", RAW),
    Column("unseen_spend_raw", RAW),
    Column("held_raw", RAW),
    Column("allowance", JSONB),
    Column("pending_allowances", JSONB),
    Column("card_limits", JSONB),
    Column("blocks", JSONB),
    Column("block_number", BigInteger),
    Column("version", Integer),
    Column("changed_at", TIME),
)

postings = Table(
    "ledger_postings",
    READ,
    Column("posting_id", Uuid, primary_key=True),
    Column("account_id", Uuid),
    Column("phase", Text),
    Column("debit", Text),
    Column("credit", Text),
    Column("amount_raw", RAW),
    Column("kind", Text),
    Column("payment_id", Uuid),
    Column("tx_hash", Text),
    Column("version", Integer),
    Column("booked_at", TIME),
    Column("book", Text),
)

account_holders = Table(
    "account_holders",
    READ,
    Column("account_id", Uuid, primary_key=True),
    Column("person_id", Uuid),
)
