"""What a process decided and PostgreSQL took back: nobody may go on from it, whatever is stored in its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from infra.database import transaction
from schemas.messages.account_commands import FreezeCard
from schemas.messages.payment_commands import HoldFunds, RequestPayment
from streams.command_handler import CommandHandler
from streams.orders import Order
from tests.given import request
from tests.integration.write_side import WriteSide, cause


class PowerCut(Exception):
    """Before the commit."""


def order(message: Any) -> Order:
    command_id = uuid4()
    return Order(command_id, message, cause(command_id))


def asked(side: WriteSide, account_id: UUID, card: str, cents: int) -> Order:
    """A payment was asked for; the order to hold its amount."""
    payment_id, soon = uuid4(), datetime.now(UTC) + timedelta(minutes=1)
    told: RequestPayment = request(cents, payment_id=payment_id, account_id=account_id, card_token=card, deadline=soon)
    side.do(told)
    return order(HoldFunds(payment_id=payment_id, account_id=account_id))


def decide(side: WriteSide, handler: CommandHandler, *orders: Order) -> None:
    with transaction(side.door("commands")) as cursor:
        handler.handle(cursor, orders)


def lose(side: WriteSide, handler: CommandHandler, *orders: Order) -> None:
    """All of it is decided and appended, and W goes away before the commit."""
    with pytest.raises(PowerCut), transaction(side.door("commands")) as cursor:
        handler.handle(cursor, orders)
        raise PowerCut


def test_a_hold_that_was_rolled_back_is_not_believed_though_the_event_after_it_came_again(side: WriteSide) -> None:
    """An event's hash says nothing of those before it: the freeze stands at the same place under the same hash behind another hold."""
    account_id, card = side.account(5_000)
    small, large = asked(side, account_id, card, 1_000), asked(side, account_id, card, 5_000)
    freeze = order(FreezeCard(account_id=account_id, reason="holder"))
    first, second = side.handler(), side.handler()
    lose(side, first, small, freeze)
    decide(side, second, large)
    decide(side, second, small, freeze)
    with transaction(side.door("commands")) as cursor:
        believed = first.state(cursor, account_id)
    assert believed == side.state(account_id)
    assert [each.int for each in believed.holds] == [large.message.payment_id.int]
