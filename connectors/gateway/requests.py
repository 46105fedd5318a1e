"""What the card network asks and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from streams.domain.payment import Payment


@dataclass(frozen=True)
class AuthorizationRequest:
    """An authorization request (ISO 8583 MTI 0100), amounts in minor units. The same key is the same request."""

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
    deadline_ms: int | None = None
    traceparent: str | None = None


@dataclass(frozen=True)
class AuthorizationAnswer:
    """What the payment's stream says (MTI 0110): approved or not, DE39, DE38."""

    payment_id: UUID
    approved: bool
    response_code: str
    reason: str | None
    authorization_code: str | None
    state: str


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
    )
