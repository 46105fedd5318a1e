"""What our short words mean, in a sentence's words; and amounts and times as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

REASONS: Mapping[str, str] = {
    "account_unknown": "no account of ours has this card",
    "card_unknown": "the card is not this account's card",
    "card_frozen": "the card is frozen",
    "currency_unsupported": "the account holds no token of this currency",
    "insufficient_funds": "the free funds do not reach",
    "over_limit": "the allowance that the holder set on chain does not reach",
    "over_transaction_limit": "more than the card may pay at once",
    "over_day_limit": "more than the card may pay in a day",
    "over_month_limit": "more than the card may pay in a month",
    "over_cash_limit": "more than the card may draw in cash",
    "over_velocity": "too often, or too much, within the card's window",
    "withdrawal_pending": "the holder has a withdrawal in the Delay queue",
    "account_integrity": "the account's modules or owners are not in order",
    "mcc_blocked": "this kind of merchant is blocked, by the programme or for this card",
    "country_blocked": "the merchant's country is blocked, by the programme or for this card",
    "chain_stale": "our view of the chain was too old to approve anything",
    "deadline": "nobody answered before the deadline",
    "reversed": "the network took it back",
    "expired": "nobody captured it in time",
    "declined": "it was declined",
    "authorized": "it was approved",
    "captured": "the network posted it",
    "leg_ended_unpaid": "the spend can never happen any more",
    "closed": "a person waits for it no longer",
    "invalidated": "the signer's invalidation is final",
    "patience": "it was not mined for long, and nobody wants it any more",
    "queue_emptied": "the Delay queue is empty at a final block, whoever carried what was in it",
    "nonce_used": "its one nonce went into another transaction, or into a final revert",
    "not_final_in_time": "its movement was not final in time",
    "not_decided_in_time": "it was not decided in time",
    "unseen_too_long": "a reorg took the spend out of sight, and it has not come back",
    "approved_but_unpaid": "we approved, and the spend can never happen: the issuer's loss until a person collects it",
    "refund_ended_unpaid": "the refund can never happen any more: a person has it planned anew",
    "advice": "the network approved in our stead",
    "incremented": "more was approved",
    "partly_reversed": "the network took a part back",
    "corrected": "the network took a presentment back",
    "refunded": "the merchant gave back",
    "refund_reversed": "the network took a refund back",
    "disputed": "the holder disputes it: a provisional credit",
    "dispute_lost": "the dispute was lost",
    "collected": "a person had it tried once more",
    "mined_after_all": "the spend that a person had closed stands in a block",
    "written_off": "a person gave it up",
    "not_authorized": "nothing of it is approved and open",
    "not_captured": "nothing of it is posted",
    "already_captured": "it is posted: a refund or a clearing reversal gives it back",
    "over_reversal": "more than is open",
    "presentment_unknown": "no such presentment is posted",
    "refund_unknown": "no such refund is known",
    "dispute_unknown": "no such dispute is open",
    "over_dispute": "more than was captured and not given back",
    "credit_only": "the payment is nothing but a credit",
    "verification_only": "a verification holds nothing",
    "undecodable": "the bytes are no message of ours",
}
RESPONSES: Mapping[str, str] = {
    "00": "approved",
    "05": "do not honour",
    "10": "approved in part",
    "12": "invalid transaction",
    "13": "invalid amount",
    "14": "invalid card number",
    "21": "no action taken",
    "25": "unable to locate record",
    "51": "insufficient funds",
    "57": "not permitted to the cardholder",
    "61": "over the limit",
    "62": "restricted card",
    "65": "over the limit of frequency",
    "91": "issuer unavailable",
}
OUTCOMES: Mapping[str, str] = {
    "open": "under way: an answer, a movement, finality or a refund is to come",
    "settled": "approved, and the money has moved for good",
    "declined": "nothing moved",
    "refunded": "what had moved was paid back",
    "unseen": "a reorg dropped the spend, it may be mined again",
    "verified": "the card is good: a zero amount, nothing moves",
    "unpaid": "a movement that was owed can never happen any more",
}
KINDS: Mapping[str, str] = {
    "spend": "spend (Safe to settlement)",
    "refund": "refund (settlement to Safe)",
    "invalidation": "invalidation of the spend",
    "hold": "hold",
    "opening": "opening balance",
    "settlement_in": "settlement receives",
    "settlement_out": "settlement pays",
}
PHASES: Mapping[str, str] = {"pend": "pending", "void": "pending ends", "post": "posted"}
ORIGINS: Mapping[str, str] = {"network": "the card network asked", "chain": "first seen on chain"}
DRIVERS: Mapping[str, str] = {
    "gateway": "inline, by the gateway",
    "sagas": "over Kafka, by the saga worker",
    "timeout": "by a timeout",
    "operator": "by an operator",
}


def reason(word: str | None) -> str:
    """The reason in words, with its short word behind; what is not in the table stands for itself."""
    if word is None:
        return "no reason was given"
    return f"{REASONS[word]} ({word})" if word in REASONS else word


def response(code: str | None) -> str:
    """DE39 in words."""
    return f"{code} {RESPONSES.get(code or '', '')}".strip() if code else "no response code"


def minor(amount: Any, currency: str) -> str:
    """2000 -> 20.00 EUR: the currencies we know have two decimals."""
    return f"{Decimal(int(amount)) / 100:,.2f} {currency}"


def raw(amount: Any, decimals: int, currency: str = "") -> str:
    """Raw units as a decimal number, no digit lost: 20 EUR, 0.000000000000000007 EUR."""
    sign, digits = "-" * (int(amount) < 0), str(abs(int(amount))).rjust(decimals + 1, "0")
    whole, rest = digits[: len(digits) - decimals], digits[len(digits) - decimals :].rstrip("0")
    number = f"{sign}{int(whole):,}" + (f".{rest.ljust(2, '0')}" if rest else ".00")
    return f"{number} {currency}".strip()


def since(moment: datetime, start: datetime) -> str:
    """How long after the start, in the unit that fits."""
    seconds = (moment - start).total_seconds()
    sign, size = "-" if seconds < 0 else "+", abs(seconds)
    if size < 1:
        return f"{sign}{size * 1000:.0f} ms"
    if size < 120:
        return f"{sign}{size:.2f} s"
    if size < 7200:
        return f"{sign}{size / 60:.1f} min"
    return f"{sign}{size / 3600:.1f} h" if size < 172_800 else f"{sign}{size / 86_400:.1f} d"


def short(value: str | None) -> str:
    """An id or a hash that a person can hold in mind: 0x12ab34cd…9f01."""
    return "-" if not value else value if len(value) <= 14 else f"{value[:10]}…{value[-4:]}"
