"""Which payment is meant: by its id or the beginning of it, the network's reference, its caller's name and key, or a transaction that carried it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from infra.database import Cursor
from infra.errors import BadInput, NotFound
from streams.domain import ids

BETWEEN = """
SELECT stream_id FROM streams WHERE category = 'payment' AND stream_id BETWEEN %s AND %s ORDER BY stream_id LIMIT 11
"""
BY_REFERENCE = "SELECT payment_id FROM payments WHERE network_reference = %s ORDER BY requested_at LIMIT 11"
BY_TRANSACTION = """
SELECT payment_id FROM chain_intents INNER JOIN chain_transactions USING (leg_id) WHERE tx_hash = %(tx)s
UNION SELECT (detail ->> 'payment_id')::uuid FROM chain_sightings WHERE tx_hash = %(tx)s AND detail ->> 'payment_id' IS NOT NULL
"""
SHOWN_BY_TRANSACTION = "SELECT payment_id FROM payments WHERE spend_tx_hash = %s OR refund_tx_hash = %s"
LEAST_DIGITS = 8
ROLES = ("network", "admin", "demo")
"""Names of callers that may ask for payments, where one of a role needs no name beside it (api/door/security.py)."""


def find(write: Cursor, read: Cursor, wanted: str) -> tuple[UUID, str]:
    """The payment's id, and what it was found by. Raises NotFound for none, BadInput for several or too few digits."""
    text = wanted.strip()
    if re.fullmatch(r"0x[0-9a-fA-F]{64}", text):
        return _only(_by_transaction(write, read, text.lower()), wanted), "transaction"
    digits = text.replace("-", "").lower()
    found = _by_id(write, digits) if re.fullmatch(r"[0-9a-f]{8,32}", digits) else []
    if found:
        return _only(found, wanted), "payment id"
    read.execute(BY_REFERENCE, (text,))
    found = [row[0] for row in read.fetchall()]
    if found:
        return _only(found, wanted), "network reference"
    found = [each for name in _by_key(text) for each in _by_id(write, name.hex)]
    if not found and re.fullmatch(r"[0-9a-f]{1,7}", digits):
        raise BadInput(f"{wanted!r} is too short: give at least {LEAST_DIGITS} digits of a payment's id")
    return _only(found, wanted), "the network's idempotency key"


def _by_key(text: str) -> list[UUID]:
    """What it may lead to: as NAME:KEY, or as the key of a caller without more than a role for a name."""
    caller, _, key = text.partition(":")
    return [ids.network_payment_id(key, caller), *(ids.network_payment_id(text, role) for role in ROLES)]


def _by_id(write: Cursor, digits: str) -> list[UUID]:
    write.execute(BETWEEN, (UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))
    return [row[0] for row in write.fetchall()]


def _by_transaction(write: Cursor, read: Cursor, tx_hash: str) -> list[UUID]:
    write.execute(BY_TRANSACTION, {"tx": tx_hash})
    found = {row[0] for row in write.fetchall()}
    read.execute(SHOWN_BY_TRANSACTION, (tx_hash, tx_hash))
    return sorted(found | {row[0] for row in read.fetchall()})


def _only(found: Sequence[UUID], wanted: str) -> UUID:
    if not found:
        raise NotFound(
            f"no payment is known by {wanted!r}; give its id (at least {LEAST_DIGITS} digits), the network's reference,"
            " the caller's name and its key as NAME:KEY,"
            " or the hash of a transaction that carried it"
        )
    if len(found) > 1:
        raise BadInput(f"{wanted!r} means {len(found)} payments: {', '.join(map(str, found[:10]))}; give one of these")
    return found[0]
