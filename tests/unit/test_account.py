"""What an account may spend: funds, what is on its way out, what is set aside, and what its owner allowed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.definition import MESSAGES, Raw
from schemas.messages import account_commands, account_events, payment_events
from schemas.topics import ACCOUNT_EVENTS
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.states import account
from streams.domain.states.allowance import Allowance
from tests.given import (
    AUTHORIZE,
    CENT,
    CUSTOMER,
    DECLINE,
    HOLD,
    NOON_UNIX,
    PAYMENT,
    SCREEN,
    SPEND,
    Streams,
    approved,
    block,
    elsewhere,
    invalidated,
    names,
    opened,
    registration,
    request,
    seen,
    transfer,
)  # fmt: skip

NEVER = Allowance(0, 0, 0, 0, 0)


def deposit(cents: int, name: str = "d") -> facts.Transfer:
    transfer_id = ids.derived("deposit", name)
    return transfer(
        cents, direction="in", kind="deposit", transfer_id=transfer_id, payment_id=None, leg_id=None, leg_kind=None
    )


def withdrawal(cents: int) -> facts.Transfer:
    transfer_id = ids.derived("withdrawal")
    return transfer(cents, kind="withdrawal", transfer_id=transfer_id, payment_id=None, leg_id=None, leg_kind=None)


def test_a_new_account_may_spend_the_least_of_its_funds_and_its_limit() -> None:
    assert opened().spendable_cents() == 8_000


def test_every_event_of_an_account_is_folded() -> None:
    assert set(account.EVOLVE) == {cls for cls in MESSAGES.values() if cls.topic == ACCOUNT_EVENTS}


# -- an amount stands in one place


def test_a_hold_is_set_aside_and_comes_back_when_the_payment_is_declined() -> None:
    streams = opened().given(request(), HOLD)
    assert streams.spendable_cents() == 7_000
    assert names(streams.when(DECLINE)) == ["PaymentDeclined", "HoldReleased"]
    assert streams.spendable_cents() == 8_000


def test_a_hold_becomes_the_debit_of_its_spend_in_one_append() -> None:
    streams = approved()
    told, _ = streams.when(seen(transfer()))
    assert isinstance(told, account_events.TransferSeen) and told.hold_used_raw == 1_000 * CENT
    assert (streams.customer.held_raw, streams.customer.debits_raw) == (0, 1_000 * CENT)
    assert streams.customer.free_funds_raw() == 9_000 * CENT


def test_a_spend_that_a_reorg_drops_and_brings_back_is_one_debit_all_the_while() -> None:
    streams = approved().given(seen(transfer()))
    for _ in range(3):
        streams.when(facts.UnseeTransfer(transfer()))
        assert streams.customer.debits_raw == 1_000 * CENT and not streams.customer.held_raw
        told, _ = streams.when(seen(elsewhere(transfer(), 12)))
        assert isinstance(told, account_events.TransferSeen) and told.again and not told.hold_used_raw
        assert streams.customer.debits_raw == 1_000 * CENT
    streams.when(facts.FinalizeTransfer(transfer()))
    assert (streams.customer.final_raw, dict(streams.customer.debits)) == (9_000 * CENT, {})


def test_a_spend_of_ours_that_another_transaction_carries_after_a_reorg_is_the_same_debit() -> None:
    """The submitter sends it with a higher fee, or a stranger relays its signature: the leg is the transfer's identity."""
    one = ids.leg_transfer_id(100, SPEND)
    streams = approved().given(seen(transfer(transfer_id=one)), facts.UnseeTransfer(transfer(transfer_id=one)))
    streams.when(seen(transfer(transfer_id=one, tx_hash="0xother")))
    assert streams.customer.debits_raw == 1_000 * CENT


@pytest.mark.parametrize("fact", [facts.SeeTransfer, facts.UnseeTransfer, facts.FinalizeTransfer])
def test_a_debit_told_twice_moves_once(fact: Any) -> None:
    story = [seen(transfer()), fact(transfer())]
    streams = approved().given(*story)
    before = streams.customer
    assert streams.when(fact(transfer())) == []
    assert streams.customer == before


def test_a_deposit_counts_when_it_is_final_and_not_before() -> None:
    streams = opened().given(seen(deposit(500)))
    assert streams.customer.free_funds_raw() == 10_000 * CENT
    streams.given(facts.UnseeTransfer(deposit(500)), seen(deposit(500), again=True))
    assert streams.customer.free_funds_raw() == 10_000 * CENT
    streams.when(facts.FinalizeTransfer(deposit(500)))
    assert streams.customer.free_funds_raw() == 10_500 * CENT


def test_a_withdrawal_on_chain_may_take_what_was_held_and_then_nothing_is_spendable() -> None:
    streams = approved(6_000).given(seen(withdrawal(9_000)))
    assert streams.customer.free_funds_raw() == -5_000 * CENT
    assert streams.spendable_cents() == 0


def test_a_transfer_of_more_than_2_to_the_255_is_booked_to_the_unit() -> None:
    huge = replace(deposit(1), amount_raw=2**256 - 1)
    streams = opened().given(seen(huge), facts.FinalizeTransfer(huge))
    assert streams.customer.final_raw == 10_000 * CENT + 2**256 - 1


def test_a_foreign_spend_of_more_than_a_message_holds_shows_the_most_and_keeps_the_exact_amount() -> None:
    payment_id = ids.chain_payment_id(transfer().transfer_id)
    foreign = transfer(payment_id=payment_id, leg_id=ids.leg_id(payment_id, "spend"), amount_raw=2**256 - 1)
    _, requested, _ = opened().when(seen(foreign))
    assert isinstance(requested, payment_events.PaymentRequested)
    assert (requested.amount_minor, requested.amount_raw) == (2**63 - 1, 2**256 - 1)


def test_a_leg_that_ends_unpaid_gives_its_hold_back_once() -> None:
    streams = approved()
    assert names(streams.when(invalidated())) == ["LegEndedUnpaid", "ReceivableOpened", "HoldReleased"]
    assert (streams.when(invalidated()), streams.spendable_cents()) == ([], 8_000)


# -- many swipes


@given(st.lists(st.integers(1, 5_000), max_size=12))
def test_swipes_together_are_never_approved_for_more_than_there_is(asked: list[int]) -> None:
    streams, taken = opened(), 0
    for number, cents in enumerate(asked):
        payment_id = ids.network_payment_id(f"swipe {number}")
        before = streams.spendable_cents()
        orders = [replace(each, payment_id=payment_id) for each in (request(cents), HOLD, SCREEN, AUTHORIZE)]
        streams.given(*orders)
        approved_now = streams.states[payment_id].card == "authorized"
        assert approved_now == (cents <= before)
        taken += cents if approved_now else 0
        assert streams.spendable_cents() == 8_000 - taken >= 0


def test_a_card_is_frozen_and_unfrozen_once() -> None:
    freeze = account_commands.FreezeCard(account_id=CUSTOMER, reason="lost")
    unfreeze = account_commands.UnfreezeCard(account_id=CUSTOMER, reason="found")
    streams = opened()
    assert [names(streams.when(each)) for each in (unfreeze, freeze, freeze, unfreeze, unfreeze)] == [
        [], ["CardFrozen"], [], ["CardUnfrozen"], [],
    ]  # fmt: skip


def test_an_account_that_was_found_without_a_card_is_given_one_for_good() -> None:
    streams = Streams().given(registration(card_token=None))
    bind = account_commands.BindCard(account_id=CUSTOMER, card_token="card-later")
    assert names(streams.when(bind)) == ["CardBound"]
    assert streams.when(replace(bind, card_token="card-other")) == []
    assert streams.customer.card_token == "card-later"


def test_a_queue_that_was_filled_unseen_holds_approvals_back_and_a_balance_is_not_rewritten() -> None:
    streams = opened()
    before = streams.customer.final_raw
    streams.given(facts.ObserveDrift(CUSTOMER, "balance", "1", "2", block(12)))
    assert (streams.customer.final_raw, streams.customer.queue_empty) == (before, True)
    streams.given(facts.ObserveDrift(CUSTOMER, "queue", "empty", "1 of 2", block(12)))
    assert not streams.customer.queue_empty
    assert names(streams.when(facts.EmptyDelayQueue(CUSTOMER, 2, block(13)))) == ["DelayQueueEmptied"]


def test_a_hold_for_one_payment_is_not_another_payments() -> None:
    other = UUID(int=7)
    streams: Streams = opened().given(request(), HOLD)
    streams.given(replace(request(), payment_id=other), replace(HOLD, payment_id=other))
    assert set(streams.customer.holds) == {PAYMENT, other}
    streams.when(replace(DECLINE, payment_id=other))
    assert set(streams.customer.holds) == {PAYMENT}


def test_an_event_costs_an_account_the_same_however_many_holds_are_open() -> None:
    def held(number: int) -> account_events.FundsHeld:
        return account_events.FundsHeld(
            account_id=CUSTOMER,
            payment_id=UUID(int=number),
            amount_raw=Raw(1),
            spendable_raw=Raw(9),
            currency="EUR",
            decimals=18,
        )

    def seconds(start: account.Account) -> float:
        best = float("inf")
        for _ in range(5):
            began, state = time.thread_time(), start
            for number in range(1, 301):
                state = account.evolve(state, held(-number % 2**64 + 2**64))
                assert state.spendable_raw(NOON_UNIX) >= 0
            best = min(best, time.thread_time() - began)
        return best

    few = many = opened().customer
    for number in range(20_000):
        many = account.evolve(many, held(number))
    assert many.held_raw == len(many.holds) == 20_000
    assert seconds(many) < 10 * seconds(few), "with copies it would be a hundred times as much"
