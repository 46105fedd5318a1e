"""Why we decline, and what the network is told: each reason with its response code (ISO 8583 DE39)."""

from __future__ import annotations

APPROVED = "00"

RESPONSE_CODES = {
    "account_unknown": "14",  # invalid card number
    "card_unknown": "14",
    "card_frozen": "62",  # restricted card
    "currency_unsupported": "12",  # invalid transaction
    "insufficient_funds": "51",
    "over_limit": "61",  # exceeds the allowance that the holder set on chain
    "withdrawal_pending": "62",
    "account_integrity": "62",
    "mcc_blocked": "57",  # transaction not permitted to cardholder
    "country_blocked": "57",
    "chain_stale": "91",  # issuer unavailable
    "deadline": "91",
    "reversed": "00",  # the network took it back itself
}


def response_code(reason: str) -> str:
    """DE39 for a reason; 05, do not honour, for one without a code of its own."""
    return RESPONSE_CODES.get(reason, "05")
