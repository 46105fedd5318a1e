"""Drives a payment's first saga steps inline, with the same table and the same handler as Faust does, and answers from the stream.

The saga is leased to this process until the deadline. Each step is one transaction: saga, inbox and what was decided. Should this
process die or freeze, the lease ends, the saga's timeout takes over, and may only decline.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Engine as Database

from connectors.gateway.bounds import DURABLE, again, bounded
from connectors.gateway.messages import Messages
from connectors.gateway.requests import AuthorizationAnswer, AuthorizationRequest, answer_of
from infra.database import Cursor, transaction
from infra.errors import NotFound, TooLate
from infra.failpoints import failpoint
from infra.telemetry import new_traceparent
from schemas.codec import Codec
from schemas.definition import Message
from schemas.messages.account_commands import FreezeCard, UnfreezeCard
from schemas.messages.payment_commands import DeclinePayment, RequestPayment
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.account import Account
from streams.domain.circumstances import Policy
from streams.domain.money import checked_minor
from streams.domain.payment import Payment
from streams.event_store import store
from streams.event_store.recorded import Cause
from streams.event_store.snapshotter import Snapshotter
from streams.event_store.store import OutgoingCommand
from streams.orders import Order, Outcome
from streams.sagas import rows
from streams.sagas.engine import Engine, Happened, orders_of, take, untaken
from streams.sagas.rows import Stored
from streams.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)
POLL_SECONDS = 0.01
CARD = "SELECT clock_timestamp(), (SELECT account_id FROM cards WHERE card_token = %s)"


@dataclass
class Gateway:
    """The card network's questions and the operator's orders, answered at once; its later messages: `messages`. Thread-safe."""

    database: Database
    codec: Codec
    policy: Policy
    deadline_ms: int

    def __post_init__(self) -> None:
        self.handler = CommandHandler(self.codec, self.policy, snapshotter=Snapshotter(self.database))
        self.engine = Engine(self.policy, "gateway", lambda cursor, orders: store.send(cursor, self.codec, orders))
        self.messages = Messages(self.database, self.handler, self.deadline_ms)

    def authorize(self, request: AuthorizationRequest) -> AuthorizationAnswer:
        """Approve or decline, in time. The same request again is told the same.

        Raises CommandIdReused for another one under its key, BadInput for what is no amount, TooLate where W could not be
        asked in time (a rival holds the account's row, say): then nothing is approved, now or later.
        """
        checked_minor(request.amount_minor)
        until = time.monotonic() + (request.deadline_ms or self.deadline_ms) / 1000
        payment_id = ids.network_payment_id(request.idempotency_key)
        held, deadline = self._open(payment_id, request, until)
        failpoint("gateway.after_hold")
        payment = self._drive(payment_id, held, until) if held else None
        return answer_of(payment) if payment is not None else self._answer(payment_id, deadline, until)

    def freeze_card(self, account_id: UUID, reason: str, actor: str) -> None:
        """Freeze the account's card; frozen already is no error. Raises NotFound for an account we do not know."""
        self._account_order(FreezeCard(account_id=account_id, reason=reason), actor)

    def unfreeze_card(self, account_id: UUID, reason: str, actor: str) -> None:
        """Make the account's card active; active already is no error. Raises NotFound for an account we do not know."""
        self._account_order(UnfreezeCard(account_id=account_id, reason=reason), actor)

    def control_card(self, order: Message, actor: str) -> None:
        """Limits and blocks of the account's card; as they are already is no error. Raises NotFound for an account we do not know."""
        self._account_order(order, actor)

    @again
    def _open(self, payment_id: UUID, request: AuthorizationRequest, until: float) -> tuple[list[Happened], datetime]:
        """The first step, one transaction: the request, the saga under our lease, the hold. Gives what the saga takes next.

        Its commit need not wait for the disk: nobody was told anything yet, and the answer's own commit brings both there. Nothing comes
        next where the request was answered before, or is by now: then the saga is nobody's, and the disk is waited for.
        """
        with bounded(self.database, until, durable=False) as cursor:
            cursor.execute(CARD, (request.card_token,))
            ((now, account_id),) = cursor.fetchall()
            deadline = now + timedelta(seconds=until - time.monotonic())
            order = _request(payment_id, account_id, request, deadline)
            unit = self.handler.begin(cursor)
            (requested,) = unit.decide([order])
            if requested.repeated:
                return [], deadline
            held: list[Happened] = []

            def hold(orders: Sequence[OutgoingCommand]) -> tuple[list[Happened], list[OutgoingCommand]]:
                """This transaction's last word: what comes of it is the next one's first."""
                happened, leaving = _decide(unit, payment_id, orders)
                held.extend(happened)
                stored.leased = bool(held)
                return [], leaving

            if events := _of(payment_id, [requested]):
                stored, events = _leased(cursor, payment_id, events, deadline)
                self.engine.follow(cursor, stored, events, hold)
            if not held:
                cursor.postpone(DURABLE)
            unit.append()
            failpoint("gateway.before_hold_commit")
            return held, deadline

    def _drive(self, payment_id: UUID, held: Sequence[Happened], until: float) -> Payment | None:
        """The payment, answered. None where the lease is over: too late, the timeout has it."""
        try:
            return self._steps(payment_id, held, until)
        except TooLate as error:
            log.info("authorization_too_late", payment_id=str(payment_id), error=str(error))
            return None

    @again
    def _steps(self, payment_id: UUID, held: Sequence[Happened], until: float) -> Payment | None:
        """Screen, and approve with the spend's order, or decline; then give the saga back. None: it is not ours, or still open."""
        with bounded(self.database, until) as cursor:
            stored = rows.lock(cursor, [payment_id])[payment_id]
            if not stored.leased:
                return None
            unit = self.handler.begin(cursor)
            streams = [payment_id, *([stored.saga.account_id] if stored.saga.account_id else [])]
            unit.lock(streams, _ours(orders_of(take(replace(stored), held))))
            nobody_else = unit.versions[payment_id] == held[-1][0].version
            events = held if nobody_else else untaken(cursor, [stored])[payment_id]
            stored.leased = False
            self.engine.follow(cursor, stored, events, partial(_decide, unit, payment_id))
            unit.append()
            payment: Payment = unit.states[payment_id]
            failpoint("gateway.before_answer_commit")
        return None if payment.open else payment

    def _answer(self, payment_id: UUID, deadline: datetime, until: float) -> AuthorizationAnswer:
        """What the stream says. While another process still drives it we wait, but not beyond the deadline."""
        while True:
            payment, now = self._look(payment_id, until)
            if not payment.open:
                return answer_of(payment)
            if now > deadline:
                self._decline(payment, until)
            else:
                time.sleep(POLL_SECONDS)

    def _look(self, payment_id: UUID, until: float) -> tuple[Payment, datetime]:
        with bounded(self.database, until) as cursor:
            cursor.execute("SELECT clock_timestamp()")
            ((now,),) = cursor.fetchall()
            payment: Payment | None = self.handler.state(cursor, payment_id)
        if payment is None:
            raise NotFound(f"no payment {payment_id}")
        return payment, now

    @again
    def _decline(self, payment: Payment, until: float) -> None:
        """Nobody answered in time. Whoever comes first, the stream holds one answer."""
        order = DeclinePayment(payment_id=payment.payment_id, account_id=payment.account_id, reason="deadline")
        command_id = ids.step_id(payment.payment_id, "DeclinePayment/gateway")
        with bounded(self.database, until) as cursor:
            self.handler.handle(cursor, [Order(command_id, order, _cause(command_id, payment.payment_id, "gateway"))])

    def _account_order(self, order: Message, actor: str) -> None:
        with transaction(self.database) as cursor:
            if not isinstance(self.handler.state(cursor, order.key), Account):
                raise NotFound(f"no account {order.key}")
        command_id = uuid4()
        self._handle(Order(command_id, order, _cause(command_id, command_id, actor)))

    @again
    def _handle(self, order: Order) -> None:
        with transaction(self.database) as cursor:
            self.handler.handle(cursor, [order])


def _leased(
    cursor: Cursor, payment_id: UUID, events: list[Happened], deadline: datetime
) -> tuple[Stored, list[Happened]]:
    """The saga under our lease, and what it takes: these events, after those that it has not taken yet, of a reversal that came first, say."""
    if events[0][0].version == 1:
        return rows.open_leased(cursor, payment_id, deadline), events
    stored = rows.lease(cursor, payment_id, deadline)
    return stored, [*untaken(cursor, [stored])[payment_id], *events]


def _decide(
    unit: UnitOfWork, payment_id: UUID, orders: Sequence[OutgoingCommand]
) -> tuple[list[Happened], list[OutgoingCommand]]:
    """Orders to payments are decided here and now, in the step's own transaction; orders to the submitter go out."""
    decided = unit.decide(_ours(orders))
    failpoint("gateway.between_steps")
    return _of(payment_id, decided), [each for each in orders if not _is_ours(each)]


def _ours(orders: Sequence[OutgoingCommand]) -> list[Order]:
    """Those to payments, as the handler takes them."""
    return [
        Order(each.command_id, each.message, Cause(each.causation_id, each.correlation_id, each.traceparent, "gateway"))
        for each in orders
        if _is_ours(each)
    ]


def _is_ours(order: OutgoingCommand) -> bool:
    return order.message.topic.startswith("payments")


def _of(payment_id: UUID, outcomes: Sequence[Outcome]) -> list[Happened]:
    """What was decided on the payment itself."""
    events = (event for outcome in outcomes for event in outcome.events)
    return [(event, event.message) for event in events if event.stream_id == payment_id]


def _request(payment_id: UUID, account_id: UUID | None, request: AuthorizationRequest, deadline: datetime) -> Order:
    order = RequestPayment(
        payment_id=payment_id,
        account_id=account_id or ids.derived("account", "unknown", request.card_token),
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
    return Order(command_id, order, Cause(command_id, payment_id, traceparent, "network"))


def _cause(causation_id: UUID, correlation_id: UUID, actor: str) -> Cause:
    return Cause(causation_id, correlation_id, new_traceparent(), actor)
