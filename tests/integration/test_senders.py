"""Whose transactions go out first: a sender whose transactions the node refuses, however many, holds up nobody else's. On a real W."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from connectors.chain.sending import transactions as rows
from connectors.chain.sending.signing import SignedTransaction, TransactionOrder
from connectors.chain.sending.transactions import Sent
from infra.database import transaction
from tests.integration.conftest import Databases
from tests.integration.write_side import WriteSide

INTENT = """
INSERT INTO chain_intents (leg_id, payment_id, account_id, chain_id, kind, amount_raw, target, call_data, signer, state)
VALUES (%s, gen_random_uuid(), gen_random_uuid(), %s, 'spend', 1, '0x', '', '0x', 'planned')
"""
MOST, PATIENCE = 50, 15
STUCK, WELL = "0xAAAA", "0xBBBB"


@pytest.fixture(scope="module")
def side(databases: Databases) -> WriteSide:
    return WriteSide(databases)


@pytest.fixture
def chain_id(side: WriteSide) -> Iterator[int]:
    """A chain of its own, on which one sender has far more to send than one look takes, and another has three."""
    made = int(uuid4()) % 10**9 + 1_000
    with transaction(side.door("owner")) as cursor:
        for sender, count in ((STUCK, 3 * MOST), (WELL, 3)):
            for nonce in range(count):
                leg_id = uuid4()
                cursor.execute(INTENT, (leg_id, made))
                order = TransactionOrder(made, nonce, "0x", b"", 1, 1, 1)
                rows.store(cursor, leg_id, SignedTransaction(f"0x{uuid4().hex}", sender, order, b""))
    yield made
    with transaction(side.door("owner")) as cursor:
        for table in ("chain_transactions", "chain_intents"):
            cursor.execute(f"DELETE FROM {table} WHERE chain_id = %s", (made,))


def nonces(waiting: list[Sent], sender: str) -> list[int]:
    return [each.nonce for each in waiting if each.sender == sender]


def test_a_sender_with_much_to_send_leaves_room_for_the_others(side: WriteSide, chain_id: int) -> None:
    with transaction(side.door("submitter")) as cursor:
        waiting = rows.to_broadcast(cursor, chain_id, MOST, PATIENCE)
    assert len(waiting) == MOST
    assert nonces(waiting, WELL) == [0, 1, 2]
    assert nonces(waiting, STUCK) == list(range(MOST - 3)), "each sender's own go out in the order of their nonces"


def test_two_submitters_share_what_waits(side: WriteSide, chain_id: int) -> None:
    with transaction(side.door("submitter")) as one, transaction(side.door("submitter")) as other:
        first, second = (rows.to_broadcast(each, chain_id, MOST, PATIENCE) for each in (one, other))
    assert not {each.tx_hash for each in first} & {each.tx_hash for each in second}
    assert nonces(second, STUCK) == list(range(MOST - 3, 2 * MOST - 3))
