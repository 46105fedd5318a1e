"""The submitter on a real chain: whatever happens to its transactions, a spend moves once, a refund is paid once, and nothing waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner, Result

from api.cli import payment as cli
from api.roots.root import Root
from connectors.chain.sending import transactions as rows
from connectors.chain.sending.signing import SignedTransaction, TransactionOrder
from connectors.gateway.gateway import Gateway
from infra.database import transaction
from infra.errors import Conflict
from tests.integration.customers import FINAL, Shore, shore
from tests.integration.little_river import EUR

INTENT = """
INSERT INTO chain_intents (leg_id, payment_id, account_id, chain_id, kind, amount_raw, target, call_data, signer, state)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), %s, 'refund', 1, '0x', '', '0x', 'planned' FROM generate_series(1, %s)
"""
ON_CHAIN = "SELECT state, nonce, tx_hash FROM chain_transactions WHERE leg_id = %s ORDER BY signed_at"


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore(settlement_raw=1_000 * EUR) as made:
        yield made


@pytest.fixture(autouse=True)
def _mining_goes_on(at: Shore) -> Iterator[None]:
    yield
    at.river.chain.automine()
    at.settle()


def leg(at: Shore, payment_id: UUID, kind: str = "spend") -> Any:
    return at.state(payment_id).leg(kind)


def sent(at: Shore, payment_id: UUID, kind: str = "spend") -> list[tuple[str, int, str]]:
    found: Any = at.rows(ON_CHAIN, leg(at, payment_id, kind).leg_id)
    return list(found)


def impatient(at: Shore) -> None:
    """What was broadcast, or failed, was so long ago."""
    at.rows(
        "UPDATE chain_transactions SET broadcast_at = broadcast_at - interval '1 hour', marked_at = marked_at - interval '2 hours'"
    )


# -- once


def test_submitters_that_race_for_refunds_sign_each_of_them_once(at: Shore) -> None:
    """Between one's look and its lock another may have signed and gone: two nonces would pay twice."""
    chain_id = int(uuid4()) % 10**9 + 1_000
    at.rows(INTENT, chain_id, 1_500)
    nonces, start = iter(range(10**6)), threading.Barrier(4)

    def submitter(_: int) -> None:
        start.wait(10)
        while True:
            with transaction(at.river.as_role("write", "submitter")) as cursor:
                claimed = rows.claim_intents(cursor, chain_id, ["0x"], 7, 5)
                for each in claimed:
                    order = TransactionOrder(chain_id, next(nonces), "0x", b"", 1, 1, 1)
                    rows.store(cursor, each.leg_id, SignedTransaction(f"0x{uuid4().hex}", "0xs", order, b""))
            if not claimed:
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(submitter, range(4)))
    count = "SELECT count(*), count(DISTINCT leg_id) FROM chain_transactions WHERE chain_id = %s"
    try:
        assert at.rows(count, chain_id) == [(1_500, 1_500)]
    finally:
        at.rows("DELETE FROM chain_transactions WHERE chain_id = %s", chain_id)
        at.rows("DELETE FROM chain_intents WHERE chain_id = %s", chain_id)


def test_a_spend_and_its_refund_go_out_and_become_final(at: Shore) -> None:
    ana = at.customer(100)
    payment_id = at.approved(ana)
    at.settle()
    assert at.saga(payment_id) == ("settled", None)
    at.river.gateway.messages.reverse(payment_id, "r1", "test")
    at.settle()
    assert at.saga(payment_id) == ("refunded", None)
    assert [state for state, *_ in (*sent(at, payment_id), *sent(at, payment_id, "refund"))] == ["final", "final"]
    at.must_be_right(ana)


def test_a_mined_refund_that_a_reorg_takes_back_is_sent_again_as_it_was(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    payment_id = at.approved(ana)
    at.settle()
    at.river.gateway.messages.reverse(payment_id, "r1", "test")
    chain.stop_mining()
    at.river.flow()
    at.river.flow(1)
    assert leg(at, payment_id, "refund").state == "seen"
    chain.reorg(1)
    at.river.flow()
    assert leg(at, payment_id, "refund").state in ("unseen", "submitted")
    at.river.flow(1)
    chain.automine()
    at.must_be_right(ana)
    assert at.saga(payment_id) == ("refunded", None)
    assert len(sent(at, payment_id, "refund")) == 1


def test_a_refund_sent_again_with_a_higher_fee_is_the_same_refund_after_a_reorg(at: Shore) -> None:
    """Two transactions at one nonce: the first is mined and dropped, the second is mined. One debit of settlement, one credit."""
    ana, chain = at.customer(100), at.river.chain
    payment_id = at.approved(ana)
    at.settle()
    at.river.gateway.messages.reverse(payment_id, "r1", "test")
    chain.stop_mining()
    at.river.flow()
    at.river.flow(1)
    ((_, nonce, first),) = sent(at, payment_id, "refund")
    chain.reorg(1)
    submitter = at.river.submitter
    with transaction(submitter.database) as cursor:
        (known,) = rows.at_nonce(cursor, 100, chain.deployment.settlement, nonce)
        submitter._replace(cursor, known)
    at.river.flow()
    at.river.flow(1)
    chain.automine()
    at.must_be_right(ana)
    assert at.saga(payment_id) == ("refunded", None)
    assert leg(at, payment_id, "refund").tx_hash != first
    assert at.types(ana.account_id).count("TransferFinalized") == 2


# -- what cannot be mined any more


def test_a_spend_whose_nonce_a_stranger_used_goes_out_with_another(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    payment_id = at.approved(ana)
    at.river.pump()
    assert at.river.submitter._sign() == 1
    chain.wait_receipts([chain.send(chain.deployment.relayer_key, chain.deployment.relayer, value=1)])
    for _ in range(4):
        at.river.flow(FINAL)
        impatient(at)
    assert at.saga(payment_id)[0] == "settled"
    assert [state for state, *_ in sent(at, payment_id)] == ["lost", "final"]
    at.settle()
    assert at.state(ana.account_id).final_raw == chain.balance(ana.account.safe) == 90 * EUR


def refund_again(at: Shore, payment_id: UUID) -> Result:
    """As a person says it."""
    doors = {name: at.river.as_role(name, "operator") for name in ("write", "read")}
    root = SimpleNamespace(**doors, gateway=Gateway(doors["write"], at.river.codec, at.river.policy, 20_000))
    words = ["refund-again", str(payment_id), "--reason", "the key was used elsewhere", "--by", "ada"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Root, "begin", lambda component, home=None: root)
        return CliRunner().invoke(cli.payment, words)


def test_a_refund_whose_nonce_a_stranger_used_ends_unpaid_and_is_paid_once_when_a_person_says_so(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    payment_id = at.approved(ana)
    at.settle()
    at.river.gateway.messages.reverse(payment_id, "r1", "test")
    while at.river.pump():  # reversed, the refund planned, ordered
        pass
    assert at.river.submitter._sign() == 1
    chain.wait_receipts([chain.send(chain.deployment.settlement_key, chain.deployment.settlement, value=1)])
    for _ in range(3):
        at.river.flow(FINAL)
    assert at.saga(payment_id) == ("parked", "refund_ended_unpaid")
    assert leg(at, payment_id, "refund").state == "ended_unpaid"
    assert [state for state, *_ in sent(at, payment_id, "refund")] == ["lost"]
    assert at.rows("SELECT state FROM chain_intents WHERE leg_id = %s", leg(at, payment_id, "refund").leg_id) == [
        ("ended_unpaid",)
    ]
    assert refund_again(at, payment_id).exit_code == 0
    refused = refund_again(at, payment_id)
    assert isinstance(refused.exception, Conflict) and "another refund of it is on its way" in str(refused.exception)
    at.settle()
    assert at.saga(payment_id) == ("refunded", None)
    assert "nothing of it is owed back" in str(refund_again(at, payment_id).exception)
    at.must_be_right(ana)
    assert chain.balance(ana.account.safe) == 100 * EUR
    planned = (
        "SELECT payload ->> 'reason', metadata ->> 'actor' FROM events WHERE stream_id = %s AND type = 'LegPlanned'"
    )
    assert at.rows(planned + " ORDER BY position", payment_id)[-1] == ("the key was used elsewhere", "operator ada")


def test_a_spend_that_failed_is_carried_by_another_transaction_later_and_ever_more_slowly(at: Shore) -> None:
    """Its money was gone for a while: the hold stands, and the spend passes once the money is back."""
    ana, chain = at.customer(100), at.river.chain
    payment_id = at.approved(ana)
    at.river.pump()
    chain.ask("anvil_impersonateAccount", ana.account.safe)
    chain.ask("anvil_setBalance", ana.account.safe, hex(10**18))
    taken = chain.call("transfer(address,uint256)", chain.deployment.settlement, 100 * EUR)
    token, data = chain.deployment.token, "0x" + taken.hex()
    chain.ask("eth_sendTransaction", {"from": ana.account.safe, "to": token, "data": data})
    at.river.flow(FINAL)
    at.river.flow(FINAL)
    (first,) = sent(at, payment_id)
    assert first[0] == "reverted_final" and leg(at, payment_id).state == "submitted"
    assert at.state(ana.account_id).held_raw == 10 * EUR
    at.rows("UPDATE chain_transactions SET marked_at = now() - interval '6 seconds' WHERE tx_hash = %s", first[2])
    at.river.flow(FINAL)
    assert len(sent(at, payment_id)) == 2
    at.rows("UPDATE chain_transactions SET marked_at = now() - interval '6 seconds'")
    at.river.flow(FINAL)
    assert len(sent(at, payment_id)) == 2, "the third waits for ten seconds"
    chain.wait_receipts([chain.mint(ana.account.safe, 50 * EUR)])
    impatient(at)
    at.settle()
    assert at.saga(payment_id)[0] == "settled"
    assert at.state(ana.account_id).final_raw == chain.balance(ana.account.safe) == 40 * EUR


# -- the node refuses, or asks for more


def test_a_sender_without_gas_holds_up_nobody_else(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    refunded = at.approved(ana)
    at.settle()
    chain.ask("anvil_setBalance", chain.deployment.relayer, "0x0")
    waiting = at.approved(ana)
    at.river.gateway.messages.reverse(refunded, "r1", "test")
    at.settle()
    assert at.saga(refunded) == ("refunded", None)
    assert leg(at, waiting).state == "planned"
    chain.ask("anvil_setBalance", chain.deployment.relayer, hex(10**21))
    at.must_be_right(ana)
    assert at.saga(waiting)[0] == "settled"


def test_a_transaction_that_waits_for_a_fee_that_has_gone_is_sent_with_more(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    chain.stop_mining()
    payment_id = at.approved(ana)
    at.river.flow()
    ((state, nonce, first),) = sent(at, payment_id)
    assert state == "broadcast"
    chain.ask("anvil_setNextBlockBaseFeePerGas", hex(500 * 10**9))
    chain.mine()
    at.river.flow()
    impatient(at)
    at.river.flow()
    assert [(s, n) for s, n, _ in sent(at, payment_id)] == [("replaced", nonce), ("broadcast", nonce)]
    chain.automine()
    at.must_be_right(ana)
    assert at.saga(payment_id)[0] == "settled" and leg(at, payment_id).tx_hash != first


def test_transactions_that_wait_do_not_keep_others_from_being_looked_at(
    at: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for four, eight that are never mined take turns with one that failed."""
    monkeypatch.setattr("connectors.chain.sending.submitter.BATCH", 1)
    ana, chain = at.customer(100), at.river.chain
    chain.stop_mining()
    payments = [at.approved(ana, 100) for _ in range(9)]
    for _ in range(30):
        at.river.flow()
    assert all(leg(at, each).state == "submitted" for each in payments)
    looked: set[str] = set()
    for _ in range(4):
        with transaction(at.river.submitter.database) as cursor:
            looked |= {each.tx_hash for each in rows.to_watch(cursor, 100, 0, 4)}
    assert len(looked) == 9
    chain.automine()
    monkeypatch.undo()
    at.must_be_right(ana)
