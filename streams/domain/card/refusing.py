"""A message of the network that does not fit how the payment stands, as an event: nothing changed, and why."""

from __future__ import annotations

from schemas.messages.payment_adjustment_events import CardMessageRefused
from streams.domain.reasons import Reason, response_code
from streams.domain.states.payment_state import Payment


def refused(payment: Payment, message: str, message_id: str, reason: Reason) -> CardMessageRefused:
    """The refusal, with the network's response code."""
    return CardMessageRefused(
        payment_id=payment.payment_id,
        message=message,
        message_id=message_id,
        reason=reason,
        response_code=response_code(reason),
    )
