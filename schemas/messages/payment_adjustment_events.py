"""What can happen to a payment after its first answer: more approved, a part taken back, refunds, corrections, disputes, receivables."""

from __future__ import annotations

from uuid import UUID

from schemas.definition import Message, Raw, f, message
from schemas.messages.payment_events import ACCOUNT, CURRENCY, DECIMALS, DUE, MINOR, PAYMENT, RAW
from schemas.topics import PAYMENT_EVENTS


@message(PAYMENT_EVENTS, "payment_id")
class PaymentIncremented(Message):
    """We approved more for the same authorization; the hold for it stands in the same append."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    increment_id: str = f("The network's id of the incremental request.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    response_code: str = f("ISO 8583 DE39: 00.")
    due_raw: Raw = f(DUE)


@message(PAYMENT_EVENTS, "payment_id")
class IncrementDeclined(Message):
    """We approved no more; what was approved before stands."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    increment_id: str = f("The network's id of the incremental request.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    reason: str = f("Why: the words of HoldRefused and PaymentScreened.")
    response_code: str = f("ISO 8583 DE39.")


@message(PAYMENT_EVENTS, "payment_id")
class PaymentPartlyReversed(Message):
    """The network took a part of the authorization back, or what was left of it after captures."""

    payment_id: UUID = f(PAYMENT)
    reversal_id: str = f("The network's id of the reversal.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    open_minor: int = f("What of the authorization is still open after it, minor units.")
    due_raw: Raw = f(DUE)


@message(PAYMENT_EVENTS, "payment_id")
class ReversalAcknowledged(Message):
    """The network took back what we had not approved: there was nothing to give back. Its stand-in advice of it, if one comes, is net nothing."""

    payment_id: UUID = f(PAYMENT)
    reversal_id: str = f("The network's id of the reversal.")
    amount_minor: int = f("Amount taken back, minor units.")
    currency: str = f(CURRENCY)


@message(PAYMENT_EVENTS, "payment_id")
class CaptureReversed(Message):
    """The network took a presentment back (clearing reversal)."""

    payment_id: UUID = f(PAYMENT)
    presentment_id: str = f("The presentment that it corrects.")
    reversal_id: str = f("The network's id of the reversal.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    due_raw: Raw = f(DUE)


@message(PAYMENT_EVENTS, "payment_id")
class PaymentRefunded(Message):
    """The merchant gives back, by the network's word. What moves for it on chain is a leg."""

    payment_id: UUID = f(PAYMENT)
    refund_id: str = f("The network's id of the refund.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    exceeds: bool = f("True where more is given back than was captured.")
    unlinked: bool = f("True where no payment of ours is named: it goes through suspense.")
    due_raw: Raw = f(DUE)


@message(PAYMENT_EVENTS, "payment_id")
class RefundReversed(Message):
    """The network took a refund back."""

    payment_id: UUID = f(PAYMENT)
    refund_id: str = f("The refund that it takes back.")
    reversal_id: str = f("The network's id of the reversal.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    unlinked: bool = f("As the refund was.")
    due_raw: Raw = f(DUE)


@message(PAYMENT_EVENTS, "payment_id")
class DisputeOpened(Message):
    """The holder disputes what was captured and is given a provisional credit."""

    payment_id: UUID = f(PAYMENT)
    dispute_id: str = f("The network's id of the dispute.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    reason: str = f("fraud, not_as_described, not_received, processing_error or another word of the network's.")
    due_raw: Raw = f(DUE)


@message(PAYMENT_EVENTS, "payment_id")
class DisputeWon(Message):
    """The dispute was won: the credit stays with the holder, the network pays."""

    payment_id: UUID = f(PAYMENT)
    dispute_id: str = f("The network's id of the dispute.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    due_raw: Raw = f(DUE)


@message(PAYMENT_EVENTS, "payment_id")
class DisputeLost(Message):
    """The dispute was lost: the provisional credit is taken back."""

    payment_id: UUID = f(PAYMENT)
    dispute_id: str = f("The network's id of the dispute.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    due_raw: Raw = f(DUE)


@message(PAYMENT_EVENTS, "payment_id")
class CardMessageRefused(Message):
    """A message of the network does not fit how the payment stands: nothing changed."""

    payment_id: UUID = f(PAYMENT)
    message: str = f("Which message: the words of the table in streams/domain/card/table.py.")
    message_id: str = f("The network's id of it.")
    reason: str = f("Why.")
    response_code: str = f("ISO 8583 DE39.")


@message(PAYMENT_EVENTS, "payment_id")
class ReceivableOpened(Message):
    """What must move cannot move any more: the holder owes it."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    leg_id: UUID = f("The leg that ended unpaid.")
    amount_raw: Raw = f("Amount, raw units.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)


@message(PAYMENT_EVENTS, "payment_id")
class ReceivableReduced(Message):
    """The holder owes less."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    amount_raw: Raw = f("Amount, raw units.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)
    reason: str = f(
        "reversed, expired, captured, refunded, corrected, disputed, refund_ended_unpaid, collected (a further spend was planned), "
        "mined_after_all or written_off."
    )
