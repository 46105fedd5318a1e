"""A node that takes its time: what it has taken is marked as sent, however much still waits behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from connectors.chain.sending import submitter as sending
from connectors.chain.sending.signing import SignedTransaction, TransactionOrder
from connectors.chain.sending.submitter import Submitter
from connectors.chain.sending.transactions import store
from infra.database import engine, transaction
from infra.stack import access
from tests.integration.conftest import Databases
from tests.integration.write_side import WriteSide
from tests.slow_node import SlowNode

COUNT = 8
INTENTS = """
WITH spend AS (
    INSERT INTO chain_intents (leg_id, payment_id, account_id, chain_id, kind, amount_raw, target, call_data, signer, state)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), %(chain)s, 'spend', 1, '0x', '', '0x', 'submitted') RETURNING *
)
INSERT INTO chain_intents (leg_id, payment_id, account_id, chain_id, kind, amount_raw, target, call_data, signer, state, invalidates)
SELECT %(leg)s, payment_id, account_id, chain_id, 'invalidation', 0, '0x', '', '0x', 'planned', leg_id FROM spend
"""
STATES = "SELECT state, count(*) FROM chain_transactions WHERE chain_id = %s GROUP BY state"


@pytest.fixture
def chain_id(databases: Databases) -> Iterator[int]:
    """A chain with some transactions that are signed."""
    made = uuid4().int % 10**9 + 1_000
    with transaction(databases.as_role("write", "owner")) as cursor:
        for nonce in range(COUNT):
            leg_id = uuid4()
            cursor.execute(INTENTS, {"leg": leg_id, "chain": made})
            order = TransactionOrder(made, nonce, "0x", b"", 1, 1, 1)
            store(cursor, leg_id, SignedTransaction(f"0x{uuid4().hex}", "0xs", order, bytes([nonce])))
    yield made
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute("DELETE FROM chain_transactions WHERE chain_id = %s", (made,))
        cursor.execute("DELETE FROM chain_intents WHERE chain_id = %s", (made,))


def test_behind_a_slow_node_what_went_out_is_marked_before_w_ends_the_transaction(
    databases: Databases, chain_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once would take longer than W lets a transaction rest: nothing would ever be marked, and what is behind never go out."""
    monkeypatch.setattr(sending, "SENDING_SECONDS", 0.5)
    url = access.database_url(databases.stack.home, "write", "submitter")
    node: Any = SlowNode(0.2)
    chain: Any = type("Chain", (), {"chain_id": chain_id})
    keys: Any = None
    submitter = Submitter(engine(url, frozen_seconds=1), node, chain, WriteSide(databases).handler(), keys)
    for _ in range(4):
        submitter._broadcast()
    with transaction(databases.as_role("write", "owner")) as cursor:
        cursor.execute(STATES, (chain_id,))
        assert cursor.fetchall() == [("broadcast", COUNT)]
    assert node.got == [bytes([nonce]) for nonce in range(COUNT)], "each once"
