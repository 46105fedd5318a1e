"""Drives a payment's first saga steps inline, with the same table and the same handler as Faust does, and answers from the stream.

The saga is leased to this process until the deadline. Each step is one transaction: saga, inbox and what was decided; those that arrive
while others are at work share the next one. Should this process die or freeze, the lease ends, the saga's timeout takes over, and may only
decline.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Engine as Database

from connectors.gateway.bounds import again, bounded
from connectors.gateway.messages import Messages
from connectors.gateway.requests import AuthorizationAnswer, AuthorizationRequest, answer_of
from connectors.gateway.steps import Asked, Opened, Steps
from infra.database import reading
from infra.errors import NotFound, TooLate
from infra.failpoints import failpoint
from infra.telemetry import new_traceparent
from schemas.codec import Codec
from schemas.definition import Message
from schemas.messages.account_commands import FreezeCard, UnfreezeCard
from schemas.messages.payment_commands import DeclinePayment
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.circumstances import Policy
from streams.domain.money import checked_minor
from streams.domain.states.account import Account
from streams.domain.states.payment import Payment
from streams.event_store import store
from streams.event_store.recorded import Cause
from streams.event_store.snapshotter import Snapshotter
from streams.group_commit import GroupCommit
from streams.orders import Order
from streams.sagas.engine import Engine, Happened

log = structlog.get_logger(__name__)
POLL_SECONDS = 0.01


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
        steps = Steps(self.handler, self.engine)
        self.opening = GroupCommit(partial(bounded, self.database, durable=False), steps.open)
        self.answering = GroupCommit(partial(bounded, self.database), steps.answer)
        self.commits = GroupCommit(partial(bounded, self.database), self.handler.handle)
        self.messages = Messages(self.database, self.handler, self.commits, self.deadline_ms)

    def authorize(self, request: AuthorizationRequest) -> AuthorizationAnswer:
        """Approve or decline, in time. The same request of the same caller again is told the same.

        Raises CommandIdReused for another one under its key, BadInput for what is no amount, TooLate where W could not be
        asked in time (a rival holds the account's row, say): then nothing is approved, now or later.
        """
        checked_minor(request.amount_minor)
        until = time.monotonic() + (request.deadline_ms or self.deadline_ms) / 1000
        payment_id = ids.network_payment_id(request.idempotency_key, request.actor)
        opened = self._open(Asked(payment_id, request, until))
        failpoint("gateway.after_hold")
        payment = self._drive(payment_id, opened.held, until) if opened.held else None
        return answer_of(payment) if payment is not None else self._answer(payment_id, opened.deadline, until)

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
    def _open(self, asked: Asked) -> Opened:
        return self.opening(asked, asked.until)

    def _drive(self, payment_id: UUID, held: Sequence[Happened], until: float) -> Payment | None:
        """The payment, answered. None where the lease is over: too late, the timeout has it."""
        try:
            return self._steps(held, until)
        except TooLate as error:
            log.info("authorization_too_late", payment_id=str(payment_id), error=str(error))
            return None

    @again
    def _steps(self, held: Sequence[Happened], until: float) -> Payment | None:
        return self.answering(held, until)

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

    def _decline(self, payment: Payment, until: float) -> None:
        """Nobody answered in time. Whoever comes first, the stream holds one answer."""
        order = DeclinePayment(payment_id=payment.payment_id, account_id=payment.account_id, reason="deadline")
        command_id = ids.step_id(payment.payment_id, "DeclinePayment/gateway")
        self._handle(Order(command_id, order, _cause(command_id, payment.payment_id, "gateway")), until)

    def _account_order(self, order: Message, actor: str) -> None:
        with reading(self.database) as cursor:
            if not isinstance(self.handler.state(cursor, order.key), Account):
                raise NotFound(f"no account {order.key}")
        command_id = uuid4()
        self._handle(Order(command_id, order, _cause(command_id, command_id, actor)))

    @again
    def _handle(self, order: Order, until: float = math.inf) -> None:
        self.commits(order, until)


def _cause(causation_id: UUID, correlation_id: UUID, actor: str) -> Cause:
    return Cause(causation_id, correlation_id, new_traceparent(), actor)
