"""What it comes to: balances, holds, the ledger, payments, sagas, the chain."""
