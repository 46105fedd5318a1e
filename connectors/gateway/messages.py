"""The network's messages about a payment that it asked for before, or of which it tells us first: each decided at once, in one transaction,
which it may share with others.

Each is idempotent by the network's own id of it: the same again is told the same, the same id with other fields is refused.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import Engine as Database
from sqlalchemy.exc import TimeoutError as NoConnection

from connectors.gateway.bounds import again, bounded
from connectors.gateway.requests import MessageAnswer, Opening, message_answer_of
from infra.database import Cursor, reading
from infra.errors import BadInput, Conflict, NotFound, TooLate
from infra.telemetry import new_traceparent
from schemas.definition import Message
from schemas.messages import payment_adjustment_commands as orders
from schemas.messages.payment_commands import CapturePayment, CloseSpend, RefundAgain, ReversePayment
from streams.command_handler import CommandHandler
from streams.domain import ids
from streams.domain.chain.leg_decisions import not_again, not_closed
from streams.domain.money import checked_minor
from streams.domain.states.payment import Payment
from streams.event_store.recorded import Cause
from streams.group_commit import GroupCommit
from streams.orders import Order, Outcome

ACCOUNT_OF_CARD = "SELECT account_id FROM cards WHERE card_token = %s"
NOW = "SELECT clock_timestamp()"
Build = Callable[[Payment], Message]


@dataclass(frozen=True)
class _Increment:
    """More that is asked for, and the end of its time (monotonic seconds)."""

    payment_id: UUID
    increment_id: str
    amount_minor: int
    currency: str
    actor: str
    until: float


@dataclass
class Messages:
    """Everything that follows a first answer, or comes without a question. Thread-safe. `actor`: who says it."""

    database: Database
    handler: CommandHandler
    commits: GroupCommit[Order, Outcome]
    deadline_ms: int

    def __post_init__(self) -> None:
        self.increments = GroupCommit(partial(bounded, self.database), self._increments)

    def increment(
        self,
        payment_id: UUID,
        increment_id: str,
        amount_minor: int,
        currency: str,
        actor: str,
        deadline_ms: int | None = None,
    ) -> MessageAnswer:
        """More is asked for on the same authorization: approved or declined in time, within one transaction.

        Raises TooLate where W could not be asked in time: then nothing more is approved, now or later.
        """
        until = time.monotonic() + (deadline_ms or self.deadline_ms) / 1000
        try:
            self._payment(payment_id, until)
        except NoConnection as error:
            raise TooLate("no connection to W was free in time; nothing more was approved") from error
        self._increment(_Increment(payment_id, increment_id, _positive(amount_minor), currency, actor, until))
        return self._answer(payment_id, "increment", increment_id)

    def reverse(self, payment_id: UUID, reversal_id: str, actor: str, amount_minor: int | None = None) -> MessageAnswer:
        """The network takes its authorization back, or a part of it."""
        return self._follow(
            payment_id, "reversal", reversal_id, actor,
            lambda known: ReversePayment(
                payment_id=payment_id, account_id=known.account_id, reversal_id=reversal_id, amount_minor=amount_minor
            ),
        )  # fmt: skip

    def capture(
        self, payment_id: UUID, presentment_id: str, amount_minor: int, currency: str, actor: str, *, final: bool = True
    ) -> MessageAnswer:
        """The network posts the payment, or a part of it while more is to come. Raises BadInput for what is no amount of it."""
        checked_minor(amount_minor)

        def build(known: Payment) -> Message:
            if currency != known.currency or not amount_minor:
                raise BadInput(
                    f"{amount_minor} {currency} cannot be posted to payment {payment_id}: post some {known.currency}"
                )
            return CapturePayment(
                payment_id=payment_id, presentment_id=presentment_id, amount_minor=amount_minor, currency=currency,
                final=final, account_id=known.account_id,
            )  # fmt: skip

        return self._follow(payment_id, "capture", presentment_id, actor, build)

    def reverse_capture(self, payment_id: UUID, presentment_id: str, reversal_id: str, actor: str) -> MessageAnswer:
        """The network takes a presentment back."""
        return self._follow(
            payment_id, "capture_reversal", reversal_id, actor,
            lambda known: orders.ReverseCapture(
                payment_id=payment_id, account_id=known.account_id, presentment_id=presentment_id, reversal_id=reversal_id
            ),
        )  # fmt: skip

    def refund(self, payment_id: UUID, refund_id: str, amount_minor: int, currency: str, actor: str) -> MessageAnswer:
        """The merchant gives back."""
        return self._follow(
            payment_id, "refund", refund_id, actor,
            lambda known: orders.RefundPayment(
                payment_id=payment_id, account_id=known.account_id, refund_id=refund_id,
                amount_minor=_positive(amount_minor), currency=currency,
            ),
        )  # fmt: skip

    def reverse_refund(self, payment_id: UUID, refund_id: str, reversal_id: str, actor: str) -> MessageAnswer:
        """The network takes a refund back."""
        return self._follow(
            payment_id, "refund_reversal", reversal_id, actor,
            lambda known: orders.ReverseRefund(
                payment_id=payment_id, account_id=known.account_id, refund_id=refund_id, reversal_id=reversal_id
            ),
        )  # fmt: skip

    def open_dispute(
        self, payment_id: UUID, dispute_id: str, amount_minor: int, currency: str, reason: str, actor: str
    ) -> MessageAnswer:
        """The holder disputes what was captured."""
        return self._follow(
            payment_id, "dispute", dispute_id, actor,
            lambda known: orders.OpenDispute(
                payment_id=payment_id, account_id=known.account_id, dispute_id=dispute_id,
                amount_minor=_positive(amount_minor), currency=currency, reason=reason,
            ),
        )  # fmt: skip

    def resolve_dispute(self, payment_id: UUID, dispute_id: str, outcome: str, actor: str) -> MessageAnswer:
        """The dispute was won or lost."""
        return self._follow(
            payment_id, "dispute_resolution", dispute_id, actor,
            lambda known: orders.ResolveDispute(
                payment_id=payment_id, account_id=known.account_id, dispute_id=dispute_id, outcome=outcome
            ),
        )  # fmt: skip

    def collect(self, payment_id: UUID, actor: str) -> MessageAnswer:
        """A person has what the holder owes tried once more on chain. Each call is an order of its own; where nothing is owed, it is none."""
        return self._person(payment_id, orders.CollectReceivable, actor)

    def write_off(self, payment_id: UUID, actor: str) -> MessageAnswer:
        """A person gives up what the holder owes."""
        return self._person(payment_id, orders.WriteOffReceivable, actor)

    def refund_again(self, payment_id: UUID, reason: str, actor: str) -> MessageAnswer:
        """A person has a refund that ended unpaid planned anew. Raises Conflict where none is, with why."""
        order, order_id = RefundAgain(payment_id=payment_id, reason=reason), str(uuid4())
        self._payment(payment_id)
        if not self._handle(_order(payment_id, "refund_again", order_id, order, actor)).events:
            refused = not_again(self._payment(payment_id)) or "it moved on meanwhile"
            raise Conflict(f"payment {payment_id} is not refunded again: {refused}")
        return self._answer(payment_id, "refund_again", order_id)

    def close_spend(self, payment_id: UUID, reason: str, actor: str) -> MessageAnswer:
        """A person waits no longer for a foreign spend that a reorg dropped; closed before is no error. Raises Conflict where none is, with why."""
        account_id, order_id = self._payment(payment_id).account_id, str(uuid4())
        order = CloseSpend(payment_id=payment_id, account_id=account_id, because=reason, closed_by=actor)
        self._handle(_order(payment_id, "close_spend", order_id, order, actor))
        if refused := not_closed(self._payment(payment_id)):
            raise Conflict(f"no spend of payment {payment_id} is closed: {refused}")
        return self._answer(payment_id, "close_spend", order_id)

    # -- what the network tells us first

    def advise(self, authorization: str, advice_id: str, told: Opening, actor: str) -> MessageAnswer:
        """The network approved in our stead. `authorization`: the idempotency key of the request that it answered."""
        payment_id = ids.network_payment_id(authorization, actor)
        return self._open(payment_id, "advice", advice_id, told, actor, orders.AdvisePayment, advice_id=advice_id)

    def present(self, presentment_id: str, told: Opening, actor: str) -> MessageAnswer:
        """The network posts what nobody was asked about."""
        payment_id = ids.opened_payment_id("presentment", presentment_id, actor)
        named = {"presentment_id": presentment_id}
        return self._open(payment_id, "presentment", presentment_id, told, actor, orders.RecordPresentment, **named)

    def refund_unlinked(self, refund_id: str, told: Opening, actor: str) -> MessageAnswer:
        """A refund that names no payment of ours."""
        payment_id = ids.opened_payment_id("refund", refund_id, actor)
        return self._open(
            payment_id, "unlinked_refund", refund_id, told, actor, orders.RecordRefund, refund_id=refund_id
        )

    def reverse_early(self, authorization: str, reversal_id: str, told: Opening, actor: str) -> MessageAnswer:
        """A reversal by the request's idempotency key: its authorization may be known already, or still to come."""
        payment_id = ids.network_payment_id(authorization, actor)
        order = ReversePayment(
            payment_id=payment_id, account_id=self._account(told.card_token), reversal_id=reversal_id,
            amount_minor=_positive(told.amount_minor), card_token=told.card_token, currency=told.currency,
        )  # fmt: skip
        return self._take(payment_id, "reversal", reversal_id, order, actor)

    # -- how

    def _follow(self, payment_id: UUID, message: str, message_id: str, actor: str, build: Build) -> MessageAnswer:
        """Raises NotFound for a payment we do not know."""
        return self._take(payment_id, message, message_id, build(self._payment(payment_id)), actor)

    def _open(
        self,
        payment_id: UUID,
        message: str,
        message_id: str,
        told: Opening,
        actor: str,
        kind: type[Message],
        **named: str,
    ) -> MessageAnswer:
        account_id = self._account(told.card_token)
        _positive(told.amount_minor)
        order = kind(payment_id=payment_id, account_id=account_id, **named, **told.__dict__)  # type: ignore[call-arg]
        return self._take(payment_id, message, message_id, order, actor)

    def _person(self, payment_id: UUID, kind: type[Message], actor: str) -> MessageAnswer:
        known = self._payment(payment_id)
        order = kind(payment_id=payment_id, account_id=known.account_id, actor=actor)  # type: ignore[call-arg]
        return self._take(payment_id, kind.__name__, str(uuid4()), order, actor)

    def _take(self, payment_id: UUID, message: str, message_id: str, order: Message, actor: str) -> MessageAnswer:
        self._handle(_order(payment_id, message, message_id, order, actor))
        return self._answer(payment_id, message, message_id)

    @again
    def _handle(self, order: Order) -> Outcome:
        return self.commits(order)

    @again
    def _increment(self, asked: _Increment) -> None:
        self.increments(asked, asked.until)

    def _increments(self, cursor: Cursor, asked: Sequence[_Increment]) -> list[Outcome]:
        cursor.execute(NOW)
        ((now,),) = cursor.fetchall()
        known = self.handler.states(cursor, [each.payment_id for each in asked])
        told = []
        for each in asked:
            order = orders.IncrementPayment(
                payment_id=each.payment_id, account_id=known[each.payment_id].account_id, increment_id=each.increment_id,
                amount_minor=each.amount_minor, currency=each.currency,
                deadline=now + timedelta(seconds=each.until - time.monotonic()),
            )  # fmt: skip
            told.append(_order(each.payment_id, "increment", each.increment_id, order, each.actor))
        return self.handler.handle(cursor, told)

    def _answer(self, payment_id: UUID, message: str, message_id: str) -> MessageAnswer:
        return message_answer_of(self._payment(payment_id), message, message_id)

    def _payment(self, payment_id: UUID, until: float = math.inf) -> Payment:
        with reading(self.database, until - time.monotonic()) as cursor:
            payment = self.handler.state(cursor, payment_id)
        if not isinstance(payment, Payment):
            raise NotFound(f"no payment {payment_id}")
        return payment

    def _account(self, card_token: str) -> UUID:
        with reading(self.database) as cursor:
            cursor.execute(ACCOUNT_OF_CARD, (card_token,))
            row = cursor.fetchone()
        return row[0] if row else ids.derived("account", "unknown", card_token)


def _order(payment_id: UUID, message: str, message_id: str, order: Message, actor: str) -> Order:
    """The id follows from the network's, so that a message happens once."""
    command_id = ids.derived(message, payment_id, message_id)
    return Order(command_id, order, Cause(command_id, payment_id, new_traceparent(), actor))


def _positive(amount_minor: int) -> int:
    if checked_minor(amount_minor) == 0:
        raise BadInput("an amount of 0 moves nothing; send one above it")
    return amount_minor
