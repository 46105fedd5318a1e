"""What the card network says of PAYMENT after it has asked, and what a person orders of it: each as a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from schemas.definition import Message
from schemas.messages import payment_adjustment_commands as adjusting
from schemas.messages import payment_commands
from tests.given import CARD, CUSTOMER, PAYMENT

M = TypeVar("M", bound=Message)

OURS: dict[str, Any] = {"payment_id": PAYMENT, "account_id": CUSTOMER}
UNDO_CAPTURE = adjusting.ReverseCapture(**OURS, presentment_id="p1", reversal_id="cr1")
UNDO_REFUND = adjusting.ReverseRefund(**OURS, refund_id="f1", reversal_id="fr1")
COLLECT = adjusting.CollectReceivable(**OURS, actor="test")
WRITE_OFF = adjusting.WriteOffReceivable(**OURS, actor="test")


def capture(
    cents: int = 1_000, presentment: str = "p1", currency: str = "EUR", *, final: bool = True
) -> payment_commands.CapturePayment:
    """The network posts."""
    return payment_commands.CapturePayment(
        **OURS, presentment_id=presentment, amount_minor=cents, currency=currency, final=final
    )


def told(order: Callable[..., M], cents: int | None = 1_000, **more: Any) -> M:
    """A later message of the network about PAYMENT."""
    amount = {} if cents is None else {"amount_minor": cents, "currency": "EUR"}
    return order(**OURS, **amount, **more)


def increment(cents: int = 200, name: str = "i1", **more: Any) -> adjusting.IncrementPayment:
    """More is asked for."""
    return told(adjusting.IncrementPayment, cents, increment_id=name, **more)


def reverse(cents: int | None = None, name: str = "r1") -> payment_commands.ReversePayment:
    """The network takes back: so much, or all that is open."""
    return payment_commands.ReversePayment(**OURS, reversal_id=name, amount_minor=cents)


def give_back(cents: int = 400, name: str = "f1") -> adjusting.RefundPayment:
    """The merchant gives back."""
    return told(adjusting.RefundPayment, cents, refund_id=name)


def dispute(cents: int = 1_000, name: str = "d1") -> adjusting.OpenDispute:
    """The holder disputes."""
    return told(adjusting.OpenDispute, cents, dispute_id=name, reason="fraud")


def resolve(outcome: str, name: str = "d1") -> adjusting.ResolveDispute:
    """The dispute is decided."""
    return adjusting.ResolveDispute(**OURS, dispute_id=name, outcome=outcome)


def advice(cents: int = 1_000, **more: Any) -> adjusting.AdvisePayment:
    """The network approved in our stead."""
    return told(adjusting.AdvisePayment, cents, card_token=CARD, advice_id="a1", **more)


def presentment(cents: int = 1_000, **more: Any) -> adjusting.RecordPresentment:
    """The network posts what nobody was asked about."""
    return told(adjusting.RecordPresentment, cents, card_token=CARD, presentment_id="p0", **more)


def unlinked_refund(cents: int = 400, **more: Any) -> adjusting.RecordRefund:
    """A refund that names no payment of ours."""
    return told(adjusting.RecordRefund, cents, card_token=CARD, refund_id="f0", **more)
