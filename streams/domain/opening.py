"""How a payment begins: asked by the network, or told by it (advice, presentment, refund, reversal of what has not come)."""

from __future__ import annotations

from typing import Any

from infra.errors import BadInput
from schemas.definition import Message, Raw
from schemas.messages import payment_events as on_payment
from streams.domain.money import EXPONENTS, checked_minor, raw_of
from streams.domain.reasons import Reason, response_code
from streams.domain.states.account import Account
from streams.domain.states.amounts import Amount
from streams.domain.states.payment import evolve
from streams.domain.states.payment_state import Payment

Events = list[Message]
"""What a decision gives: what happened, in the order in which it is appended."""
LATER = Raw(0)
"""`due_raw` of an event, until the consequences are drawn: they fill it in."""
TOLD = (
    "merchant_name", "merchant_country", "mcc", "merchant_amount_minor", "merchant_currency", "trace_number",
    "network_reference", "deadline", "transaction_type", "partial_approval",
)  # fmt: skip
"""What an order may tell of the swipe, where it has such a field."""


def opened(order: Any, message: str, account: Account | None) -> tuple[on_payment.PaymentRequested, Reason | None]:
    """The request as an event, and why nothing can come of it. Raises BadInput for what is no amount."""
    minor = checked_minor(order.amount_minor or 0)
    fits = account is not None and order.currency == account.currency and order.currency in EXPONENTS
    decimals = account.decimals if account else 0
    requested = on_payment.PaymentRequested(
        payment_id=order.payment_id,
        account_id=order.account_id,
        origin="network",
        card_token=order.card_token,
        amount_minor=minor,
        currency=order.currency,
        amount_raw=Raw(raw_of(minor, order.currency, decimals) if fits else 0),
        decimals=decimals,
        message=message,
        **{name: getattr(order, name) for name in TOLD if hasattr(order, name)},
    )
    if account is None or account.kind != "customer":
        return requested, Reason.ACCOUNT_UNKNOWN
    return requested, None if fits else Reason.CURRENCY_UNSUPPORTED


def opening(order: Any, message: str, account: Account | None) -> tuple[Events, Payment]:
    """The events that open a payment which nobody asked about, and the payment: open, or declined already."""
    requested, reason = opened(order, message, account)
    events: Events = [requested, *([declined(requested, reason)] if reason else [])]
    payment: Payment | None = None
    for event in events:
        payment = evolve(payment, event)
    assert payment is not None
    return events, payment


def declined(requested: Any, reason: str) -> on_payment.PaymentDeclined:
    """The decline of a payment, or of the request that just opened one."""
    return on_payment.PaymentDeclined(
        payment_id=requested.payment_id,
        account_id=requested.account_id,
        reason=str(reason),
        response_code=response_code(reason),
    )


def amount_of(payment: Payment, minor: int) -> Amount:
    """An amount that the network names, in both units. Raises BadInput for what is none."""
    checked_minor(minor)
    return Amount(minor, raw_of(minor, payment.currency, payment.decimals))


def positive_of(payment: Payment, minor: int) -> Amount:
    """An amount that something moves for. Raises BadInput for nothing, and for what is no amount."""
    if minor == 0:
        raise BadInput("an amount of 0 moves nothing; send one above it")
    return amount_of(payment, minor)


def said(payment: Payment, amount: Amount) -> dict[str, Any]:
    """The fields in which an event tells an amount of its payment."""
    return {
        "payment_id": payment.payment_id,
        "amount_minor": amount.minor,
        "currency": payment.currency,
        "amount_raw": Raw(amount.raw),
        "decimals": payment.decimals,
    }
