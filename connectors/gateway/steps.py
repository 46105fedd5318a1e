"""The saga's first steps as the gateway drives them, for all payments that are asked for at once: each step is one transaction.

What is decided in a step is the same for one payment as for many; only round trips, plans and commits are shared (streams/group_commit.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from connectors.gateway.bounds import DURABLE
from connectors.gateway.requests import AuthorizationRequest
from infra.database import Cursor
from infra.failpoints import failpoint
from infra.telemetry import new_traceparent
from schemas.messages.payment_commands import RequestPayment
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.states.payment import Payment
from streams.event_store.recorded import Cause
from streams.event_store.store import OutgoingCommand
from streams.orders import Order, Outcome
from streams.sagas import rows
from streams.sagas.engine import Engine, Happened, by_stream, orders_of, take, untaken
from streams.sagas.rows import Stored
from streams.unit_of_work import UnitOfWork

CARDS = """
SELECT clock_timestamp(), c.card_token, c.account_id
FROM unnest(%s::text[]) AS asked (card) LEFT JOIN cards AS c ON c.card_token = asked.card
"""


@dataclass(frozen=True)
class Asked:
    """A request, and the end of its time (monotonic seconds)."""

    payment_id: UUID
    request: AuthorizationRequest
    until: float


@dataclass(frozen=True)
class Opened:
    """`held`: what the saga takes next, none where somebody else goes on with it or nobody need; `deadline`: by W's clock."""

    held: Sequence[Happened]
    deadline: datetime


@dataclass(frozen=True)
class Steps:
    """Both steps. Whoever calls gives a transaction, and commits it."""

    handler: CommandHandler
    engine: Engine

    def open(self, cursor: Cursor, asked: Sequence[Asked]) -> list[Opened]:
        """The first step: the requests, the sagas under our lease, the holds.

        Its commit need not wait for the disk: nobody was told anything yet, and the answer's own commit brings both there. Where one of the
        requests was answered before, or is by now, its saga is nobody's, and the disk is waited for.
        """
        now, accounts = _cards(cursor, asked)
        deadlines = {each.payment_id: now + timedelta(seconds=each.until - time.monotonic()) for each in asked}
        orders = [_request(each, accounts, deadlines[each.payment_id]) for each in asked]
        unit = self.handler.begin(cursor)
        requested = unit.decide(orders)
        stored, events = _leased(cursor, by_stream(_of_payments(orders, requested)), deadlines)
        held: dict[UUID, list[Happened]] = {}

        def hold(orders: Sequence[OutgoingCommand]) -> tuple[list[Happened], list[OutgoingCommand]]:
            """This transaction's last word: what comes of it is the next one's first."""
            happened, leaving = _decide(unit, orders)
            held.update(by_stream(happened))
            for each in stored:
                each.leased = each.saga.saga_id in held
            return [], leaving

        self.engine.follow(cursor, stored, events, hold)
        opened = [
            Opened(() if outcome.repeated else held.get(each.payment_id, ()), deadlines[each.payment_id])
            for each, outcome in zip(asked, requested, strict=True)
        ]
        if not all(each.held for each in opened):
            cursor.postpone(DURABLE)
        unit.append()
        failpoint("gateway.before_hold_commit")
        return opened

    def answer(self, cursor: Cursor, held: Sequence[Sequence[Happened]]) -> list[Payment | None]:
        """The second: screen, and approve with the spend's order, or decline; then give the sagas back. None: it is not ours, or still open."""
        taken = {each[0][0].stream_id: each for each in held}
        locked = rows.lock(cursor, taken)
        stored = [locked[each] for each in taken if locked[each].leased]
        unit = self.handler.begin(cursor)
        if stored:
            self._answer(cursor, unit, stored, taken)
        payments = [unit.states.get(each[0][0].stream_id) for each in held]
        return [None if payment is None or payment.open else payment for payment in payments]

    def _answer(
        self, cursor: Cursor, unit: UnitOfWork, stored: Sequence[Stored], held: Mapping[UUID, Sequence[Happened]]
    ) -> None:
        events = {each.saga.saga_id: held[each.saga.saga_id] for each in stored}
        foreseen = [step for each in stored for step in take(replace(each), events[each.saga.saga_id])]
        accounts = {each.saga.account_id for each in stored if each.saga.account_id}
        unit.lock(events.keys() | accounts, _ours(orders_of(foreseen)))
        if moved := [
            each for each in stored if unit.heads[each.saga.saga_id].version != _newest(events[each.saga.saga_id])
        ]:
            events |= untaken(cursor, moved)
        for each in stored:
            each.leased = False
        self.engine.follow(cursor, stored, events, partial(_decide, unit))
        unit.append()
        failpoint("gateway.before_answer_commit")


def _cards(cursor: Cursor, asked: Sequence[Asked]) -> tuple[datetime, dict[str, UUID]]:
    """W's clock, and the accounts of those cards that are known."""
    cursor.execute(CARDS, ([each.request.card_token for each in asked],))
    found = cursor.fetchall()
    return found[0][0], {card: account_id for _, card, account_id in found if account_id}


def _leased(
    cursor: Cursor, began: Mapping[UUID, Sequence[Happened]], deadlines: Mapping[UUID, datetime]
) -> tuple[list[Stored], dict[UUID, Sequence[Happened]]]:
    """The sagas under our lease, and what they take: these events, after those that they have not taken yet, of a reversal that came first, say."""
    stored, events = [], dict(began)
    for payment_id, happened in began.items():
        if happened[0][0].version == 1:
            stored.append(rows.open_leased(cursor, payment_id, deadlines[payment_id]))
        else:
            stored.append(met := rows.lease(cursor, payment_id, deadlines[payment_id]))
            events[payment_id] = [*untaken(cursor, [met])[payment_id], *happened]
    return stored, events


def _decide(unit: UnitOfWork, orders: Sequence[OutgoingCommand]) -> tuple[list[Happened], list[OutgoingCommand]]:
    """Orders to payments are decided here and now, in the step's own transaction; orders to the submitter go out."""
    ours = _ours(orders)
    decided = unit.decide(ours)
    failpoint("gateway.between_steps")
    return _of_payments(ours, decided), [each for each in orders if not _is_ours(each)]


def _ours(orders: Sequence[OutgoingCommand]) -> list[Order]:
    """Those to payments, as the handler takes them."""
    return [
        Order(each.command_id, each.message, Cause(each.causation_id, each.correlation_id, each.traceparent, "gateway"))
        for each in orders
        if _is_ours(each)
    ]


def _is_ours(order: OutgoingCommand) -> bool:
    return order.message.topic.startswith("payments")


def _of_payments(orders: Sequence[Order], outcomes: Sequence[Outcome]) -> list[Happened]:
    """What was decided on the payments themselves that the orders are about."""
    decided = [(order, event) for order, outcome in zip(orders, outcomes, strict=True) for event in outcome.events]
    return [(event, event.message) for order, event in decided if event.stream_id == order.message.key]


def _newest(happened: Sequence[Happened]) -> int:
    return happened[-1][0].version


def _request(asked: Asked, accounts: Mapping[str, UUID], deadline: datetime) -> Order:
    payment_id, request = asked.payment_id, asked.request
    order = RequestPayment(
        payment_id=payment_id,
        account_id=accounts.get(request.card_token) or ids.derived("account", "unknown", request.card_token),
        card_token=request.card_token,
        amount_minor=request.amount_minor,
        currency=request.currency,
        merchant_name=request.merchant_name,
        merchant_country=request.merchant_country,
        mcc=request.mcc,
        merchant_amount_minor=request.merchant_amount_minor,
        merchant_currency=request.merchant_currency,
        trace_number=request.trace_number,
        network_reference=request.network_reference,
        deadline=deadline,
        message=request.message,
        transaction_type=request.transaction_type,
        partial_approval=request.partial_approval,
    )
    command_id = ids.step_id(payment_id, "RequestPayment")
    traceparent = request.traceparent or new_traceparent()
    return Order(command_id, order, Cause(command_id, payment_id, traceparent, request.actor))
