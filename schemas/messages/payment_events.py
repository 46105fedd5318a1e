"""What can happen to a payment, on its two axes: the card leg (what the network and we said) and the chain legs (what moved)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from schemas.definition import Message, Raw, f, message
from schemas.topics import PAYMENT_EVENTS

PAYMENT = "The payment: uuid5 of the network's reference, or of chain and transaction."
ACCOUNT = "The account that pays."
MINOR = "Billing amount in minor units of `currency` (ISO 4217 exponent)."
RAW = "The same amount in raw token units."
CURRENCY = "Billing currency, ISO 4217."
DECIMALS = "Decimals of the token."
LEG = "The chain leg: one movement of tokens that the payment needs; its bytes are the salt of a spend."
LEG_KIND = "spend (Safe to settlement) or refund (settlement to Safe)."
BLOCK_NUMBER, BLOCK_HASH, BLOCK_TIME = (
    "Height of the block.",
    "Hash of the block, 0x-hex.",
    "The block's own time, Unix seconds.",
)


DUE = "What of the payment must have moved from the Safe to settlement, net, once this counts; raw units, below zero where we owe."


@message(PAYMENT_EVENTS, "payment_id", schema_version=2)
class PaymentRequested(Message):
    """A swipe reached us: asked by the card network, or seen on chain as a spend that nobody asked us about."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    origin: str = f("network (asked before) or chain (seen after).")
    card_token: str | None = f("Token of the card; never a PAN.", default=None)
    amount_minor: int = f(f"{MINOR} A spend on chain that is more than 2^63-1 says that; `amount_raw` is always exact.")
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    merchant_name: str | None = f("Card acceptor name (ISO 8583 DE43).", default=None)
    merchant_country: str | None = f("ISO 3166-1 alpha-2.", default=None)
    mcc: str | None = f("Merchant category code (ISO 18245, DE18).", default=None)
    merchant_amount_minor: int | None = f("Amount in the merchant's currency, minor units (DE4).", default=None)
    merchant_currency: str | None = f("Merchant's currency (DE49).", default=None)
    trace_number: str | None = f("System trace audit number (DE11).", default=None)
    network_reference: str | None = f("Retrieval reference number (DE37).", default=None)
    tx_hash: str | None = f("Transaction of a spend that was seen first on chain.", default=None)
    deadline: datetime | None = f("Until when, by the write server's clock, an approval may be given.", default=None)
    message: str = f(
        "What opened it: authorization, financial (single message), advice, presentment, refund or reversal.",
        default="authorization",
    )
    transaction_type: str = f("purchase, cash or balance_inquiry (DE3: 00, 01, 30).", default="purchase")
    partial_approval: bool = f("Whether the terminal takes an approval of a part.", default=False)


@message(PAYMENT_EVENTS, "payment_id")
class PaymentHeld(Message):
    """The account set the amount aside: the same append holds FundsHeld."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    amount_raw: Raw = f("Amount held, raw units.")
    decimals: int = f(DECIMALS)


@message(PAYMENT_EVENTS, "payment_id")
class HoldRefused(Message):
    """The account could not set the amount aside."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    reason: str = f(
        "insufficient_funds, over_limit, withdrawal_pending, account_integrity, chain_stale, account_unknown, a card limit."
    )
    amount_raw: Raw = f("Amount asked for, raw units.")
    spendable_raw: Raw = f("What was spendable, raw units.")
    decimals: int = f(DECIMALS)


@message(PAYMENT_EVENTS, "payment_id")
class PaymentScreened(Message):
    """The payment was held against the rules; the first verdict stands."""

    payment_id: UUID = f(PAYMENT)
    verdict: str = f("passed or refused.")
    reason: str | None = f("Why refused: card_frozen, card_unknown, mcc_blocked, country_blocked.", default=None)


@message(PAYMENT_EVENTS, "payment_id", schema_version=2)
class PaymentAuthorized(Message):
    """We approved. It stands until the network reverses or posts it, or it expires."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    authorization_code: str | None = f(
        "Six characters told to the network (DE38); None for origin chain.", default=None
    )
    response_code: str = f("ISO 8583 DE39: 00, or 10 for a part of what was asked.")
    stand_in: bool = f("True where the network approved in our stead and told us after.", default=False)
    due_raw: Raw | None = f(DUE, default=None)


@message(PAYMENT_EVENTS, "payment_id", schema_version=2)
class PaymentVerified(Message):
    """An account verification (zero amount) or a balance inquiry was answered: the card is good, nothing moves."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    response_code: str = f("ISO 8583 DE39: 00.")
    spendable_minor: int | None = f("What a balance inquiry was told (DE54), minor units.", default=None)


@message(PAYMENT_EVENTS, "payment_id")
class PaymentDeclined(Message):
    """We declined. A hold, where there was one, is released in the same append."""

    payment_id: UUID = f(PAYMENT)
    account_id: UUID = f(ACCOUNT)
    reason: str = f("Why: the refusal's reason, or deadline.")
    response_code: str = f("ISO 8583 DE39.")


@message(PAYMENT_EVENTS, "payment_id", schema_version=2)
class PaymentCaptured(Message):
    """The network posted the payment (presentment)."""

    payment_id: UUID = f(PAYMENT)
    presentment_id: str = f("The network's id of the presentment: the same id twice is one capture.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    amount_raw: Raw = f(RAW)
    decimals: int = f(DECIMALS)
    final: bool = f("False while more presentments of the same authorization are to come.", default=True)
    forced: bool = f("True where no open authorization covered it (a force post).", default=False)
    due_raw: Raw | None = f(DUE, default=None)


@message(PAYMENT_EVENTS, "payment_id", schema_version=2)
class PaymentReversed(Message):
    """The network took the whole authorization back before it was captured."""

    payment_id: UUID = f(PAYMENT)
    reversal_id: str = f("The network's id of the reversal.")
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    due_raw: Raw | None = f(DUE, default=None)


@message(PAYMENT_EVENTS, "payment_id", schema_version=2)
class PaymentExpired(Message):
    """Nobody captured the authorization, or the rest of it, in time."""

    payment_id: UUID = f(PAYMENT)
    amount_minor: int = f(MINOR)
    currency: str = f(CURRENCY)
    due_raw: Raw | None = f(DUE, default=None)


@message(PAYMENT_EVENTS, "payment_id")
class LegPlanned(Message):
    """A movement of tokens that the payment needs was decided on, not yet sent."""

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f(LEG)
    kind: str = f(LEG_KIND)
    account_id: UUID = f("The customer's account.")
    amount_raw: Raw = f("Amount to move, raw units.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)
    reason: str = f(
        "What it follows from: authorized, incremented, captured, declined, reversed, expired, refunded, disputed...; or what a person gave."
    )


@message(PAYMENT_EVENTS, "payment_id")
class LegSubmitted(Message):
    """A transaction that carries the leg was signed, stored and broadcast."""

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f(LEG)
    kind: str = f(LEG_KIND)
    tx_hash: str = f("Transaction, 0x-hex.")


@message(PAYMENT_EVENTS, "payment_id")
class LegReverted(Message):
    """A transaction that carried the leg failed (receipt status 0, no logs). It ends nothing: another may carry the leg."""

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f(LEG)
    kind: str = f(LEG_KIND)
    tx_hash: str = f("Transaction, 0x-hex.")
    reason: str = f("What the contract said, as far as it can be read.")


@message(PAYMENT_EVENTS, "payment_id")
class LegGivenUp(Message):
    """Nobody waits for the spend any more: its signer takes the signed call back on chain. It ends unpaid when that is final, unless it
    is mined before."""

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f(LEG)
    kind: str = f("spend: only a signed call can be taken back.")
    account_id: UUID = f("The customer's account.")
    reason: str = f("patience (reversed or expired, and not mined for long), or what a person gave.")


@message(PAYMENT_EVENTS, "payment_id", schema_version=2)
class LegSeen(Message):
    """The movement stands in a block that is not final yet, whichever transaction carried it."""

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f(LEG)
    kind: str = f(LEG_KIND)
    account_id: UUID = f("The customer's account.")
    transfer_id: UUID = f("The transfer in the account's stream.")
    amount_raw: Raw = f("Amount moved, raw units.")
    decimals: int = f(DECIMALS)
    tx_hash: str = f("Transaction, 0x-hex.")
    block_number: int = f(BLOCK_NUMBER)
    block_hash: str = f(BLOCK_HASH)
    block_time: int = f(BLOCK_TIME)
    due_raw: Raw | None = f(
        "Where a person had closed it: what must have moved for the payment now, net, raw units.", default=None
    )


@message(PAYMENT_EVENTS, "payment_id")
class LegUnseen(Message):
    """A reorg dropped the block that held the movement; it may be mined again."""

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f(LEG)
    kind: str = f(LEG_KIND)
    tx_hash: str = f("Transaction, 0x-hex.")
    block_number: int = f("Height of the orphaned block.")
    block_hash: str = f("Hash of the orphaned block.")


@message(PAYMENT_EVENTS, "payment_id")
class LegSettled(Message):
    """The movement's block is final."""

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f(LEG)
    kind: str = f(LEG_KIND)
    amount_raw: Raw = f("Amount moved, raw units.")
    decimals: int = f(DECIMALS)
    tx_hash: str = f("Transaction, 0x-hex.")
    block_number: int = f(BLOCK_NUMBER)
    block_hash: str = f(BLOCK_HASH)
    block_time: int = f(BLOCK_TIME)


@message(PAYMENT_EVENTS, "payment_id", schema_version=2)
class LegEndedUnpaid(Message):
    """The movement can never happen any more: the spend's invalidation is final, or a refund's nonce was used by another transaction.

    Or a person closed it, a spend by the holder's own hand that a reorg dropped: mined after all, it is seen again and counts.
    """

    payment_id: UUID = f(PAYMENT)
    leg_id: UUID = f(LEG)
    kind: str = f(LEG_KIND)
    account_id: UUID = f("The customer's account.")
    amount_raw: Raw = f("Amount that did not move, raw units.")
    decimals: int = f(DECIMALS)
    reason: str = f("invalidated, nonce_used or closed.")
    because: str | None = f("closed: what the person gave.", default=None)
    closed_by: str | None = f("closed: who decided it.", default=None)
    due_raw: Raw | None = f("closed: what must have moved for the payment now, net, raw units.", default=None)
