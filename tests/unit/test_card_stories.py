"""A payment's later life, told as stories on both axes: what the network says, and what then moves on chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.messages.account_events import FundsHeld
from schemas.messages.payment_adjustment_events import PaymentRefunded
from streams.domain import ids
from tests.given import (
    APPROVED,
    CENT,
    DECLINE,
    EXPIRE,
    PAYMENT,
    REFUND_AGAIN,
    Streams,
    end_leg,
    opened,
    registration,
    request,
)
from tests.network_says import (
    COLLECT,
    UNDO_CAPTURE,
    UNDO_REFUND,
    WRITE_OFF,
    advice,
    capture,
    dispute,
    give_back,
    increment,
    presentment,
    resolve,
    reverse,
    unlinked_refund,
)
from tests.stories import Story


def approved() -> Story:
    return Story().say(*APPROVED[1:])


def settled() -> Story:
    return approved().the_chain_moves()


def both(*said: Any) -> list[Story]:
    """Said while the spend is on its way, and once it is final."""
    return [approved().say(*said).the_chain_moves(), settled().say(*said).the_chain_moves()]


# -- captures


def test_a_presentment_of_less_pays_the_rest_back() -> None:
    for story in both(capture(600)):
        story.must_stand("captured", "captured", 600)
        assert story.legs == [("spend", 1_000), ("refund", 400)]


def test_several_presentments_take_what_was_approved_piece_by_piece() -> None:
    for story in both(capture(300, "a", final=False), capture(200, "b", final=False)):
        story.must_stand("partly_captured", "settled", 1_000)
        assert "expiry" in story.timeouts, "the rest is open"
        story.say(capture(100, "c")).the_chain_moves().must_stand("captured", "captured", 600)
        assert "expiry" not in story.timeouts


def test_pieces_that_add_up_need_no_further_leg() -> None:
    for story in both(capture(300, "a", final=False), capture(700, "b", final=False)):
        story.must_stand("captured", "captured", 1_000)
        assert story.legs == [("spend", 1_000)]


def test_a_presentment_of_more_is_followed_by_a_further_spend() -> None:
    for story in both(capture(1_250)):
        story.must_stand("captured", "captured", 1_250)
        assert story.legs == [("spend", 1_000), ("spend", 250)]


def test_a_presentment_beyond_the_funds_holds_more_than_there_is_and_is_not_our_decision() -> None:
    story = settled().say(capture(20_000))
    assert story.streams.customer.free_funds_raw() == -10_000 * CENT
    holds = [each for each in story.streams.log if isinstance(each, FundsHeld)]
    (forced,) = [each for each in holds if each.cause != "approval"]
    assert (forced.cause, forced.amount_raw) == ("captured", 19_000 * CENT)


@pytest.mark.parametrize("end", [reverse(), EXPIRE])
def test_a_presentment_that_comes_late_is_posted_all_the_same(end: Any) -> None:
    for story in both(end):
        story.say(capture(800)).the_chain_moves().must_stand("captured", "captured", 800)
        assert story.streams.log and story.legs == [("spend", 1_000), ("refund", 1_000), ("spend", 800)]


def test_a_late_presentment_before_the_refund_went_out_needs_no_further_leg() -> None:
    story = approved().say(reverse(), capture(1_000)).the_chain_moves()
    story.must_stand("captured", "captured", 1_000)
    assert story.legs == [("spend", 1_000)]


def test_a_presentment_of_what_was_declined_is_posted() -> None:
    story = Story().say(request(), DECLINE, capture(700)).the_chain_moves()
    story.must_stand("captured", "captured", 700)


def test_a_presentment_that_nobody_asked_about_is_posted() -> None:
    story = Story().say(presentment(700)).the_chain_moves()
    story.must_stand("captured", "captured", 700)


def test_a_presentment_that_is_taken_back_is_paid_back() -> None:
    for story in both(capture(), UNDO_CAPTURE):
        story.must_stand("corrected", "refunded", 0)
        story.say(capture(900, "p2")).the_chain_moves().must_stand("captured", "captured", 900)


# -- more and less


def test_more_is_approved_within_what_is_spendable_and_its_spend_goes_out() -> None:
    for story in both(increment(500), increment(300, "i2")):
        story.must_stand("authorized", "settled", 1_800)
        assert story.legs == [("spend", 1_000), ("spend", 500), ("spend", 300)]
        assert story.streams.payment.amounts.authorized.minor == 1_800


def test_more_than_is_spendable_is_declined_and_what_was_approved_stands() -> None:
    for story in both(increment(9_001)):
        story.must_stand("authorized", "settled", 1_000)
        answer = story.streams.payment.answer("increment", "i1")
        assert answer is not None and (answer.response_code, answer.reason) == ("51", "insufficient_funds")


def test_a_part_is_taken_back_and_the_rest_captured() -> None:
    for story in both(reverse(300), capture(700)):
        story.must_stand("captured", "captured", 700)
        assert story.legs == [("spend", 1_000), ("refund", 300)]


def test_the_rest_of_a_partly_captured_authorization_is_given_back_by_reversal_or_expiry() -> None:
    for end in (reverse(), EXPIRE, reverse(600)):
        for story in both(capture(400, final=False), end):
            story.must_stand("captured", "captured", 400)


def test_no_more_is_taken_back_than_is_open() -> None:
    for story in both(reverse(1_001)):
        story.must_stand("authorized", "settled", 1_000)
        answer = story.streams.payment.answer("reversal", "r1")
        assert answer is not None and answer.reason == "over_reversal"


def test_a_terminal_that_takes_a_part_is_approved_what_there_is() -> None:
    story = Story().say(request(9_000, partial_approval=True), *APPROVED[2:]).the_chain_moves()
    story.must_stand("authorized", "settled", 8_000)
    assert (story.streams.payment.response_code, story.streams.payment.amounts.open.minor) == ("10", 8_000)


def test_a_part_of_nothing_is_a_decline() -> None:
    empty = registration(opening_balance_raw=CENT - 1)
    story = Story(Streams().given(empty)).say(request(9_000, partial_approval=True), *APPROVED[2:])
    assert (story.streams.payment.card, story.streams.payment.reason) == ("declined", "insufficient_funds")


def test_a_single_message_is_posted_with_its_approval() -> None:
    story = Story().say(request(message="financial"), *APPROVED[2:]).the_chain_moves()
    story.must_stand("captured", "captured", 1_000)
    assert "expiry" not in story.timeouts


def test_a_balance_inquiry_is_told_what_may_be_spent_and_holds_nothing() -> None:
    story = Story().say(request(0, transaction_type="balance_inquiry"))
    assert (story.streams.payment.card, story.streams.payment.spendable_minor) == ("verified", 8_000)


# -- in our stead


def test_what_the_network_approved_in_our_stead_stands_whatever_is_spendable() -> None:
    story = Story().say(advice(9_500)).the_chain_moves()
    story.must_stand("authorized", "settled", 9_500)


@pytest.mark.parametrize("before", [(), (request(),), (request(), DECLINE), APPROVED[1:3], APPROVED[1:4]])
def test_an_advice_takes_the_answers_place_and_uses_what_was_held(before: tuple[Any, ...]) -> None:
    streams = opened().given(*before, advice(900))
    story = Story().heard(streams).the_chain_moves()
    story.must_stand("authorized", "settled", 900)


# -- out of order


def test_a_reversal_before_its_authorization_is_kept_and_meets_it() -> None:
    early = replace(reverse(1_000), card_token="card-anna", currency="EUR")
    story = Story().say(early)
    assert (story.streams.payment.card, story.saga.state) == ("reversed", "unmoved")
    story.say(request(), *APPROVED[2:])
    assert (story.streams.payment.card, story.legs, dict(story.streams.customer.holds)) == ("reversed", [], {})
    assert story.streams.payment.reason == "reversed"


# -- refunds


def test_a_refund_is_paid_and_one_that_is_taken_back_is_spent_again() -> None:
    for story in both(capture(), give_back(400)):
        story.must_stand("captured", "captured", 600)
        story.say(UNDO_REFUND).the_chain_moves().must_stand("captured", "captured", 1_000)


def test_several_refunds_and_more_than_was_captured_are_paid_and_flagged() -> None:
    for story in both(capture(), give_back(400), give_back(900, "f2")):
        story.must_stand("captured", "refunded", -300)
        flags = [each.exceeds for each in story.streams.log if isinstance(each, PaymentRefunded)]
        assert flags == [False, True]


def test_a_refund_that_names_no_payment_is_a_payment_of_its_own() -> None:
    story = Story().say(unlinked_refund(400)).the_chain_moves()
    story.must_stand("refunded", "refunded", -400)


# -- disputes


def test_a_dispute_is_credited_at_once_and_stays_so_when_it_is_won() -> None:
    for story in both(capture(), dispute(700)):
        story.must_stand("disputed", "captured", 300)
        story.say(resolve("won")).the_chain_moves().must_stand("captured", "captured", 300)


def test_a_lost_dispute_takes_the_credit_back() -> None:
    for story in both(capture(), dispute()):
        story.must_stand("disputed", "refunded", 0)
        story.say(resolve("lost")).the_chain_moves().must_stand("captured", "captured", 1_000)


def test_no_more_is_disputed_than_was_captured_and_not_given_back() -> None:
    story = settled().say(capture(), give_back(400), dispute(601))
    answer = story.streams.payment.answer("dispute", "d1")
    assert answer is not None and answer.reason == "over_dispute"


# -- what cannot move any more


def owing() -> Story:
    """Captured for more than was approved, and the further spend can never happen."""
    story = settled().say(capture(1_250))
    story.say(end_leg(ids.leg_id(PAYMENT, "spend", 1), 250))
    assert (story.saga.state, story.saga.reason) == ("parked", "approved_but_unpaid")
    assert story.streams.payment.receivable_raw == 250 * CENT
    return story


def test_what_can_no_longer_be_taken_is_owed_until_it_is_collected() -> None:
    owing().say(COLLECT).the_chain_moves().must_stand("captured", "captured", 1_250)


def test_what_is_written_off_is_owed_no_more_and_later_refunds_pay_back_only_what_moved() -> None:
    story = owing().say(WRITE_OFF)
    story.must_stand("captured", "captured", 1_000)
    story.say(give_back(1_250)).the_chain_moves().must_stand("captured", "refunded", 0)


def test_what_is_refunded_is_first_owed_less() -> None:
    story = owing().say(give_back(100))
    assert story.streams.payment.receivable_raw == 150 * CENT and story.gone_cents == 1_000
    story.say(give_back(400, "f2")).the_chain_moves().must_stand("captured", "captured", 750)


def test_another_presentment_spends_only_what_it_adds() -> None:
    story = owing().say(capture(50, "p2")).the_chain_moves()
    assert (story.gone_cents, story.streams.payment.receivable_raw, story.saga.state) == (1_050, 250 * CENT, "parked")


def test_a_refund_that_can_never_be_paid_waits_for_a_person_who_orders_another() -> None:
    story = settled().say(reverse())
    story.say(end_leg(ids.leg_id(PAYMENT, "refund"), 1_000))
    assert (story.saga.state, story.saga.reason) == ("parked", "refund_ended_unpaid")
    story.say(REFUND_AGAIN).the_chain_moves().must_stand("reversed", "refunded", 0)
