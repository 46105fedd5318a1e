"""The card's own limits: how much at once, a day, a month, in cash, and how often; counted by the write server's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import BadInput
from schemas.messages import card_controls as controls
from schemas.messages import payment_commands
from schemas.messages.account_events import FundsHeld
from schemas.messages.payment_events import PaymentDeclined, PaymentScreened
from streams.domain import ids
from streams.domain.states import limits
from streams.domain.states.limits import Asked, CardLimits, Use
from tests.given import (
    AUTHORIZE,
    CARD,
    CUSTOMER,
    DECLINE,
    HOLD,
    NOON,
    PAYMENT,
    SCREEN,
    Streams,
    names,
    only,
    opened,
    request,
)
from tests.network_says import capture, increment


def limited(**told: int) -> Streams:
    """The customer, with these limits of the card."""
    return opened().given(controls.SetCardLimits(account_id=CUSTOMER, **told))


def another(name: str, cents: int, **more: Any) -> list[Any]:
    """Another payment, up to its hold."""
    payment_id = ids.network_payment_id(name)
    asked = payment_commands.RequestPayment(
        payment_id=payment_id, account_id=CUSTOMER, card_token=CARD, amount_minor=cents, currency="EUR",
        deadline=NOON + timedelta(days=40), **more,
    )  # fmt: skip
    return [asked, payment_commands.HoldFunds(payment_id=payment_id, account_id=CUSTOMER)]


def reason(events: list[Any]) -> str | None:
    (first, *_) = events
    return getattr(first, "reason", None)


@pytest.mark.parametrize(
    ("told", "more", "word", "code"),
    [
        ({"per_transaction_minor": 999}, {}, "over_transaction_limit", "61"),
        ({"per_day_minor": 999}, {}, "over_day_limit", "61"),
        ({"per_month_minor": 999}, {}, "over_month_limit", "61"),
        ({"cash_per_transaction_minor": 999}, {"transaction_type": "cash"}, "over_cash_limit", "61"),
        ({"cash_per_day_minor": 999}, {"transaction_type": "cash"}, "over_cash_limit", "61"),
        ({"velocity_minor": 999, "velocity_seconds": 60}, {}, "over_velocity", "65"),
        ({"velocity_count": 0, "velocity_seconds": 60}, {}, "over_velocity", "65"),
    ],
)
def test_an_amount_beyond_a_limit_is_declined_by_its_name(told: Any, more: Any, word: str, code: str) -> None:
    streams = limited(**told).given(request(1_000, **more))
    assert reason(streams.when(HOLD)) == word
    decline = payment_commands.DeclinePayment(payment_id=PAYMENT, account_id=CUSTOMER, reason=word)
    assert only(PaymentDeclined, streams.when(decline)).response_code == code


def test_limits_of_cash_bind_cash_alone_and_a_limit_is_inclusive() -> None:
    assert names(limited(cash_per_day_minor=1).given(request()).when(HOLD)) == ["FundsHeld", "PaymentHeld"]
    assert names(limited(per_day_minor=1_000).given(request(1_000)).when(HOLD)) == ["FundsHeld", "PaymentHeld"]


def test_a_day_and_a_month_begin_anew_by_utc() -> None:
    streams = limited(per_day_minor=1_500, per_month_minor=2_500).given(request(1_000), HOLD)
    assert reason(streams.given(another("b", 600)[0]).when(another("b", 600)[1])) == "over_day_limit"
    streams.now = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    asked, hold = another("c", 1_500)
    assert names(streams.given(asked).when(hold)) == ["FundsHeld", "PaymentHeld"]
    streams.now = datetime(2026, 3, 3, 0, 0, tzinfo=UTC)
    asked, hold = another("d", 1)
    assert reason(streams.given(asked).when(hold)) == "over_month_limit"
    streams.now = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)
    asked, hold = another("e", 1_500)
    assert names(streams.given(asked).when(hold)) == ["FundsHeld", "PaymentHeld"]


def test_a_window_slides() -> None:
    streams = limited(velocity_count=2, velocity_seconds=60)
    for name in ("a", "b"):
        streams.given(*another(name, 1))
    asked, hold = another("c", 1)
    assert reason(streams.given(asked).when(hold)) == "over_velocity"
    streams.now += timedelta(seconds=60)
    asked, hold = another("d", 1)
    assert names(streams.given(asked).when(hold)) == ["FundsHeld", "PaymentHeld"]


def test_what_was_declined_and_released_counts_no_more() -> None:
    streams = limited(per_day_minor=1_000).given(request(1_000), HOLD, DECLINE)
    asked, hold = another("b", 1_000)
    assert names(streams.given(asked).when(hold)) == ["FundsHeld", "PaymentHeld"]


def test_more_of_a_payment_counts_with_what_was_approved_of_it() -> None:
    streams = limited(per_transaction_minor=1_200, velocity_count=1, velocity_seconds=60)
    streams.given(request(1_000), HOLD, SCREEN, AUTHORIZE)
    assert names(streams.when(increment(200)))[-1] == "LegPlanned", (
        "it is the same payment: no second one in the window"
    )
    assert reason(streams.when(increment(1, "i2"))) == "over_transaction_limit"


def test_what_the_network_posts_counts_and_is_never_refused_for_it() -> None:
    streams = limited(per_day_minor=1_000).given(request(1_000), HOLD, SCREEN, AUTHORIZE)
    assert names(streams.when(capture(1_500)))[0] == "PaymentCaptured"
    assert [use.amount_minor for use in streams.customer.uses] == [1_000, 500]


def test_a_terminal_that_takes_a_part_is_approved_what_the_limits_leave() -> None:
    streams = limited(per_day_minor=400).given(request(1_000, partial_approval=True))
    held, *_ = streams.when(HOLD)
    assert isinstance(held, FundsHeld) and held.amount_minor == 400


@pytest.mark.parametrize(
    "told",
    [
        {"per_day_minor": -1},
        {"velocity_count": 1},
        {"velocity_minor": 1},
        {"velocity_count": 1, "velocity_seconds": 32 * 86_400},
    ],
)
def test_limits_that_say_nothing_sensible_are_refused(told: Any) -> None:
    with pytest.raises(BadInput):
        limited(**told)


def test_the_same_limits_again_are_no_event_and_others_replace_them_all() -> None:
    streams = limited(per_day_minor=400)
    assert streams.when(controls.SetCardLimits(account_id=CUSTOMER, per_day_minor=400)) == []
    streams.given(controls.SetCardLimits(account_id=CUSTOMER, per_month_minor=9))
    assert streams.customer.limits == CardLimits(per_month_minor=9)


@pytest.mark.parametrize(
    ("block", "unblock", "more", "word"),
    [
        (controls.BlockMcc, controls.UnblockMcc, {"mcc": "5993"}, "mcc_blocked"),
        (controls.BlockCountry, controls.UnblockCountry, {"merchant_country": "KP"}, "country_blocked"),
    ],
)
def test_a_merchant_that_the_card_may_not_pay_is_refused_until_it_may(
    block: Any, unblock: Any, more: dict[str, Any], word: str
) -> None:
    named = {
        "account_id": CUSTOMER,
        "reason": "holder",
        "mcc" if "mcc" in more else "country": next(iter(more.values())),
    }
    streams = opened().given(block(**named), request(**more), HOLD)
    screened = only(PaymentScreened, streams.when(SCREEN))
    assert (screened.verdict, screened.reason) == ("refused", word)
    assert streams.when(block(**named)) == []
    fresh = opened().given(block(**named), unblock(**named), request(**more), HOLD)
    assert only(PaymentScreened, fresh.when(SCREEN)).verdict == "passed"


# -- the arithmetic, against a slow one

WHO = UUID(int=7)
uses = st.lists(
    st.builds(
        Use,
        payment_id=st.integers(0, 3).map(lambda number: uuid5(WHO, str(number))),
        at=st.integers(-3_000_000, 0).map(lambda seconds: NOON + timedelta(seconds=seconds)),
        amount_minor=st.integers(1, 900),
        cash=st.booleans(),
    ),
    max_size=8,
).map(lambda found: tuple(sorted(found, key=lambda use: use.at)))
bounds = st.none() | st.integers(0, 4_000)


@given(uses, bounds, bounds, st.integers(1, 2_000), st.integers(1, 2_600_000))
def test_what_is_approved_keeps_every_limit(
    used: tuple[Use, ...], day: int | None, window: int | None, amount: int, seconds: int
) -> None:
    card = CardLimits(per_day_minor=day, velocity_minor=window, velocity_seconds=seconds)
    asked = Asked(PAYMENT, NOON)
    today = sum(use.amount_minor for use in used if use.at.date() == NOON.date())
    lately = sum(use.amount_minor for use in used if use.at >= NOON - timedelta(seconds=seconds))
    fits = (day is None or today + amount <= day) and (window is None or lately + amount <= window)
    assert (limits.refusal(card, used, asked, amount) is None) == fits
    if (room := limits.room(card, used, asked)) is not None:
        assert limits.refusal(card, used, asked, room[0]) is None or room[0] == 0


@given(uses, st.integers(0, 2_000))
def test_giving_back_takes_from_that_payment_alone_and_never_more_than_it_used(
    used: tuple[Use, ...], amount: int
) -> None:
    payment_id = uuid5(WHO, "1")
    left = limits.give_back(used, payment_id, amount)

    def of(some: tuple[Use, ...], mine: bool) -> int:
        return sum(use.amount_minor for use in some if (use.payment_id == payment_id) == mine)

    assert of(left, False) == of(used, False)
    assert of(left, True) == max(0, of(used, True) - amount)
