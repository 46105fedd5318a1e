"""Payments of one account with their sagas, in memory: orders and events wait in queues, each payment's in its order, as on the topics."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from infra.errors import NotAnswered
from schemas.definition import Message, Raw
from schemas.messages import account_events, payment_commands
from schemas.messages import payment_adjustment_commands as adjusting
from streams.domain.chain import facts
from streams.domain.states.payment import Leg, Payment
from streams.sagas.authorization import react
from streams.sagas.saga import Saga
from streams.sagas.silence import because
from tests.given import CENT, CUSTOMER, SETTLEMENT, Streams, registration

WHICH = st.integers(0, 9)


@dataclass
class Managed:
    """One payment's saga, what it has not heard yet, and what it ordered that nobody decided yet."""

    saga: Saga
    unheard: deque[Message] = field(default_factory=deque)
    undecided: deque[Any] = field(default_factory=deque)
    timeouts: set[str] = field(default_factory=set)
    ordered: list[Any] = field(default_factory=list)
    books: Books = field(default_factory=lambda: Books())


@dataclass
class Books:
    """What the network and we have agreed on, kept apart from the payment's own arithmetic: cents, by what was sent and accepted."""

    open: int = 0
    captured: dict[str, int] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    credited: dict[str, int] = field(default_factory=dict)

    @property
    def due(self) -> int:
        return self.open + sum(self.captured.values()) - sum(self.refunded.values()) - sum(self.credited.values())

    def take(self, order: Any, accepted: set[str], asked: int) -> None:
        """An order of the network's that led to these events."""
        match order:
            case payment_commands.AuthorizePayment() | adjusting.AdvisePayment() if "PaymentAuthorized" in accepted:
                self.open = getattr(order, "amount_minor", asked)
            case adjusting.IncrementPayment() if "PaymentIncremented" in accepted:
                self.open += order.amount_minor
            case payment_commands.ReversePayment() if "PaymentReversed" in accepted:
                self.open = 0
            case payment_commands.ReversePayment() if "PaymentPartlyReversed" in accepted:
                self.open -= self.open if order.amount_minor is None else order.amount_minor
            case payment_commands.ExpirePayment() if accepted:
                self.open = 0
            case payment_commands.CapturePayment() | adjusting.RecordPresentment() if "PaymentCaptured" in accepted:
                self.captured[order.presentment_id] = order.amount_minor
                self.open = 0 if getattr(order, "final", True) else max(0, self.open - order.amount_minor)
            case adjusting.ReverseCapture() if "CaptureReversed" in accepted:
                del self.captured[order.presentment_id]
            case adjusting.RefundPayment() | adjusting.RecordRefund() if "PaymentRefunded" in accepted:
                self.refunded[order.refund_id] = order.amount_minor
            case adjusting.ReverseRefund() if "RefundReversed" in accepted:
                del self.refunded[order.refund_id]
            case adjusting.OpenDispute() if "DisputeOpened" in accepted:
                self.credited[order.dispute_id] = order.amount_minor
            case adjusting.ResolveDispute() if "DisputeLost" in accepted:
                del self.credited[order.dispute_id]


class Payments(RuleBasedStateMachine):
    """What everybody who takes a step shares."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = Streams()
        self.streams.given(
            registration(),
            registration(
                account_id=SETTLEMENT, kind="settlement", wallet="0xSettlement", card_token=None, roles_module=None,
                opening_balance_raw=Raw(50_000 * CENT), allowance_balance_raw=Raw(0),
            ),
        )  # fmt: skip
        self.managed: dict[UUID, Managed] = {}
        self.sent: set[UUID] = set()
        self.taken_back: set[UUID] = set()
        self.moved: dict[tuple[UUID, UUID], tuple[facts.Transfer, str]] = {}
        self.height = 20

    def do(self, order: Any) -> list[Message]:
        spendable = self.streams.customer.spendable_raw(self.streams.chain_time)
        events = self.streams.when(order)
        for event in events:
            if isinstance(event, account_events.FundsHeld) and event.cause == "approval":
                assert 0 < event.amount_raw <= spendable, "only what is spendable is set aside"
            if event.topic.startswith("payments"):
                self.managed.setdefault(event.key, Managed(Saga(event.key))).unheard.append(event)
        payment_id = getattr(order, "payment_id", None)
        if payment_id in self.managed:
            payment = self.streams.states[payment_id]
            self.managed[payment_id].books.take(order, {type(each).__name__ for each in events}, payment.amount_minor)
        return events

    def pick(self, these: Sequence[Any], which: int) -> Any:
        return these[which % len(these)] if these else None

    def step(self, managed: Managed, name: str, message: Any) -> None:
        before = managed.saga
        reaction = react(before, name, message)
        at = before.parked_in or before.state
        moved = reaction.saga.state != before.state or reaction.orders or reaction.start or reaction.cancel
        if not moved and before.parked_in is None:
            assert because(at, name), f"{name} in {at} does nothing, and nobody says why: {before}"
        managed.saga = reaction.saga
        managed.timeouts -= set(reaction.cancel)
        managed.timeouts |= set(reaction.start)
        for order in reaction.orders:
            managed.undecided.append(order)
            managed.ordered.append(order)

    def leg(self, kind: str, *states: str) -> list[tuple[Payment, Leg]]:
        payments = [self.streams.states[each] for each in self.managed]
        return [(p, leg) for p in payments for leg in p.legs.values() if leg.kind == kind and leg.state in states]

    def later(self, which: int, order: Any, **told: Any) -> None:
        if payment_id := self.pick(list(self.managed), which):
            with suppress(NotAnswered):  # it may be sent again
                self.do(order(payment_id=payment_id, account_id=CUSTOMER, **told))
