"""Screening: a payment held against the rules. The first verdict is an event of the payment and stands."""

from __future__ import annotations

from streams.domain.account import Account
from streams.domain.circumstances import Policy
from streams.domain.payment import Payment


def refusal(payment: Payment, account: Account | None, policy: Policy) -> str | None:
    """Why the payment must not stand, or None. Merchant fields are unknown for a spend that was seen on chain."""
    if account is None:
        return "account_unknown"
    if account.card_state != "active":
        return "card_frozen"
    if payment.card_token is not None and payment.card_token != account.card_token:
        return "card_unknown"
    if payment.mcc in policy.blocked_mccs:
        return "mcc_blocked"
    if payment.merchant_country in policy.blocked_countries:
        return "country_blocked"
    return None
