"""The wallets under watch, by SQL: which are new, how far their past is filled in, and whose queue is not empty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from connectors.chain.accounts.directory import Wallet
from infra.database import Cursor

WALLET_COLUMNS = "account_id, kind, wallet, token, roles_module, delay_module, greatest(opening_block, filled_block)"
WALLETS = f"SELECT {WALLET_COLUMNS} FROM chain_wallets WHERE chain_id = %s AND state = %s ORDER BY account_id"
FOLLOWED = "UPDATE chain_wallets SET state = 'followed' WHERE account_id = ANY(%s::uuid[])"
FILLED = "UPDATE chain_wallets SET filled_block = %s WHERE account_id = ANY(%s::uuid[])"
QUEUED = "UPDATE chain_wallets SET queued_block = %s WHERE account_id = ANY(%s::uuid[])"
EMPTIED = "UPDATE chain_wallets SET queued_block = NULL WHERE account_id = ANY(%s::uuid[])"
QUEUES = "SELECT account_id FROM chain_wallets WHERE chain_id = %s AND queued_block <= %s"


def wallets(cursor: Cursor, chain_id: int, state: str) -> list[Wallet]:
    """Wallets under watch: `followed`, or `new` ones whose past is still to be read."""
    cursor.execute(WALLETS, (chain_id, state))
    return [_wallet(row) for row in cursor.fetchall()]


def follow(cursor: Cursor, account_ids: Sequence[UUID]) -> None:
    """These wallets' pasts are stored: from now on they are followed with the others."""
    cursor.postpone(FOLLOWED, (list(account_ids),))


def filled(cursor: Cursor, account_ids: Sequence[UUID], number: int) -> None:
    """These new wallets' pasts are stored up to a block."""
    cursor.postpone(FILLED, (number, list(account_ids)))


def queued(cursor: Cursor, block_number: int, account_ids: Sequence[UUID]) -> None:
    """Something entered these accounts' Delay queues."""
    if account_ids:
        cursor.postpone(QUEUED, (block_number, list(account_ids)))


def emptied(cursor: Cursor, account_ids: Sequence[UUID]) -> None:
    """These accounts' Delay queues are empty at a final block."""
    if account_ids:
        cursor.postpone(EMPTIED, (list(account_ids),))


def queues(cursor: Cursor, chain_id: int, final: int) -> list[UUID]:
    """Accounts whose queue was filled at or before a final block and may be empty by now."""
    cursor.execute(QUEUES, (chain_id, final))
    return [row[0] for row in cursor.fetchall()]


def _wallet(row: Sequence[Any]) -> Wallet:
    account_id, kind, *addresses, opening_block = row
    wallet, token, roles_module, delay_module = (_lower(each) for each in addresses)
    return Wallet(account_id, kind, wallet or "", token or "", roles_module, delay_module, opening_block)


def _lower(value: str | None) -> str | None:
    return value.lower() if value else None
