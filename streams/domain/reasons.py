"""Why we decline or refuse, and what the network is told: each reason with its response code (ISO 8583 DE39)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

APPROVED, APPROVED_IN_PART, DO_NOT_HONOUR = "00", "10", "05"


class Reason(StrEnum):
    """Every reason of ours. On the wire it is its word, so that the list may grow."""

    ACCOUNT_UNKNOWN = "account_unknown"
    CARD_UNKNOWN = "card_unknown"
    CARD_FROZEN = "card_frozen"
    CURRENCY_UNSUPPORTED = "currency_unsupported"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    OVER_LIMIT = "over_limit"
    OVER_TRANSACTION_LIMIT = "over_transaction_limit"
    OVER_DAY_LIMIT = "over_day_limit"
    OVER_MONTH_LIMIT = "over_month_limit"
    OVER_CASH_LIMIT = "over_cash_limit"
    OVER_VELOCITY = "over_velocity"
    WITHDRAWAL_PENDING = "withdrawal_pending"
    ACCOUNT_INTEGRITY = "account_integrity"
    MCC_BLOCKED = "mcc_blocked"
    COUNTRY_BLOCKED = "country_blocked"
    CHAIN_STALE = "chain_stale"
    DEADLINE = "deadline"
    REVERSED = "reversed"
    NOT_AUTHORIZED = "not_authorized"
    NOT_CAPTURED = "not_captured"
    ALREADY_CAPTURED = "already_captured"
    OVER_REVERSAL = "over_reversal"
    PRESENTMENT_UNKNOWN = "presentment_unknown"
    REFUND_UNKNOWN = "refund_unknown"
    DISPUTE_UNKNOWN = "dispute_unknown"
    DISPUTED = "disputed"
    OVER_DISPUTE = "over_dispute"
    CREDIT_ONLY = "credit_only"
    VERIFICATION_ONLY = "verification_only"


RESPONSE_CODES: Mapping[str, str] = {
    Reason.ACCOUNT_UNKNOWN: "14",  # invalid card number
    Reason.CARD_UNKNOWN: "14",
    Reason.CARD_FROZEN: "62",  # restricted card
    Reason.CURRENCY_UNSUPPORTED: "12",  # invalid transaction
    Reason.INSUFFICIENT_FUNDS: "51",
    Reason.OVER_LIMIT: "61",  # exceeds the allowance that the holder set on chain
    Reason.OVER_TRANSACTION_LIMIT: "61",  # exceeds the card's limit of amount
    Reason.OVER_DAY_LIMIT: "61",
    Reason.OVER_MONTH_LIMIT: "61",
    Reason.OVER_CASH_LIMIT: "61",
    Reason.OVER_VELOCITY: "65",  # exceeds the limit of frequency
    Reason.WITHDRAWAL_PENDING: "62",
    Reason.ACCOUNT_INTEGRITY: "62",
    Reason.MCC_BLOCKED: "57",  # transaction not permitted to cardholder
    Reason.COUNTRY_BLOCKED: "57",
    Reason.CHAIN_STALE: "91",  # issuer unavailable
    Reason.DEADLINE: "91",
    Reason.REVERSED: DO_NOT_HONOUR,  # the network took it back itself; what is not approved is never told 00
    Reason.NOT_AUTHORIZED: "12",
    Reason.NOT_CAPTURED: "12",
    Reason.ALREADY_CAPTURED: "21",  # no action taken
    Reason.OVER_REVERSAL: "13",  # invalid amount
    Reason.PRESENTMENT_UNKNOWN: "25",  # unable to locate record
    Reason.REFUND_UNKNOWN: "25",
    Reason.DISPUTE_UNKNOWN: "25",
    Reason.DISPUTED: "21",
    Reason.OVER_DISPUTE: "13",
    Reason.CREDIT_ONLY: "12",
    Reason.VERIFICATION_ONLY: "12",
}


def response_code(reason: str) -> str:
    """DE39 for a reason; 05, do not honour, for one without a code of its own."""
    return RESPONSE_CODES.get(reason, DO_NOT_HONOUR)
