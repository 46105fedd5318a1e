"""Screening: a payment held against the rules. The first verdict is an event of the payment and stands."""

from __future__ import annotations

from streams.domain.circumstances import Policy
from streams.domain.reasons import Reason
from streams.domain.states.account import Account
from streams.domain.states.payment_state import Payment


def refusal(payment: Payment, account: Account | None, policy: Policy) -> Reason | None:
    """Why the payment must not stand, or None. Merchant fields are unknown for a spend that was seen on chain."""
    if account is None:
        return Reason.ACCOUNT_UNKNOWN
    if account.card_state != "active":
        return Reason.CARD_FROZEN
    if payment.card_token is not None and payment.card_token != account.card_token:
        return Reason.CARD_UNKNOWN
    if payment.mcc in policy.blocked_mccs or payment.mcc in account.blocked_mccs:
        return Reason.MCC_BLOCKED
    if payment.merchant_country in policy.blocked_countries or payment.merchant_country in account.blocked_countries:
        return Reason.COUNTRY_BLOCKED
    return None
