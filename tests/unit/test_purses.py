"""A relayer that cannot pay the gas is given no spends, as long as another can, and until it is funded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from connectors.chain.node.values import Fees
from connectors.chain.sending import purses
from connectors.chain.sending.keystore import Keyring
from connectors.chain.sending.purses import LOOK_SECONDS, Purses

A, B, C = (f"0x{name * 40}" for name in "abc")
NEED = 600_000 * 3  # the gas of a spend, at twice a base fee of 1 and a tip of 1
DEAR = 10**12


class Node:
    """Tells balances, and counts how often it was asked."""

    def __init__(self, **wei: int) -> None:
        self.wei = {f"0x{name * 40}": each for name, each in wei.items()}
        self.asked = 0

    def native_balance(self, address: str) -> int:
        self.asked += 1
        return self.wei[address]

    def fees(self) -> Fees:
        return Fees(base_wei=1, tip_wei=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Whose `now` may be set."""
    made = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(purses, "monotonic", lambda: made.now)
    return made


def test_who_has_less_than_a_spend_needs_is_empty_and_is_told_so_once_until_it_is_funded(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    node: Any = Node(a=NEED, b=NEED - 1)
    looked = Purses()
    for _ in range(3):
        assert looked.empty(node, [A, B], DEAR) == {B}
        clock.now += LOOK_SECONDS
    assert capsys.readouterr().out.count("relayer_empty") == 1
    node.wei[B] = NEED
    assert looked.empty(node, [A, B], DEAR) == frozenset()
    assert capsys.readouterr().out.count("relayer_funded") == 1


def test_balances_are_asked_for_now_and_then_and_of_a_relayer_alone_never(clock: SimpleNamespace) -> None:
    node: Any = Node(a=0, b=NEED)
    looked = Purses()
    for _ in range(9):
        looked.empty(node, [A, B], DEAR)
    assert node.asked == 2
    silent: Any = Node()
    assert Purses().empty(silent, [A], DEAR) == frozenset()


def test_whom_a_node_refuses_is_empty_for_a_while_whatever_its_balance_says(clock: SimpleNamespace) -> None:
    node: Any = Node(a=NEED, b=NEED)
    looked = Purses()
    looked.refuse(A)
    assert looked.empty(node, [A, B], DEAR) == {A}
    clock.now += LOOK_SECONDS
    assert looked.empty(node, [A, B], DEAR) == frozenset()


def test_where_nobody_can_pay_each_keeps_its_share(clock: SimpleNamespace) -> None:
    node: Any = Node(a=0, b=0)
    assert Purses().empty(node, [A, B], DEAR) == frozenset()


def test_only_the_share_of_the_empty_one_moves_and_the_others_share_it() -> None:
    keys: Any = [SimpleNamespace(address=each) for each in (A, B, C)]
    ring = Keyring(keys[0], keys, keys[0])
    legs = [UUID(int=number) for number in range(60)]
    before, then = ({leg: ring.sender("spend", leg, empty).address for leg in legs} for empty in ((), {B}))
    assert all(then[leg] == before[leg] for leg in legs if before[leg] != B)
    assert {then[leg] for leg in legs if before[leg] == B} == {A, C}
