-- The submitter asks of each open intent which transactions carry it.

CREATE INDEX chain_transactions_leg ON chain_transactions (leg_id);
