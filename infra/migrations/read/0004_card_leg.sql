-- The whole card leg: its amounts, every chain leg, and a second book of the ledger beside the wallets'.

ALTER TABLE payments
ADD COLUMN authorized_minor bigint NOT NULL DEFAULT 0,
ADD COLUMN open_minor bigint NOT NULL DEFAULT 0,
ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
ADD COLUMN credited_minor bigint NOT NULL DEFAULT 0,
ADD COLUMN due_raw numeric(78, 0) NOT NULL DEFAULT 0,         -- below zero where we owe
ADD COLUMN receivable_raw numeric(78, 0) NOT NULL DEFAULT 0,
ADD COLUMN written_off_raw numeric(78, 0) NOT NULL DEFAULT 0,
ADD COLUMN legs jsonb NOT NULL DEFAULT '{}',                  -- leg id -> kind, state, amount_raw (string), tx_hash
ADD COLUMN message text NOT NULL DEFAULT 'authorization',
ADD COLUMN transaction_type text NOT NULL DEFAULT 'purchase';

ALTER TABLE balances
ADD COLUMN card_limits jsonb NOT NULL DEFAULT '{}',
ADD COLUMN blocks jsonb NOT NULL DEFAULT '{"mccs": [], "countries": []}';

ALTER TABLE ledger_postings ADD COLUMN book text NOT NULL DEFAULT 'wallet' CHECK (book IN ('wallet', 'card'));
CREATE INDEX ledger_postings_card ON ledger_postings (payment_id, version) WHERE book = 'card';

ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_side_check;
ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_accounts_side_check CHECK (side IN ('asset', 'liability', 'expense'));
