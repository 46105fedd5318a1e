"""Orders to a payment. What reads times and verdicts is not compared when the same command comes a second time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from schemas.definition import Message, Raw, f, message
from schemas.topics import PAYMENT_COMMANDS

PAYMENT = "The payment."
ACCOUNT = "The account that pays."


@message(PAYMENT_COMMANDS, "payment_id", schema_version=2)
class RequestPayment(Message):
    """The card network asks whether a payment may be made."""

    payment_id: UUID = f("The payment: uuid5 of the network's idempotency key.")
    account_id: UUID = f(
        "The card's account when the request came; the card is what a repeat must agree with.", business=False
    )
    card_token: str = f("Token of the card.")
    amount_minor: int = f("Billing amount, minor units; 0 asks for an account verification.")
    currency: str = f("Billing currency, ISO 4217.")
    merchant_name: str | None = f("Card acceptor name (DE43).", default=None)
    merchant_country: str | None = f("ISO 3166-1 alpha-2.", default=None)
    mcc: str | None = f("Merchant category code (DE18).", default=None)
    merchant_amount_minor: int | None = f("Amount in the merchant's currency (DE4).", default=None)
    merchant_currency: str | None = f("Merchant's currency (DE49).", default=None)
    trace_number: str | None = f("System trace audit number (DE11).", default=None)
    network_reference: str | None = f("Retrieval reference number (DE37).", default=None)
    deadline: datetime | None = f("Until when an approval may be given.", business=False, default=None)
    message: str = f("authorization, or financial: posted with its approval.", default="authorization", since=2)
    transaction_type: str = f("purchase, cash or balance_inquiry (DE3).", default="purchase", since=2)
    partial_approval: bool = f("Whether the terminal takes an approval of a part.", default=False, since=2)


@message(PAYMENT_COMMANDS, "payment_id")
class HoldFunds(Message):
    """Set the payment's amount aside on its account, if the payment is still open."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)


@message(PAYMENT_COMMANDS, "payment_id")
class ScreenPayment(Message):
    """Hold the payment against the rules."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)


@message(PAYMENT_COMMANDS, "payment_id")
class AuthorizePayment(Message):
    """Approve the payment and plan its spend; in time, or not at all."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)


@message(PAYMENT_COMMANDS, "payment_id")
class DeclinePayment(Message):
    """Decline the payment and release its hold, unless it was approved."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    reason: str = f("Why.")


@message(PAYMENT_COMMANDS, "payment_id", schema_version=2)
class CapturePayment(Message):
    """The network posts the payment (presentment)."""

    payment_id: UUID = f(PAYMENT)
    presentment_id: str = f("The network's id of the presentment.")
    amount_minor: int = f("Amount posted, minor units.")
    currency: str = f("ISO 4217.")
    final: bool = f("False while more presentments are to come.", default=True, since=2)
    account_id: UUID | None = f("The account that pays, for what was not approved.", business=False, default=None)


@message(PAYMENT_COMMANDS, "payment_id", schema_version=2)
class ReversePayment(Message):
    """The network takes the authorization back, or a part of it; also one that has not reached us yet."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    reversal_id: str = f("The network's id of the reversal.")
    amount_minor: int | None = f("How much, minor units; None: all that is open.", default=None, since=2)
    card_token: str | None = f("Token of the card, where the authorization is not known.", default=None, since=2)
    currency: str | None = f("Billing currency, where the authorization is not known.", default=None, since=2)


@message(PAYMENT_COMMANDS, "payment_id")
class ExpirePayment(Message):
    """End an authorization that nobody captured in time."""

    payment_id: UUID = f(PAYMENT)


@message(PAYMENT_COMMANDS, "payment_id")
class PlanRefund(Message):
    """Pay the settled spend back to the account."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    reason: str = f("declined, reversed or expired.")


@message(PAYMENT_COMMANDS, "payment_id")
class RefundAgain(Message):
    """Plan a refund anew that ended unpaid: a person decides it, once the cause is out of the way."""

    payment_id: UUID = f(PAYMENT)
    reason: str = f("What the person gave; the leg keeps it.")


@message(PAYMENT_COMMANDS, "payment_id")
class CloseSpend(Message):
    """Wait no longer for a spend by the holder's own hand that a reorg dropped: a person decides it. Mined after all, it counts."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    because: str = f("What the person gave; the leg's end keeps it.")
    closed_by: str = f("Who decided it.")


@message(PAYMENT_COMMANDS, "payment_id")
class RecordLegSubmitted(Message):
    """The submitter broadcast a transaction for a leg."""

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f("The leg.")
    tx_hash: str = f("Transaction, 0x-hex.")


@message(PAYMENT_COMMANDS, "payment_id")
class RecordLegReverted(Message):
    """A transaction of a leg failed on chain."""

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f("The leg.")
    tx_hash: str = f("Transaction, 0x-hex.")
    reason: str = f("What the contract said.", business=False)


@message(PAYMENT_COMMANDS, "payment_id")
class GiveUpSpend(Message):
    """Wait no longer for the payment's spends that stand in no block: take them back on chain."""

    payment_id: UUID = f(PAYMENT)
    reason: str = f("patience, or a person's reason.")


@message(PAYMENT_COMMANDS, "payment_id")
class EndLegUnpaid(Message):
    """A refund can never happen any more: its one nonce is used up without it. A spend ends by a fact of the chain alone."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    leg_id: UUID = f("The leg.")
    amount_raw: Raw = f("Amount that did not move.")
    reason: str = f("nonce_used.")
