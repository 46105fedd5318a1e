"""Decisions on disputes: opened with a provisional credit, won or lost. The network decides who is right; we book what follows."""

from __future__ import annotations

from schemas.messages import payment_adjustment_commands as adjusting
from schemas.messages import payment_adjustment_events as adjusted
from streams.domain.card.refusing import refused
from streams.domain.circumstances import Circumstances
from streams.domain.opening import LATER, Events, amount_of, said
from streams.domain.reasons import Reason
from streams.domain.states.account import Account
from streams.domain.states.payment_state import Payment


def open_dispute(
    order: adjusting.OpenDispute, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Credit the holder provisionally, with at most what was captured and not given back already."""
    amounts, amount = payment.amounts, amount_of(payment, order.amount_minor)
    if order.currency != payment.currency:
        return [refused(payment, "dispute", order.dispute_id, Reason.CURRENCY_UNSUPPORTED)]
    if not 0 < amount.raw <= (amounts.captured - amounts.refunded - amounts.credited).raw:
        return [refused(payment, "dispute", order.dispute_id, Reason.OVER_DISPUTE)]
    return [
        adjusted.DisputeOpened(**said(payment, amount), dispute_id=order.dispute_id, reason=order.reason, due_raw=LATER)
    ]


def resolve_dispute(
    order: adjusting.ResolveDispute, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Won: the credit stays. Lost: it is taken back."""
    amount = payment.disputes.get(order.dispute_id)
    if amount is None:
        return [refused(payment, "dispute_resolution", order.dispute_id, Reason.DISPUTE_UNKNOWN)]
    event = adjusted.DisputeWon if order.outcome == "won" else adjusted.DisputeLost
    return [event(**said(payment, amount), dispute_id=order.dispute_id, due_raw=LATER)]
