"""What the network says a second time: what could not be taken when it came first is taken then, on a real W."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from infra.errors import NotAnswered
from tests.given import AUTHORIZE, HOLD, SCREEN, request
from tests.integration.conftest import Databases
from tests.integration.write_side import WriteSide


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
