"""What the network takes back where nobody heard our answer: all of what was approved, and of a single message (0200) what it posted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.domain.states.payment_state import Payment
from tests.given import AUTHORIZE, CENT, DECLINE, HOLD, PAYMENT, SCREEN, Streams, names, opened, request
from tests.network_says import advice, capture, give_back, increment, reverse
from tests.stories import Story

POSTED = (request(message="financial"), HOLD, SCREEN, AUTHORIZE)


def posted() -> Story:
    return Story().say(*POSTED)


def test_a_single_message_that_is_reversed_is_paid_back_whenever_the_reversal_comes() -> None:
    for story in (posted(), posted().the_chain_moves()):
        story.say(reverse()).the_chain_moves()
        story.must_stand("corrected", "refunded", 0)
        assert story.legs == [("spend", 1_000), ("refund", 1_000)]


def test_the_reversal_may_name_the_amount_that_was_posted() -> None:
    streams = opened().given(*POSTED)
    assert names(streams.when(reverse(1_000))) == ["CaptureReversed"]
    assert streams.payment.amounts.due.minor == 0


def refusal(streams: Streams, order: Any) -> str | None:
    streams.when(order)
    payment: Payment = streams.payment
    advised = hasattr(order, "advice_id")
    answer = payment.answer("advice", order.advice_id) if advised else payment.answer("reversal", order.reversal_id)
    return answer.reason if answer else None


def test_a_part_of_it_is_given_back_by_a_refund() -> None:
    assert refusal(opened().given(*POSTED), reverse(400)) == "already_captured"


def test_what_the_network_posted_itself_is_taken_back_by_its_own_message() -> None:
    """Of an authorization (0100), and of what was posted beside a single message."""
    assert refusal(opened().given(request(), HOLD, SCREEN, AUTHORIZE, capture()), reverse()) == "already_captured"
    both = opened().given(*POSTED, capture(300, "p2"))
    assert names(both.when(reverse())) == ["CaptureReversed"]
    assert both.payment.posted.keys() == {"p2"}
    assert refusal(both, reverse(None, "again")) == "already_captured"


def test_a_reversal_that_comes_twice_takes_it_back_once() -> None:
    streams = opened().given(*POSTED, give_back(100), reverse())
    assert names(streams.when(reverse(None, "r2"))) == ["CardMessageRefused"]
    assert streams.states[PAYMENT].due_raw == -100 * CENT


PART = request(12_000, partial_approval=True)
"""120 euros are asked for, of which 80 can be approved."""


@pytest.mark.parametrize(("asked", "card"), [(PART, "reversed"), (replace(PART, message="financial"), "corrected")])
def test_a_reversal_of_all_that_was_asked_takes_back_the_part_that_was_approved(asked: Any, card: str) -> None:
    """Who did not hear the answer knows no other amount."""
    story = Story().say(asked, HOLD, SCREEN, AUTHORIZE)
    assert story.streams.payment.approved_minor == 8_000
    story.say(reverse(12_000)).the_chain_moves()
    story.must_stand(card, "refunded", 0)


def test_more_than_is_open_and_not_what_was_asked_is_refused() -> None:
    assert refusal(opened().given(PART, HOLD, SCREEN, AUTHORIZE), reverse(11_999)) == "over_reversal"


def test_what_was_asked_is_a_part_of_what_is_open_when_more_was_approved() -> None:
    streams = opened().given(request(), HOLD, SCREEN, AUTHORIZE, increment(500))
    assert names(streams.when(reverse(1_000))) == ["PaymentPartlyReversed"]
    assert streams.payment.amounts.open.minor == 500


# -- of what was never approved

UNANSWERED = (request(), HOLD)


@pytest.mark.parametrize("before", [UNANSWERED, (*UNANSWERED, DECLINE), (request(90_000), HOLD, DECLINE)])
def test_a_reversal_of_what_was_not_approved_is_acknowledged_and_kept(before: tuple[Any, ...]) -> None:
    streams = opened().given(*before, reverse())
    answer = streams.payment.answer("reversal", "r1")
    assert answer is not None and (answer.response_code, answer.reason) == ("00", None)
    assert (streams.payment.card, streams.customer.held_raw) == ("declined", 0)
    assert streams.when(reverse()) == []


@pytest.mark.parametrize("before", [UNANSWERED, (*UNANSWERED, DECLINE)])
def test_what_the_network_approves_in_our_stead_after_it_took_the_payment_back_is_net_nothing(
    before: tuple[Any, ...],
) -> None:
    """As where the reversal comes first of all. What it posts in spite of it is booked, as ever."""
    streams = opened().given(*before, reverse())
    assert refusal(streams, advice()) == "reversed"
    assert not streams.payment.legs and not streams.customer.holds
    assert "PaymentCaptured" in names(streams.when(capture()))


def test_a_decline_keeps_its_reason_and_its_answer_when_the_network_takes_it_back() -> None:
    streams = opened().given(request(90_000), HOLD, replace(DECLINE, reason="insufficient_funds"), reverse())
    assert (streams.payment.reason, streams.payment.response_code) == ("insufficient_funds", "51")


def test_an_advice_of_what_was_taken_back_in_part_stands() -> None:
    streams = opened().given(*UNANSWERED, DECLINE, reverse(300))
    assert "PaymentAuthorized" in names(streams.when(advice()))


def test_what_another_cards_reversal_names_is_not_taken_back() -> None:
    streams = opened().given(*UNANSWERED, DECLINE)
    assert refusal(streams, replace(reverse(), account_id=PAYMENT)) == "card_unknown"
    assert "PaymentAuthorized" in names(streams.when(advice()))


def test_a_reversal_of_nothing_that_can_be_booked_is_refused_once() -> None:
    """It is the first word on its payment, and its card is nobody's."""
    streams = opened()
    lost = replace(reverse(1_000), account_id=PAYMENT, card_token="nobody's", currency="EUR")
    assert names(streams.when(lost)) == ["PaymentRequested", "PaymentDeclined", "CardMessageRefused"]
    assert streams.when(lost) == []
    answer = streams.payment.answer("reversal", "r1")
    assert answer is not None and (answer.response_code, answer.reason) == ("14", "account_unknown")
