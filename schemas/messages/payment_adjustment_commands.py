"""Commands to a payment that follow its first answer, and those that open one without a question: each is one message of the network."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from schemas.definition import Message, f, message
from schemas.messages.payment_commands import ACCOUNT, PAYMENT
from schemas.topics import PAYMENT_COMMANDS

MINOR = "Amount, minor units."
CURRENCY = "ISO 4217."
CARD = "Token of the card."
CARD_ACCOUNT = "The card's account when the message came; the card is what a repeat must agree with."


@message(PAYMENT_COMMANDS, "payment_id")
class IncrementPayment(Message):
    """The network asks for more on the same authorization; in time, or not at all."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT, business=False)
    increment_id: str = f("The network's id of the request.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    deadline: datetime | None = f("Until when an approval may be given.", business=False, default=None)


@message(PAYMENT_COMMANDS, "payment_id")
class AdvisePayment(Message):
    """The network approved in our stead (stand-in) and tells us: it stands, whatever we would have said."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(CARD_ACCOUNT, business=False)
    card_token: str = f(CARD)
    advice_id: str = f("The network's id of the advice.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    merchant_name: str | None = f("Card acceptor name (DE43).", default=None)
    merchant_country: str | None = f("ISO 3166-1 alpha-2.", default=None)
    mcc: str | None = f("Merchant category code (DE18).", default=None)
    network_reference: str | None = f("Retrieval reference number (DE37).", default=None)


@message(PAYMENT_COMMANDS, "payment_id")
class RecordPresentment(Message):
    """The network posts what nobody was asked about: a presentment without an authorization."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(CARD_ACCOUNT, business=False)
    card_token: str = f(CARD)
    presentment_id: str = f("The network's id of the presentment.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    merchant_name: str | None = f("Card acceptor name (DE43).", default=None)
    merchant_country: str | None = f("ISO 3166-1 alpha-2.", default=None)
    mcc: str | None = f("Merchant category code (DE18).", default=None)
    network_reference: str | None = f("Retrieval reference number (DE37).", default=None)


@message(PAYMENT_COMMANDS, "payment_id")
class ReverseCapture(Message):
    """The network takes a presentment back."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT, business=False)
    presentment_id: str = f("The presentment.")
    reversal_id: str = f("The network's id of the reversal.")


@message(PAYMENT_COMMANDS, "payment_id")
class RefundPayment(Message):
    """The merchant gives back, by the network's word."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT, business=False)
    refund_id: str = f("The network's id of the refund.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)


@message(PAYMENT_COMMANDS, "payment_id")
class RecordRefund(Message):
    """A refund that names no payment of ours."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(CARD_ACCOUNT, business=False)
    card_token: str = f(CARD)
    refund_id: str = f("The network's id of the refund.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    merchant_name: str | None = f("Card acceptor name (DE43).", default=None)
    merchant_country: str | None = f("ISO 3166-1 alpha-2.", default=None)
    mcc: str | None = f("Merchant category code (DE18).", default=None)
    network_reference: str | None = f("Retrieval reference number (DE37).", default=None)


@message(PAYMENT_COMMANDS, "payment_id")
class ReverseRefund(Message):
    """The network takes a refund back."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT, business=False)
    refund_id: str = f("The refund.")
    reversal_id: str = f("The network's id of the reversal.")


@message(PAYMENT_COMMANDS, "payment_id")
class OpenDispute(Message):
    """The holder disputes what was captured."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT, business=False)
    dispute_id: str = f("The network's id of the dispute.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    reason: str = f("fraud, not_as_described, not_received, processing_error or another word of the network's.")


@message(PAYMENT_COMMANDS, "payment_id")
class ResolveDispute(Message):
    """The dispute was decided."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT, business=False)
    dispute_id: str = f("The network's id of the dispute.")
    outcome: str = f("won or lost.")


@message(PAYMENT_COMMANDS, "payment_id")
class CollectReceivable(Message):
    """Try once more to take on chain what the holder owes."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT, business=False)
    actor: str = f("Who orders it.", business=False)


@message(PAYMENT_COMMANDS, "payment_id")
class WriteOffReceivable(Message):
    """Give up what the holder owes."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT, business=False)
    actor: str = f("Who orders it.", business=False)
