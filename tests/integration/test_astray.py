"""What is not believed: a node that lags, a counter that a stranger has overtaken, a signer that talks nonsense."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from eth_abi import encode
from eth_utils.crypto import keccak
from pydantic import SecretStr

from connectors.chain.listening.contradictions import outvoted
from connectors.chain.listening.quorum import Quorum
from connectors.chain.node.rpc import Rpc
from connectors.chain.sending.remote_signer import NotSigned, RemoteSigner
from infra.database import transaction
from infra.errors import Retry
from tests.contract.test_pool import nodes
from tests.contract.test_rpc import Answer, good, hurried, serving, told
from tests.integration.bad_rpc import spoiling
from tests.integration.customers import FINAL, Customer, Shore, shore
from tests.integration.little_river import EUR

BALANCES_SLOT = 2  # of the token (ERC20PresetMinterPauser)


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore(settlement_raw=1_000 * EUR) as made:
        yield made


@pytest.fixture(autouse=True)
def _as_it_was(at: Shore) -> Iterator[None]:
    rpc, keys = at.river.submitter.rpc, at.river.submitter.keys
    yield
    at.river.submitter.rpc, at.river.submitter.keys = rpc, keys
    at.river.submitter._resting.clear()
    at.river.chain.automine()
    at.settle()


def settled(at: Shore, customer: Customer) -> UUID:
    payment_id = at.approved(customer)
    at.settle()
    assert at.saga(payment_id)[0] == "settled"
    return payment_id


def refund(at: Shore, payment_id: UUID) -> None:
    """Reversed, the refund planned and ordered."""
    at.river.gateway.messages.reverse(payment_id, uuid4().hex, "test")
    while at.river.pump():
        pass


def states(at: Shore, payment_id: UUID) -> list[tuple[str, int]]:
    leg_id = at.state(payment_id).leg("refund").leg_id
    return list(at.rows("SELECT state, nonce FROM chain_transactions WHERE leg_id = %s ORDER BY signed_at", leg_id))


def test_a_refund_that_is_paid_is_not_told_unpaid_because_a_node_has_no_receipt_of_it(at: Shore) -> None:
    """Its nonce is used, and the node that is asked for receipts knows of none: it lags behind, the listener does not."""
    ana = at.customer(100)
    payment_id = settled(at, ana)
    refund(at, payment_id)
    at.river.submitter.step()
    with spoiling(at.river.chain.rpc_url, "no receipts", often=1.0) as lagging:
        at.river.submitter.rpc = Rpc([lagging.url])
        for _ in range(3):
            at.river.flow(FINAL)
    assert [state for state, _ in states(at, payment_id)] == ["broadcast"]
    assert at.saga(payment_id) == ("refunded", None)
    at.river.submitter.rpc = at.river.rpc
    at.must_be_right(ana)
    assert [state for state, _ in states(at, payment_id)] == ["final"]


def test_one_refund_is_lost_to_a_stranger_who_used_many_nonces_and_the_next_is_paid(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    lost, paid = settled(at, ana), settled(at, ana)
    key, address = chain.deployment.settlement_key, chain.deployment.settlement
    chain.wait_receipts([chain.send(key, address, value=1) for _ in range(5)])
    refund(at, lost)
    at.settle()
    assert at.saga(lost) == ("parked", "refund_ended_unpaid")
    refund(at, paid)
    at.settle()
    assert at.saga(paid) == ("refunded", None)
    ((_, first),), ((_, second),) = states(at, lost), states(at, paid)
    assert second - first == 5


NONSENSE: dict[str, Callable[[Any], Answer]] = {
    "no hex": good("0xzz"),
    "nothing": good(None),
    "a number": good(7),
    "another record": good({"tx": {}}),
    "too short": good("0x02"),
    "a list": lambda _: (200, {}, b"[]"),
    "neither result nor error": told(lambda q: {"id": q["id"]}),
    "an error that is text": told(lambda q: {"id": q["id"], "error": "locked"}),
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_a_signer_that_talks_nonsense_holds_up_its_own_alone(at: Shore, said: Callable[[Any], Answer]) -> None:
    with serving(said) as nonsense:
        ana = at.customer(100)
        refunded = settled(at, ana)
        there = RemoteSigner(at.river.deployment.relayer, SecretStr(nonsense.url))
        at.river.submitter.keys = replace(at.river.keyring, relayers=[there])
        waiting = at.river.authorize(uuid4().hex, ana.card, 1_000).payment_id
        refund(at, refunded)
        at.settle()
        assert at.saga(refunded) == ("refunded", None)
        with pytest.raises(NotSigned):
            RemoteSigner(at.river.deployment.delegate, SecretStr(nonsense.url)).sign_spend(
                100, "0x" + "11" * 20, b"", bytes(32)
            )
        at.river.submitter.keys = at.river.keyring
        at.river.submitter._resting.clear()
        at.must_be_right(ana)
        assert at.saga(waiting)[0] == "settled"


def test_a_spend_signed_with_a_v_of_nought_or_one_is_taken_by_the_contract(at: Shore) -> None:
    """Some signers count v from 0 (as in EIP-1559's y parity), contracts from 27."""
    ana, key = at.customer(100), at.river.keyring.delegate

    def signing(question: dict[str, Any]) -> dict[str, Any]:
        asked = question["params"][1]["message"]
        call, salt = (bytes.fromhex(asked[name][2:]) for name in ("data", "salt"))
        signature = key.sign_spend(100, at.river.settings.spender_module, call, salt)
        return {"id": question["id"], "result": "0x" + signature[:64].hex() + f"{signature[64] - 27:02x}"}

    with serving(told(signing)) as there:
        at.river.submitter.keys = replace(at.river.keyring, delegate=RemoteSigner(key.address, SecretStr(there.url)))
        settled(at, ana)
        at.must_be_right(ana)


def test_a_reorg_is_not_taken_for_a_broken_finality_because_a_node_has_no_blocks(at: Shore) -> None:
    """The node that told of the reorg failed; the next one that is asked lags behind even the final block."""
    chain, listener = at.river.chain, at.river.listener
    chain.stop_mining()
    chain.mine(2)
    at.river.flow()
    position, _ = listener._stand()
    chain.reorg(1)
    with spoiling(chain.rpc_url, "lagging head", often=1.0) as lagging:
        reorgs = replace(listener.reorgs, rpc=Rpc([lagging.url]))
        with pytest.raises(Retry, match="has no block"):
            reorgs.rewind(position, listener.directory)
    assert listener.reorgs.rewind(position, listener.directory)
    at.must_be_right()


# -- who is contradicted is counted, for whoever watches from outside


def test_a_node_that_is_outvoted_is_counted_on_w(at: Shore) -> None:
    with nodes("0xbb", "0xaa", "0xaa") as asked:
        rpc = hurried(*asked)
        quorum = Quorum(rpc, at.river.settings, at.river.as_role("write", "listener"))
        for _ in range(3):
            assert quorum.stands(7, "0xaa")
        liar = rpc.pool.endpoints[0]
    with transaction(at.river.as_role("write", "auditor")) as cursor:
        assert outvoted(cursor, 100) == {liar.name: liar.lies} and liar.lies > 0


def test_a_view_that_the_contracts_contradict_is_counted_on_w(at: Shore) -> None:
    """A transfer that no log told of: the token's balance is another than the books'."""
    ana, chain = at.customer(100), at.river.chain
    place = "0x" + keccak(encode(["address", "uint256"], [ana.account.safe, BALANCES_SLOT])).hex()
    chain.ask("anvil_setStorageAt", chain.deployment.token, place, "0x" + (90 * EUR).to_bytes(32, "big").hex())
    assert chain.balance(ana.account.safe) == 90 * EUR
    counted: list[tuple[object, ...]] = []
    for _ in range(20):
        at.river.listener.drift._not_before = 0.0
        at.river.flow(FINAL)
        counted = at.rows("SELECT subject, times > 0 FROM chain_contradictions WHERE kind = 'drift_observed'")
        if counted:
            break
    assert counted == [("balance", True)]
    assert "DriftObserved" in at.types(ana.account_id, "Drift")
    chain.ask("anvil_setStorageAt", chain.deployment.token, place, "0x" + (100 * EUR).to_bytes(32, "big").hex())
