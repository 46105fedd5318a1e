"""What the card network asks and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from streams.domain.reasons import APPROVED, response_code
from streams.domain.states.payment import Payment


@dataclass(frozen=True)
class AuthorizationRequest:
    """An authorization request (ISO 8583 MTI 0100), or a financial one (0200), amounts in minor units. The same actor's same key is the same request.

    `actor`: who asked, as the events' metadata name him.
    """

    idempotency_key: str
    card_token: str
    amount_minor: int
    currency: str
    merchant_name: str | None = None
    merchant_country: str | None = None
    mcc: str | None = None
    merchant_amount_minor: int | None = None
    merchant_currency: str | None = None
    trace_number: str | None = None
    network_reference: str | None = None
    message: str = "authorization"
    transaction_type: str = "purchase"
    partial_approval: bool = False
    deadline_ms: int | None = None
    traceparent: str | None = None
    actor: str = "network"


@dataclass(frozen=True)
class AuthorizationAnswer:
    """What the payment's stream says (MTI 0110): approved or not, DE39, DE38."""

    payment_id: UUID
    approved: bool
    response_code: str
    reason: str | None
    authorization_code: str | None
    state: str
    approved_minor: int = 0
    spendable_minor: int | None = None


@dataclass(frozen=True)
class Opening:
    """What a message tells of a swipe that nobody was asked about."""

    card_token: str
    amount_minor: int
    currency: str
    merchant_name: str | None = None
    merchant_country: str | None = None
    mcc: str | None = None
    network_reference: str | None = None


@dataclass(frozen=True)
class MessageAnswer:
    """What a later message is told: whether it was taken, now and at every repeat; and how the payment stands, minor units."""

    payment_id: UUID
    accepted: bool
    response_code: str
    reason: str | None
    authorization_code: str | None
    state: str
    authorized_minor: int
    open_minor: int
    captured_minor: int
    refunded_minor: int


def message_answer_of(payment: Payment, message: str, message_id: str) -> MessageAnswer:
    """The answer that the stream gives to this message; one that changed nothing, and was not refused, is taken."""
    told, amounts = payment.answer(message, message_id), payment.amounts
    reason = told.reason if told else payment.unfit
    return MessageAnswer(
        payment_id=payment.payment_id,
        accepted=reason is None,
        response_code=told.response_code if told else response_code(reason) if reason else APPROVED,
        reason=reason,
        authorization_code=payment.authorization_code,
        state=payment.card,
        authorized_minor=amounts.authorized.minor,
        open_minor=amounts.open.minor,
        captured_minor=amounts.captured.minor,
        refunded_minor=amounts.refunded.minor,
    )


def answer_of(payment: Payment) -> AuthorizationAnswer:
    """The answer that the stream gives, now and at every repeat."""
    approved = payment.authorization_code is not None or payment.card == "verified"
    return AuthorizationAnswer(
        payment_id=payment.payment_id,
        approved=approved,
        response_code=payment.response_code or "91",
        reason=None if approved else payment.reason,
        authorization_code=payment.authorization_code,
        state=payment.card,
        approved_minor=payment.approved_minor,
        spendable_minor=payment.spendable_minor,
    )
