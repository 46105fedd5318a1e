"""A payment on its two axes: what the network and we said, and what moved on chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.gateway.requests import answer_of
from infra.errors import BadInput
from schemas.definition import MESSAGES
from schemas.messages import payment_events as on
from schemas.messages.payment_adjustment_events import CardMessageRefused
from schemas.topics import PAYMENT_EVENTS
from streams.domain.chain import facts
from streams.domain.reasons import APPROVED, APPROVED_IN_PART, Reason, response_code
from streams.domain.states import payment
from tests.given import (
    AUTHORIZE,
    CARD,
    CENT,
    DECLINE,
    EXPIRE,
    HOLD,
    PAYMENT,
    PLAN_REFUND,
    REFUND,
    REVERSE,
    SCREEN,
    SPEND,
    Streams,
    approved,
    elsewhere,
    invalidated,
    names,
    only,
    opened,
    refund,
    request,
    seen,
    transfer,
)
from tests.network_says import capture


def settled() -> Streams:
    return approved().given(seen(transfer()), facts.FinalizeTransfer(transfer()))


def test_every_event_of_a_payment_is_folded() -> None:
    assert set(payment.EVOLVE) == {cls for cls in MESSAGES.values() if cls.topic == PAYMENT_EVENTS}


def test_an_approval_plans_its_spend_in_the_same_append() -> None:
    streams = opened().given(request(), HOLD, SCREEN)
    assert names(streams.when(AUTHORIZE)) == ["PaymentAuthorized", "LegPlanned"]
    assert (streams.payment.card, streams.payment.legs[SPEND].state) == ("authorized", "planned")


def test_a_spend_is_planned_submitted_seen_and_settled() -> None:
    streams = approved()
    assert streams.payment.legs[SPEND].state == "planned"
    for fact, state in ((seen(transfer()), "seen"), (facts.FinalizeTransfer(transfer()), "settled")):
        streams.when(fact)
        assert streams.payment.legs[SPEND].state == state


def test_a_spend_that_a_reorg_drops_is_unseen_until_it_is_mined_again() -> None:
    streams = approved().given(seen(transfer()), facts.UnseeTransfer(transfer()))
    assert streams.payment.legs[SPEND].state == "unseen"
    assert streams.given(seen(elsewhere(transfer(), 12))).payment.legs[SPEND].state == "seen"


def test_a_foreign_spend_opens_a_payment_with_its_leg_seen() -> None:
    events = opened().when(seen(transfer()))
    assert names(events) == ["TransferSeen", "PaymentRequested", "LegSeen"]
    assert only(on.PaymentRequested, events[1:2]).origin == "chain"


def test_a_foreign_spend_that_passes_is_approved_without_a_hold_or_a_spend_of_ours() -> None:
    streams = opened().given(seen(transfer()), SCREEN)
    assert only(on.PaymentAuthorized, streams.when(AUTHORIZE)).authorization_code is None
    assert list(streams.payment.legs) == [SPEND]


def test_a_refund_is_planned_once_of_what_was_settled() -> None:
    streams = settled()
    assert streams.when(PLAN_REFUND) == [], "what is approved stands"
    planned = only(on.LegPlanned, streams.given(REVERSE).when(PLAN_REFUND))
    assert (planned.kind, planned.amount_raw) == ("refund", 1_000 * CENT)
    assert streams.when(PLAN_REFUND) == []


def test_what_has_not_settled_is_not_paid_back() -> None:
    assert approved().given(REVERSE).when(PLAN_REFUND) == []
    assert approved().given(seen(transfer()), REVERSE).when(PLAN_REFUND) == []


def test_a_refund_that_a_reorg_drops_is_seen_again_and_settles() -> None:
    streams = settled().given(REVERSE, PLAN_REFUND, seen(refund()), facts.UnseeTransfer(refund()))
    assert streams.payment.legs[REFUND].state == "unseen"
    streams.given(seen(elsewhere(refund(), 21), again=True), facts.FinalizeTransfer(elsewhere(refund(), 21)))
    assert streams.payment.legs[REFUND].state == "settled"
    assert streams.customer.final_raw == 10_000 * CENT


def test_a_reversal_before_the_answer_declines_and_gives_the_hold_back() -> None:
    streams = opened().given(request(), HOLD)
    assert names(streams.when(REVERSE)) == ["PaymentDeclined", "HoldReleased", "ReversalAcknowledged"]
    assert streams.payment.reason == "reversed"
    for late in (SCREEN, AUTHORIZE, HOLD, DECLINE):
        assert streams.when(late) == [], "nobody waits for an answer any more"


def test_a_reversal_after_the_approval_keeps_the_hold_for_the_spend_that_is_in_flight() -> None:
    streams = approved()
    assert names(streams.when(REVERSE)) == ["PaymentReversed"]
    assert streams.customer.held_raw == 1_000 * CENT


@pytest.mark.parametrize("gone", [REVERSE, EXPIRE])
def test_an_authorization_ends_once(gone: Any) -> None:
    streams = approved().given(gone)
    for late in (REVERSE, EXPIRE, DECLINE, AUTHORIZE):
        assert streams.when(late) == []


def test_the_same_presentment_is_one_capture() -> None:
    streams = approved()
    assert names(streams.when(capture())) == ["PaymentCaptured"]
    assert streams.when(capture()) == []


def test_a_presentment_in_another_currency_or_of_nothing_is_no_capture() -> None:
    refused = only(CardMessageRefused, approved().when(capture(currency="GBP")))
    assert (refused.reason, refused.response_code) == ("currency_unsupported", "12")
    assert approved().when(capture(0)) == []


@pytest.mark.parametrize("cents", [-1, 2**63, 2**255])
def test_what_is_no_amount_is_refused_and_changes_nothing(cents: int) -> None:
    streams = opened()
    with pytest.raises(BadInput, match=str(cents)):
        streams.when(request(cents))
    assert PAYMENT not in streams.states
    with pytest.raises(BadInput, match=str(cents)):
        approved().when(capture(cents))


def test_the_greatest_amount_is_an_amount() -> None:
    streams = opened().given(request(2**63 - 1))
    assert only(on.HoldRefused, streams.when(HOLD)).reason == "insufficient_funds"


@pytest.mark.parametrize("story", [[seen(transfer())], [seen(transfer()), facts.FinalizeTransfer(transfer())]])
def test_a_leg_that_stands_in_a_block_does_not_end_unpaid(story: list[Any]) -> None:
    assert approved().given(*story).when(invalidated()) == []


def test_a_zero_amount_is_verified_at_once_and_holds_nothing() -> None:
    streams = opened()
    assert names(streams.when(request(0))) == ["PaymentRequested", "PaymentVerified"]
    assert streams.when(HOLD) == []


@pytest.mark.parametrize(
    ("change", "reason", "code"),
    [
        ({"account_id": SPEND}, "account_unknown", "14"),
        ({"currency": "JPY"}, "currency_unsupported", "12"),
        ({"currency": "GBP"}, "currency_unsupported", "12"),
    ],
)
def test_a_request_that_cannot_be_held_is_declined_at_once(change: dict[str, Any], reason: str, code: str) -> None:
    _, *then = opened().when(replace(request(), **change))
    declined = only(on.PaymentDeclined, then)
    assert (declined.reason, declined.response_code) == (reason, code)


def test_no_reason_why_not_is_told_to_the_network_as_an_approval() -> None:
    """DE39 00 and 10 approve, whatever else is said beside them."""
    assert not {response_code(each) for each in Reason} & {APPROVED, APPROVED_IN_PART}


@pytest.mark.parametrize("before", [(), (request(), HOLD)], ids=["before it came", "before it was answered"])
def test_an_authorization_that_was_reversed_is_answered_with_a_no(before: tuple[Any, ...]) -> None:
    gone = replace(REVERSE, card_token=CARD, currency="EUR", amount_minor=1_000)
    answer = answer_of(opened().given(*before, gone, request()).payment)
    assert (answer.approved, answer.response_code, answer.reason) == (False, "05", "reversed")
