"""A spend that nobody waits for any more: taken back on chain, and ended only when that is final; mined before, it has happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.definition import Message
from streams.domain import ids
from streams.domain.chain import facts
from streams.sagas.authorization import PARKED, PATIENCE
from tests.given import (
    CENT,
    GIVE_UP,
    PLAN_REFUND,
    REFUND,
    REVERSE,
    SETTLEMENT,
    approved,
    end_refund,
    invalidated,
    names,
    opened,
    refund,
    registration,
    seen,
    transfer,
)  # fmt: skip
from tests.unit.test_saga import APPROVED, ENDED, GIVEN_UP, OWED, REVERSED, SEEN, SETTLED, UNSEEN, Told

# -- the payment


def test_a_spend_that_vanished_keeps_its_debit_until_it_is_invalidated_finally() -> None:
    streams = approved().given(seen(transfer()), facts.UnseeTransfer(transfer()))
    assert streams.customer.debits_raw == 1_000 * CENT
    assert names(streams.when(invalidated())) == ["LegEndedUnpaid", "ReceivableOpened", "TransferEnded"]
    assert (streams.customer.debits_raw, streams.spendable_cents()) == (0, 8_000)
    assert streams.when(invalidated()) == []


def test_a_spend_that_no_block_carries_is_given_up_once() -> None:
    streams = approved().given(seen(transfer()), facts.UnseeTransfer(transfer()))
    assert names(streams.when(GIVE_UP)) == ["LegGivenUp"]
    assert streams.when(GIVE_UP) == []


def test_a_spend_that_is_mined_after_it_was_given_up_has_happened() -> None:
    streams = approved().given(GIVE_UP, seen(transfer()))
    assert streams.when(invalidated()) == []
    streams.when(facts.FinalizeTransfer(transfer()))
    spend = streams.payment.leg("spend")
    assert spend is not None and (spend.state, spend.given_up) == ("settled", True)


def test_what_stands_in_a_block_and_what_others_signed_is_not_given_up() -> None:
    assert approved().given(seen(transfer())).when(GIVE_UP) == []
    payment_id = ids.chain_payment_id(transfer().transfer_id)
    foreign = transfer(payment_id=payment_id, leg_id=ids.leg_id(payment_id, "spend"))
    streams = opened().given(seen(foreign), facts.UnseeTransfer(foreign))
    assert streams.when(replace(GIVE_UP, payment_id=payment_id)) == []


def test_a_refund_that_vanished_and_lost_its_nonce_is_settlements_money_again() -> None:
    leaves = replace(
        refund(), account_id=SETTLEMENT, direction="out", kind="settlement_out", payment_id=None, leg_id=None
    )
    streams = approved().given(
        registration(account_id=SETTLEMENT, kind="settlement", wallet="0xSettlement", card_token=None, roles_module=None),
        seen(transfer()), facts.FinalizeTransfer(transfer()), REVERSE, PLAN_REFUND, seen(leaves), seen(refund()),
        facts.UnseeTransfer(refund()), facts.UnseeTransfer(leaves),
    )  # fmt: skip
    settlement = streams.states[SETTLEMENT]
    assert settlement.debits_raw == 1_000 * CENT
    assert names(streams.when(end_refund())) == ["LegEndedUnpaid"]
    lost = facts.LoseTransfer(SETTLEMENT, leaves.transfer_id, REFUND)
    assert names(streams.when(lost)) == ["TransferEnded"] and streams.when(lost) == []
    assert streams.states[SETTLEMENT].free_funds_raw() == settlement.final_raw


# -- the saga


@pytest.mark.parametrize("spend", [(), (SEEN, UNSEEN)])
def test_a_reversed_spend_that_is_not_mined_for_long_is_taken_back_once(spend: tuple[Message, ...]) -> None:
    told = Told(*APPROVED, *spend, REVERSED, PATIENCE)
    assert (told.stands, names(told.ordered)[-1]) == (("refund_due", {PATIENCE}), "GiveUpSpend")
    told.then(GIVEN_UP)
    assert (told.stands, names(told.ordered)[-1]) == (("refund_due", {PATIENCE}), "InvalidateSpend")
    assert Told(*APPROVED, *spend, REVERSED, PATIENCE, GIVEN_UP, ENDED).stands == ("unmoved", set())
    told.then(PATIENCE)
    assert (told.saga.state, told.saga.reason, names(told.ordered).count("GiveUpSpend")) == (
        PARKED,
        "not_final_in_time",
        1,
    )


def test_giving_up_is_ordered_once_even_if_nobody_hears_of_it() -> None:
    told = Told(*APPROVED, REVERSED, PATIENCE, PATIENCE)
    assert (told.saga.state, told.saga.reason) == (PARKED, "not_final_in_time")
    assert names(told.ordered).count("GiveUpSpend") == 1


def test_a_spend_that_is_mined_though_it_was_given_up_is_paid_back() -> None:
    told = Told(*APPROVED, REVERSED, PATIENCE, GIVEN_UP, SEEN, SETTLED)
    assert names(told.ordered)[-1] == "PlanRefund"


def test_a_spend_that_is_seen_is_not_given_up_for_want_of_finality() -> None:
    assert Told(*APPROVED, SEEN, REVERSED, PATIENCE).saga.reason == "not_final_in_time"


def test_a_person_gives_up_an_approved_spend_and_it_becomes_a_receivable() -> None:
    told = Told(*APPROVED, PATIENCE, GIVEN_UP)
    assert (told.saga.state, names(told.ordered)[-1]) == (PARKED, "InvalidateSpend")
    told.then(ENDED)
    told.then(OWED)
    assert (told.saga.state, told.saga.reason) == (PARKED, "approved_but_unpaid")
