"""A refund that ended unpaid is planned anew by a person: once, of what is still owed back, and only then."""

from __future__ import annotations

import pytest

from schemas.definition import Raw
from schemas.messages import payment_events as on
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.chain.leg_decisions import not_again
from tests.given import (
    CENT,
    PAYMENT,
    PLAN_REFUND,
    REFUND,
    REFUND_AGAIN,
    REVERSE,
    Streams,
    approved,
    end_leg,
    end_refund,
    only,
    refund,
    seen,
    transfer,
)
from tests.network_says import capture, give_back

SECOND = ids.leg_id(PAYMENT, "refund", 1)
SETTLED = (seen(transfer()), facts.FinalizeTransfer(transfer()))


def reversed_() -> Streams:
    """Ten euros moved, and were reversed: they are to go back."""
    return approved().given(*SETTLED, REVERSE, PLAN_REFUND)


def unpaid() -> Streams:
    """The refund's one nonce was used without it, finally."""
    return reversed_().given(end_refund())


def test_it_is_a_leg_of_its_own_with_the_reason_that_the_person_gave() -> None:
    planned = only(on.LegPlanned, unpaid().when(REFUND_AGAIN))
    assert (planned.leg_id, planned.kind, planned.amount_raw) == (SECOND, "refund", Raw(1_000 * CENT))
    assert planned.reason == REFUND_AGAIN.reason


def test_it_is_planned_once_however_often_it_is_ordered_until_that_one_ends_too() -> None:
    streams = unpaid().given(REFUND_AGAIN)
    assert streams.when(REFUND_AGAIN) == []
    assert not_again(streams.payment) == "another refund of it is on its way"
    streams.given(end_leg(SECOND, 1_000))
    assert only(on.LegPlanned, streams.when(REFUND_AGAIN)).leg_id == ids.leg_id(PAYMENT, "refund", 2)


def test_what_was_posted_meanwhile_is_not_paid_back() -> None:
    assert only(on.LegPlanned, unpaid().given(capture(300)).when(REFUND_AGAIN)).amount_raw == 700 * CENT


@pytest.mark.parametrize(
    ("streams", "why"),
    [
        (approved(), "no refund of it has ended unpaid"),
        (approved().given(*SETTLED), "no refund of it has ended unpaid"),
        (reversed_(), "no refund of it has ended unpaid"),
        (reversed_().given(seen(refund())), "no refund of it has ended unpaid"),
        (reversed_().given(seen(refund()), facts.FinalizeTransfer(refund())), "no refund of it has ended unpaid"),
        (unpaid().given(capture()), "nothing of it is owed back any more"),
        (
            unpaid().given(capture(1_200)),
            "a spend of it is still on its way: what is owed back is known when that is final",
        ),
        (unpaid().given(capture(), give_back(400), PLAN_REFUND), "another refund of it is on its way"),
    ],
)
def test_it_is_refused_where_it_could_be_paid_twice_or_is_not_owed(streams: Streams, why: str) -> None:
    assert not_again(streams.payment) == why
    assert streams.when(REFUND_AGAIN) == []


def test_a_refund_that_stands_in_a_block_has_not_ended() -> None:
    """Its nonce was used by itself: the order that ends it comes too late, and nothing is paid twice."""
    streams = reversed_().given(seen(refund()), end_refund())
    assert streams.payment.legs[REFUND].state == "seen"
    assert streams.when(REFUND_AGAIN) == []
