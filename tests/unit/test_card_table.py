"""The card leg's table taken at its word: every state x every message does what its cell says, and no cell is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from infra.errors import NotAnswered
from schemas.messages.payment_adjustment_events import CardMessageRefused
from streams.domain.card.table import CELLS, MESSAGES, NONE, STATES, TABLE
from streams.domain.reasons import response_code
from tests.given import (
    AUTHORIZE,
    CUSTOMER,
    DECLINE,
    EXPIRE,
    HOLD,
    PAYMENT,
    SCREEN,
    SETTLEMENT,
    Streams,
    only,
    opened,
    registration,
    request,
)
from tests.network_says import (
    UNDO_CAPTURE,
    UNDO_REFUND,
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

APPROVED = (request(), HOLD, SCREEN, AUTHORIZE)


def in_pounds(order: Any) -> Any:
    """The same in a currency that the account does not hold."""
    return replace(order, currency="GBP")


STORIES: dict[str, tuple[Any, ...]] = {
    NONE: (),
    "requested": (request(), HOLD, SCREEN),
    "verified": (request(0),),
    "declined": (request(), DECLINE),
    "authorized": APPROVED,
    "partly_captured": (*APPROVED, capture(400, final=False), give_back(100)),
    "captured": (*APPROVED, capture(), give_back(100)),
    "reversed": (*APPROVED, reverse(None, "r0")),
    "expired": (*APPROVED, EXPIRE),
    "corrected": (*APPROVED, capture(), give_back(100), UNDO_CAPTURE),
    "disputed": (*APPROVED, capture(), give_back(100), dispute(500)),
    "refunded": (unlinked_refund(),),
}
"""How a payment comes into each state."""
SENT: dict[str, tuple[Any, ...]] = {
    "authorization": (request(), request(0), in_pounds(request())),
    "hold": (HOLD,),
    "screening": (SCREEN,),
    "approval": (AUTHORIZE,),
    "decline": (DECLINE,),
    "advice": (advice(), advice(1_400), in_pounds(advice())),
    "increment": (increment(), increment(90_000)),
    "reversal": (replace(reverse(1_000), card_token="card-anna", currency="EUR"), reverse(), reverse(200), reverse(600), reverse(90_000)),
    "expiry": (EXPIRE,),
    "capture": (capture(300, "p2"), capture(300, "p2", final=False), capture(1_500, "p2", final=False), capture(70, "p2", "GBP")),
    "presentment": (presentment(), in_pounds(presentment())),
    "capture_reversal": (replace(UNDO_CAPTURE, reversal_id="cr2"), replace(UNDO_CAPTURE, presentment_id="p9", reversal_id="cr3")),
    "refund": (give_back(400, "f2"), give_back(5_000, "f2")),
    "unlinked_refund": (unlinked_refund(), in_pounds(unlinked_refund())),
    "refund_reversal": (UNDO_REFUND,),
    "dispute": (dispute(500, "d2"), dispute(5_000, "d2")),
    "dispute_resolution": (resolve("won"), resolve("lost"), resolve("won", "another")),
}  # fmt: skip
"""Each message, in the ways that it may come."""
CASES = [(state, message, order) for state, message in product(STATES, MESSAGES) for order in SENT[message]]


def state_of(streams: Streams) -> str:
    return streams.payment.card if PAYMENT in streams.states else NONE


def in_state(state: str) -> Streams:
    streams = opened().given(*STORIES[state])
    assert state_of(streams) == state
    return streams


def test_no_cell_of_the_table_is_missing_and_none_is_there_twice() -> None:
    filled = Counter((state, message) for cell in CELLS for state in cell.states for message in cell.messages)
    assert set(filled) == set(product(STATES, MESSAGES))
    assert set(filled.values()) == {1}


@pytest.mark.parametrize(("state", "message", "order"), CASES)
def test_a_message_does_to_a_payment_what_its_cell_says(state: str, message: str, order: Any) -> None:
    streams, cell = in_state(state), TABLE[state, message]
    if cell.early:
        return  # below
    said = streams.when(order)
    if cell.act is not None:
        assert state_of(streams) in cell.then or _not_like_that(said, state, streams)
        return
    assert cell.because, "whatever does nothing says why"
    assert state_of(streams) == state
    if cell.refuse is None:
        assert said == []
        return
    (refused,) = said
    assert isinstance(refused, CardMessageRefused)
    assert (refused.message, refused.reason, refused.response_code) == (
        message,
        cell.refuse,
        response_code(cell.refuse),
    )


@pytest.mark.parametrize(("state", "message"), [key for key, cell in TABLE.items() if cell.early])
def test_what_comes_before_its_time_is_not_answered_and_is_taken_when_it_comes_again(state: str, message: str) -> None:
    for order in SENT[message]:
        streams = in_state(state)
        with pytest.raises(NotAnswered, match=f"send the {message} again"):
            streams.when(order)
        streams.given(AUTHORIZE)
        assert streams.when(order)
        assert streams.payment.answer(message, order.presentment_id) is not None


def _not_like_that(said: list[Any], state: str, streams: Streams) -> bool:
    """The message fits the state, but not with this amount or currency: refused by name."""
    return [type(each) for each in said] == [CardMessageRefused] and state_of(streams) == state


@pytest.mark.parametrize(("state", "message"), [key for key, cell in TABLE.items() if cell.act is not None])
def test_every_state_that_a_cell_names_is_reached(state: str, message: str) -> None:
    reached = set()
    for order in SENT[message]:
        streams = in_state(state)
        if message == "approval" and state == "requested":
            reached |= {"requested", *_approvals()}
        if message == "reversal" and state == "captured":
            reached.add(state_of(opened().given(request(message="financial"), HOLD, SCREEN, AUTHORIZE, order)))
        streams.when(order)
        reached.add(state_of(streams))
    assert set(TABLE[state, message].then) <= reached


def _approvals() -> set[str]:
    """A dual and a single message, approved; one without its hold is not."""
    asked = [request(), request(message="financial")]
    return {state_of(opened().given(each, HOLD, SCREEN, AUTHORIZE)) for each in asked} | {"requested"}


@pytest.mark.parametrize(("state", "message", "order"), CASES)
def test_a_message_that_comes_again_changes_nothing_more(state: str, message: str, order: Any) -> None:
    """Also without the stored answers, which the command handler keeps."""
    if message in ("presentment", "unlinked_refund", "authorization"):
        return  # open a payment: then it stands there, and the table passes them
    if TABLE[state, message].early:
        return  # it is taken when it comes again
    streams = in_state(state)
    first = streams.when(order)
    before = streams.states.get(PAYMENT)
    again = streams.when(order)
    assert all(isinstance(each, CardMessageRefused) for each in again), f"{first} then {again}"
    after = streams.states.get(PAYMENT)
    assert getattr(before, "amounts", None) == getattr(after, "amounts", None)
    assert getattr(before, "legs", None) == getattr(after, "legs", None)


def test_a_refusal_is_told_again_in_the_same_words() -> None:
    streams = in_state("captured")
    streams.when(reverse(None, "late"))
    answer = streams.payment.answer("reversal", "late")
    assert answer is not None and (answer.response_code, answer.reason) == ("21", "already_captured")
    assert streams.when(reverse(None, "late")) == []


@pytest.mark.parametrize("message", [each for each in MESSAGES if TABLE["declined", each].act is not None])
def test_nothing_is_booked_on_an_account_that_is_not_there(message: str) -> None:
    for lost in (in_pounds(request()), replace(request(), account_id=PAYMENT)):
        streams = opened().given(lost)
        for order in SENT[message]:
            refused = only(CardMessageRefused, streams.when(replace(order, account_id=lost.account_id)))
            assert refused.reason in ("currency_unsupported", "account_unknown")
            streams = opened().given(lost)


@pytest.mark.parametrize(("state", "message"), [key for key, cell in TABLE.items() if cell.act and key[0] != NONE])
def test_a_message_that_names_another_account_than_the_payments_changes_nothing(state: str, message: str) -> None:
    for order in SENT[message]:
        if not hasattr(order, "account_id"):
            continue
        streams = in_state(state).given(registration(account_id=SETTLEMENT, wallet="0xOther"))
        before = streams.payment.card, streams.payment.amounts, streams.payment.legs, streams.payment.held_raw
        accounts = streams.states[CUSTOMER], streams.states[SETTLEMENT]
        refused = only(CardMessageRefused, streams.when(replace(order, account_id=SETTLEMENT)))
        assert (refused.reason, refused.response_code) == ("card_unknown", "14")
        after = streams.payment
        assert before == (after.card, after.amounts, after.legs, after.held_raw)
        assert accounts == (streams.states[CUSTOMER], streams.states[SETTLEMENT])
