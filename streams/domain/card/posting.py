"""Decisions on what the network posts: presentments and their reversals, refunds and theirs. What it posts has happened: it is booked."""

from __future__ import annotations

from schemas.messages import payment_adjustment_commands as adjusting
from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_commands as orders
from schemas.messages import payment_events as on_payment
from streams.domain.card.refusing import refused
from streams.domain.circumstances import Circumstances
from streams.domain.opening import LATER, Events, amount_of, opening, positive_of, said
from streams.domain.reasons import Reason
from streams.domain.states.account import Account
from streams.domain.states.amounts import Amount
from streams.domain.states.payment_state import Payment


def capture(
    order: orders.CapturePayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Post a presentment: against what is open, as far as that reaches; whatever is posted beyond it is due as well."""
    if order.currency != payment.currency:
        return [refused(payment, "capture", order.presentment_id, Reason.CURRENCY_UNSUPPORTED)]
    amount, open_ = amount_of(payment, order.amount_minor), payment.amounts.open
    if amount.raw == 0:
        return []
    if amount.minor == open_.minor:
        amount = open_  # with the dust of a spend that was seen on chain
    return [
        on_payment.PaymentCaptured(
            **said(payment, amount),
            presentment_id=order.presentment_id,
            final=order.final or amount.raw >= open_.raw,
            forced=open_.raw == 0,
        )
    ]


def present(
    order: adjusting.RecordPresentment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """A presentment without an authorization opens a payment that is captured."""
    events, opened = opening(order, "presentment", account)
    if not opened.open:
        return events
    amount = positive_of(opened, order.amount_minor)
    return [
        *events,
        on_payment.PaymentCaptured(**said(opened, amount), presentment_id=order.presentment_id, forced=True),
    ]


def reverse_capture(
    order: adjusting.ReverseCapture, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Take one presentment back, all of it."""
    amount = payment.posted.get(order.presentment_id)
    if amount is None:
        return [refused(payment, "capture_reversal", order.reversal_id, Reason.PRESENTMENT_UNKNOWN)]
    return [
        adjusted.CaptureReversed(
            **said(payment, amount),
            presentment_id=order.presentment_id,
            reversal_id=order.reversal_id,
            due_raw=LATER,
        )
    ]


def refund(
    order: adjusting.RefundPayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Give back; more than was captured is given back too, and flagged."""
    if order.currency != payment.currency:
        return [refused(payment, "refund", order.refund_id, Reason.CURRENCY_UNSUPPORTED)]
    amount = amount_of(payment, order.amount_minor)
    return [_refunded(payment, order.refund_id, amount, unlinked=payment.card == "refunded")] if amount.raw else []


def record_refund(
    order: adjusting.RecordRefund, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """A refund that names no payment of ours opens one that is nothing but a credit."""
    events, opened = opening(order, "refund", account)
    if not opened.open:
        return events
    amount = positive_of(opened, order.amount_minor)
    return [*events, _refunded(opened, order.refund_id, amount, unlinked=True)]


def _refunded(payment: Payment, refund_id: str, amount: Amount, *, unlinked: bool) -> adjusted.PaymentRefunded:
    after = payment.amounts.refunded.minor + amount.minor
    return adjusted.PaymentRefunded(
        **said(payment, amount),
        refund_id=refund_id,
        exceeds=not unlinked and after > payment.amounts.captured.minor,
        unlinked=unlinked,
        due_raw=LATER,
    )


def reverse_refund(
    order: adjusting.ReverseRefund, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Take one refund back, all of it."""
    amount = payment.refunds.get(order.refund_id)
    if amount is None:
        return [refused(payment, "refund_reversal", order.reversal_id, Reason.REFUND_UNKNOWN)]
    return [
        adjusted.RefundReversed(
            **said(payment, amount),
            refund_id=order.refund_id,
            reversal_id=order.reversal_id,
            unlinked=payment.card == "refunded",
            due_raw=LATER,
        )
    ]
