"""A spend that is given up, on a real chain: taken back by its signer, ended when that is final; whatever comes between, money moves once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from infra.database import transaction
from schemas.messages.payment_commands import GiveUpSpend
from streams.domain import ids
from streams.event_store.recorded import Cause
from streams.orders import Order
from tests.integration.customers import Customer, Shore, shore
from tests.integration.little_river import EUR

STATES = "SELECT kind, state FROM chain_intents WHERE payment_id = %s ORDER BY planned_at, kind"
SENT = "SELECT tx_hash, signed FROM chain_transactions WHERE leg_id = %s ORDER BY signed_at"


@pytest.fixture(scope="module")
def at() -> Iterator[Shore]:
    with shore(settlement_raw=1_000 * EUR) as made:
        yield made


@pytest.fixture(autouse=True)
def _mining_goes_on(at: Shore) -> Iterator[None]:
    yield
    at.river.chain.ask("anvil_setBalance", at.river.deployment.relayer, hex(10**21))
    at.river.chain.automine()
    at.settle()


def unsent(at: Shore, customer: Customer) -> UUID:
    """Approved; the relayer has no gas, so that its spend does not leave."""
    at.river.chain.ask("anvil_setBalance", at.river.deployment.relayer, "0x0")
    payment_id = at.approved(customer)
    at.river.flow()
    return payment_id


def give_up(at: Shore, payment_id: UUID) -> None:
    """As `payriver payment give-up` does it."""
    order = GiveUpSpend(payment_id=payment_id, reason="the relayer is broken")
    with transaction(at.river.as_role("write", "operator")) as cursor:
        cause = Cause(uuid4(), payment_id, "", "operator test")
        (outcome,) = at.river._handler().handle(cursor, [Order(uuid4(), order, cause)])
    assert outcome.events
    while at.river.pump():
        pass


def patience_ends(at: Shore, payment_id: UUID) -> None:
    """The saga has waited long enough."""
    at.rows(
        "UPDATE saga_timeouts SET due_at = now() WHERE saga_id = %s AND name = 'patience' AND state = 'waiting'",
        payment_id,
    )
    with transaction(at.river.as_role("write", "sagas")) as cursor:
        assert at.river.sagas.fire(cursor) >= 1
    while at.river.pump():
        pass


def spend(at: Shore, payment_id: UUID) -> Any:
    return at.state(payment_id).leg("spend")


def states(at: Shore, payment_id: UUID) -> list[tuple[Any, ...]]:
    return at.rows(STATES, payment_id)


def is_consumed(at: Shore, payment_id: UUID) -> bool:
    ((consumed,),) = at.rows("SELECT consumed_hash FROM chain_intents WHERE leg_id = %s", spend(at, payment_id).leg_id)
    at_chain = at.river.deployment
    return bool(
        at.river.chain.read(at_chain.spender_module, "consumed(address,bytes32)", "bool", at_chain.delegate, consumed)
    )


def test_an_approved_spend_that_a_person_gives_up_ends_when_its_invalidation_is_final_and_not_before(at: Shore) -> None:
    ana = at.customer(100)
    payment_id = unsent(at, ana)
    assert at.state(ana.account_id).held_raw == 10 * EUR
    give_up(at, payment_id)
    at.river.flow()
    ((taken_back, _),) = at.rows(SENT, ids.invalidation_id(spend(at, payment_id).leg_id))
    at.river.chain.wait_receipts([taken_back])
    at.river.flow()
    assert is_consumed(at, payment_id), "mined, not final"
    assert (spend(at, payment_id).state, at.state(ana.account_id).held_raw) == ("planned", 10 * EUR)
    at.settle()
    assert spend(at, payment_id).state == "ended_unpaid"
    assert at.saga(payment_id) == ("parked", "approved_but_unpaid")
    assert at.types(payment_id, "Leg") == ["LegPlanned", "LegGivenUp", "LegEndedUnpaid"]
    assert states(at, payment_id) == [("spend", "ended_unpaid"), ("invalidation", "final")]
    at.must_be_right(ana)
    assert at.state(ana.account_id).free_funds_raw() == 100 * EUR


def test_what_was_signed_before_fails_on_chain_when_it_leaves_at_last(at: Shore) -> None:
    """The relayer's nonces are kept in order: what is taken back goes out, and the contract refuses it."""
    ana = at.customer(100)
    payment_id = unsent(at, ana)
    give_up(at, payment_id)
    at.settle()
    at.river.chain.ask("anvil_setBalance", at.river.deployment.relayer, hex(10**21))
    later = at.approved(ana)
    at.settle()
    assert at.saga(later) == ("settled", None)
    ((old,),) = at.rows("SELECT state FROM chain_transactions WHERE leg_id = %s", spend(at, payment_id).leg_id)
    assert old == "reverted_final"
    at.must_be_right(ana)
    assert at.river.chain.balance(ana.account.safe) == 90 * EUR


def test_a_reversed_spend_that_is_not_mined_in_time_is_taken_back_by_itself(at: Shore) -> None:
    ana = at.customer(100)
    payment_id = unsent(at, ana)
    at.river.gateway.messages.reverse(payment_id, "r1", "test")
    at.settle()
    assert at.saga(payment_id) == ("refund_due", None)
    patience_ends(at, payment_id)
    at.settle()
    assert at.saga(payment_id) == ("unmoved", None)
    at.must_be_right(ana)
    assert at.state(ana.account_id).spendable_raw(at.state(ana.account_id).allowances.final.timestamp) == 100 * EUR


def test_a_spend_that_a_reorg_dropped_and_that_is_taken_back_gives_its_debit_back(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    chain.stop_mining()
    payment_id = at.approved(ana)
    at.river.flow()
    at.river.flow(1)
    assert spend(at, payment_id).state == "seen"
    chain.ask("anvil_setBalance", at.river.deployment.relayer, "0x0")
    chain.reorg(1)
    chain.ask("anvil_setBalance", at.river.deployment.relayer, "0x0")
    at.river.flow()
    assert (spend(at, payment_id).state, at.state(ana.account_id).debits_raw) == ("unseen", 10 * EUR)
    give_up(at, payment_id)
    at.river.flow()
    at.river.flow(1)
    chain.automine()
    at.settle()
    assert at.types(ana.account_id) == ["TransferSeen", "TransferUnseen", "TransferEnded"]
    assert (at.state(ana.account_id).debits_raw, spend(at, payment_id).state) == (0, "ended_unpaid")
    at.must_be_right(ana)
    assert at.river.chain.balance(ana.account.safe) == 100 * EUR


def test_a_spend_that_a_stranger_relays_before_it_is_taken_back_has_happened(at: Shore) -> None:
    """Our signature is public once it is sent: HashExecuted comes first, and HashInvalidated of the same hash means nothing."""
    ana, chain = at.customer(100), at.river.chain
    payment_id = unsent(at, ana)
    at.river.gateway.messages.reverse(payment_id, "r1", "test")
    ((_, signed),) = at.rows(SENT, spend(at, payment_id).leg_id)
    relayed = bytes(TypedTransaction.from_bytes(HexBytes(bytes(signed))).as_dict()["data"])
    at.mined(chain.send(at.river.deployment.outsider_key, at.river.deployment.spender_module, relayed))
    give_up(at, payment_id)  # the listener has not come to that block
    at.settle()
    at.settle()
    assert at.saga(payment_id) == ("refunded", None)
    assert at.types(ana.account_id, "Ended") == []
    at.must_be_right(ana)
    assert chain.balance(ana.account.safe) == 100 * EUR


def test_a_strangers_invalidation_of_our_hash_ends_nothing(at: Shore) -> None:
    """Anybody may make the Spender log HashInvalidated of any hash, also twice at once: it counts for its sender alone."""
    ana, chain = at.customer(100), at.river.chain
    payment_id = unsent(at, ana)
    ((consumed,),) = at.rows("SELECT consumed_hash FROM chain_intents WHERE leg_id = %s", spend(at, payment_id).leg_id)
    at.mined(
        chain.send(
            at.river.deployment.outsider_key,
            at.river.deployment.spender_module,
            chain.call("invalidate(bytes32)", consumed),
        )
    )
    at.settle()
    assert (spend(at, payment_id).state, at.state(ana.account_id).held_raw) == ("planned", 10 * EUR)
    assert at.audit().differences == ()
    chain.ask("anvil_setBalance", at.river.deployment.relayer, hex(10**21))
    at.settle()
    assert at.saga(payment_id) == ("settled", None)
    at.must_be_right(ana)


def test_an_invalidation_that_a_reorg_drops_is_sent_again(at: Shore) -> None:
    ana, chain = at.customer(100), at.river.chain
    payment_id = unsent(at, ana)
    chain.stop_mining()
    give_up(at, payment_id)
    at.river.flow()
    at.river.flow(1)
    assert is_consumed(at, payment_id)
    chain.reorg(1)
    assert not is_consumed(at, payment_id)
    at.river.flow()
    assert spend(at, payment_id).state == "planned"
    at.river.flow(1)
    chain.automine()
    at.settle()
    assert spend(at, payment_id).state == "ended_unpaid"
    assert len(at.rows(SENT, ids.invalidation_id(spend(at, payment_id).leg_id))) == 1
    at.must_be_right(ana)


def test_a_delegate_that_takes_back_itself_without_being_told_ends_the_spend_too(at: Shore) -> None:
    """A kill switch in the hands of whoever holds the key: what the contract says is what counts."""
    ana, chain = at.customer(100), at.river.chain
    payment_id = unsent(at, ana)
    ((consumed,),) = at.rows("SELECT consumed_hash FROM chain_intents WHERE leg_id = %s", spend(at, payment_id).leg_id)
    other = at.river.deployment
    at.mined(chain.send(other.delegate_key, other.spender_module, chain.call("invalidate(bytes32)", consumed)))
    at.settle()
    assert spend(at, payment_id).state == "ended_unpaid"
    at.must_be_right(ana)
