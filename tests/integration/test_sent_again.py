"""What the network, or a person, says a second time: what could not be taken when it came first is taken then, on a real W."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from infra.errors import NotAnswered
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.states.payment_state import Payment
from tests.given import AUTHORIZE, HOLD, SCREEN, block, request
from tests.integration.conftest import Databases
from tests.integration.write_side import WriteSide, authorization


@pytest.fixture(scope="module")
def side(databases: Databases) -> WriteSide:
    return WriteSide(databases)


def of(order: Any, payment_id: UUID, account_id: UUID) -> Any:
    """The same order for another payment."""
    return type(order)(**order.__dict__ | {"payment_id": payment_id, "account_id": account_id})


def asked(side: WriteSide) -> tuple[UUID, UUID]:
    """The network has asked, the money is held, and nobody has answered yet: (payment, account)."""
    account_id, card = side.account()
    payment_id = uuid4()
    deadline = datetime.now(UTC) + timedelta(minutes=1)
    side.do(of(request(1_000, card_token=card, deadline=deadline), payment_id, account_id))
    side.do(of(HOLD, payment_id, account_id))
    return payment_id, account_id


def test_a_presentment_that_overtook_the_answer_is_booked_when_it_is_sent_again(side: WriteSide) -> None:
    payment_id, account_id = asked(side)
    gateway = side.gateway()

    with pytest.raises(NotAnswered, match="send the capture again"):
        gateway.messages.capture(payment_id, "p1", 1_000, "EUR", "test")
    side.do(of(SCREEN, payment_id, account_id))
    side.do(of(AUTHORIZE, payment_id, account_id))

    told = gateway.messages.capture(payment_id, "p1", 1_000, "EUR", "test")
    assert (told.accepted, told.response_code, told.captured_minor) == (True, "00", 1_000)
    assert gateway.messages.capture(payment_id, "p1", 1_000, "EUR", "test") == told
    assert side.types(payment_id).count("PaymentCaptured") == 1


def unpaid(side: WriteSide, payment_id: UUID) -> None:
    """The spend can never happen any more."""
    payment: Payment = side.state(payment_id)
    (leg,) = payment.legs.values()
    transfer_id = ids.leg_transfer_id(100, leg.leg_id)
    told = (payment_id, payment.account_id, leg.leg_id, transfer_id, "0xinvalidate", block(30))
    side.do(facts.FinalizeInvalidation(*told))


@pytest.mark.parametrize("order", ["collect", "write_off"])
def test_a_person_who_was_too_early_is_heard_when_something_is_owed(side: WriteSide, order: str) -> None:
    _, card = side.account()
    gateway = side.gateway()
    payment_id = gateway.authorize(authorization(card, 1_000)).payment_id
    say = getattr(gateway.messages, order)

    say(payment_id, "anna")
    assert side.state(payment_id).receivable_raw == 0
    unpaid(side, payment_id)
    assert side.state(payment_id).receivable_raw > 0

    say(payment_id, "anna")
    assert side.state(payment_id).receivable_raw == 0
    say(payment_id, "anna")
    assert side.types(payment_id).count("ReceivableReduced") == 1, "what is owed is seen to once"
