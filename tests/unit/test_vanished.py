"""Who sent a debit that is not ours, and when its nonce is used for good without it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from connectors.chain.listening import vanished
from connectors.chain.listening.vanished import Vanished
from connectors.chain.node.errors import RpcRefused
from streams.domain.chain import facts
from tests.given import CUSTOMER, block, transfer

ANA, TRANSFER = "0x" + "a" * 40, UUID(int=7)
SENT = {"hash": "0xTX", "from": ANA.upper().replace("X", "x"), "nonce": "0x1f"}


class Node:
    """What a node tells of a transaction, and how many each sender has sent up to a block."""

    def __init__(self, told: Any = None, sent: int | None = 0) -> None:
        self.told, self.sent = told, sent

    def batch(self, questions: list[tuple[str, list[Any]]]) -> list[Any]:
        assert all(each == ("eth_getTransactionByHash", ["0xtx"]) for each in questions)
        return [self.told for _ in questions]

    def final_nonce(self, address: str, at: int, nodes: int) -> int | None:
        assert (address, at, nodes) == (ANA, 40, 2)
        return self.sent


def debit(kind: str) -> facts.SeeTransfer:
    leg: dict[str, Any] = {"payment_id": None, "leg_id": None, "leg_kind": None}
    return facts.SeeTransfer(transfer(transfer_id=TRANSFER, kind=kind, tx_hash="0xtx", **leg))


@pytest.mark.parametrize("kind", ["withdrawal", "burn"])
def test_a_node_tells_who_sent_it_and_at_which_nonce(kind: str) -> None:
    node: Any = Node(SENT)
    assert vanished.carriers(node, [debit(kind)]) == {(TRANSFER, CUSTOMER): (ANA, 31)}


@pytest.mark.parametrize(
    "told",
    [None, {}, [], "0xTX", RpcRefused("eth_getTransactionByHash", -32000, "busy"), SENT | {"hash": "0xother"}, SENT | {"nonce": "x"},
     SENT | {"nonce": hex(2**64)}, SENT | {"from": None}],
)  # fmt: skip
def test_what_no_node_can_tell_is_left_as_it_is(told: Any) -> None:
    node: Any = Node(told)
    assert vanished.carriers(node, [debit("withdrawal")]) == {}


@pytest.mark.parametrize("kind", ["spend", "deposit", "refund", "settlement_out"])
def test_what_is_ours_and_what_comes_in_is_not_asked_about(kind: str) -> None:
    node: Any = Node(SENT)
    assert vanished.carriers(node, [debit(kind)]) == {}


@pytest.mark.parametrize(("sent", "gone"), [(31, False), (32, True), (90, True), (None, False)])
def test_it_can_never_come_again_once_its_nonce_is_used_up_to_the_final_block(sent: int | None, gone: bool) -> None:
    node: Any = Node(sent=sent)
    ended = vanished.used_up(node, [Vanished(CUSTOMER, TRANSFER, block(12), ANA, 31)], 40, 2)
    assert [each.transfer_id for each in ended] == ([TRANSFER] if gone else [])
