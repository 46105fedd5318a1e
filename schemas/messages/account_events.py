"""What can happen to an account: a wallet of ours on one chain in one token (a customer's Safe, or settlement).

What the chain says is a fact and is appended whatever was decided before; a hold is our decision and stands only at the version it was decided on.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from schemas.definition import Message, Raw, f, message
from schemas.topics import ACCOUNT_EVENTS

ACCOUNT = "The account: uuid5 of chain, wallet and token."
CURRENCY = "ISO 4217 code that the token stands for, e.g. EUR."
DECIMALS = "Decimals of the token: raw units = currency units * 10^decimals."
BLOCK_NUMBER, BLOCK_HASH, BLOCK_TIME = (
    "Height of the block.",
    "Hash of the block, 0x-hex.",
    "The block's own time, Unix seconds.",
)
TRANSFER = "The transfer: uuid5 of chain, transaction, token, and its place among the transaction's transfers; the same in whichever block."
KIND = "spend, refund, deposit, mint, withdrawal, burn, settlement_in, settlement_out or other."
PAYMENT = "The payment it belongs to, where one is known."


@message(ACCOUNT_EVENTS, "account_id")
class AccountRegistered(Message):
    """A wallet came under our watch, with what the chain said of it at a final block."""

    account_id: UUID = f(ACCOUNT)
    kind: str = f("customer (a person's Safe) or settlement (a wallet with a key of ours).")
    chain_id: int = f("EIP-155 chain id.")
    wallet: str = f("Address that holds the tokens, checksummed (EIP-55).")
    token: str = f("Address of the token contract whose Transfer logs count.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)
    settlement_address: str = f("Where spends go and refunds come from.")
    spender_module: str | None = f("The Spender module that spends of this account go through.", default=None)
    roles_module: str | None = f("The account's Roles modifier; None for settlement.", default=None)
    delay_module: str | None = f("The account's Delay modifier; None for settlement.", default=None)
    card_token: str | None = f("Token of the account's card; never a PAN.", default=None)
    person_id: UUID | None = f(
        "Whose account it is; personal data is kept elsewhere, under that person's key.", default=None
    )
    opening_balance_raw: Raw = f("Token balance at the opening block, raw units.")
    allowance_balance_raw: Raw = f("On-chain allowance as stored at the opening block: unused amount, raw units.")
    allowance_max_refill_raw: Raw = f("Allowance: the most that refilling reaches, raw units.")
    allowance_refill_raw: Raw = f("Allowance: what a period adds, raw units.")
    allowance_period_seconds: int = f("Allowance: length of a period; 0 means it never refills.")
    allowance_timestamp: int = f("Allowance: when the present period began, Unix seconds.")
    queue_empty: bool = f("Whether the Delay queue was empty at the opening block.")
    integrity: str = f(
        "Ok, or what is wrong with the account's modules and owners (names of account-kit's accountQuery)."
    )
    block_number: int = f("The opening block: facts count from the block after it.")
    block_hash: str = f(BLOCK_HASH)
    block_time: int = f(BLOCK_TIME)


@message(ACCOUNT_EVENTS, "account_id")
class TransferSeen(Message):
    """A token transfer from or to the wallet stands in a block that is not final yet. A debit counts from now on."""

    account_id: UUID = f(ACCOUNT)
    transfer_id: UUID = f(TRANSFER)
    direction: str = f("in or out, seen from the wallet.")
    kind: str = f(KIND)
    counterparty: str = f("The other wallet, checksummed.")
    amount_raw: Raw = f("Amount moved, raw units.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)
    again: bool = f("True when the transfer had been seen before and had vanished in a reorg.")
    payment_id: UUID | None = f(PAYMENT, default=None)
    leg_id: UUID | None = f("The payment's chain leg.", default=None)
    hold_used_raw: Raw = f("How much of the payment's hold became this debit, in this same append.", default=Raw(0))
    tx_hash: str = f("Transaction, 0x-hex.")
    log_index: int = f("Index of the log in its block.")
    block_number: int = f(BLOCK_NUMBER)
    block_hash: str = f(BLOCK_HASH)
    block_time: int = f(BLOCK_TIME)


@message(ACCOUNT_EVENTS, "account_id")
class TransferUnseen(Message):
    """A reorg dropped the block that held the transfer. A debit stays reserved, for the transaction may be mined again."""

    account_id: UUID = f(ACCOUNT)
    transfer_id: UUID = f(TRANSFER)
    direction: str = f("in or out, seen from the wallet.")
    kind: str = f(KIND)
    amount_raw: Raw = f("Amount that had moved, raw units.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)
    payment_id: UUID | None = f(PAYMENT, default=None)
    tx_hash: str = f("Transaction, 0x-hex.")
    block_number: int = f("Height of the orphaned block.")
    block_hash: str = f("Hash of the orphaned block.")


@message(ACCOUNT_EVENTS, "account_id", schema_version=2)
class TransferFinalized(Message):
    """The transfer's block is final: the balance moved. A credit counts from now on.

    At first sight: the block was final before it was read, as most of an account's past is, and no TransferSeen came before.
    """

    account_id: UUID = f(ACCOUNT)
    transfer_id: UUID = f(TRANSFER)
    direction: str = f("in or out, seen from the wallet.")
    kind: str = f(KIND)
    counterparty: str = f("The other wallet, checksummed.")
    amount_raw: Raw = f("Amount moved, raw units.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)
    payment_id: UUID | None = f(PAYMENT, default=None)
    tx_hash: str = f("Transaction, 0x-hex.")
    block_number: int = f(BLOCK_NUMBER)
    block_hash: str = f(BLOCK_HASH)
    block_time: int = f(BLOCK_TIME)
    at_first_sight: bool = f("True when the block was final before it was read.", default=False, since=2)
    log_index: int | None = f("Index of the log in its block; null in an event of before.", default=None, since=2)


@message(ACCOUNT_EVENTS, "account_id")
class TransferEnded(Message):
    """A debit that a reorg took out of sight can never be mined again: it is given back. The same append ends the leg that it was, if it was one.

    A withdrawal out of the Delay queue could, if it were queued again: the queue is empty at a final block, whoever carried what was in it.
    So could a spend by the holder's own hand that a person closed: mined after all, it is seen anew.
    """

    account_id: UUID = f(ACCOUNT)
    transfer_id: UUID = f(TRANSFER)
    direction: str = f("out: a credit that is not final reserves nothing.")
    kind: str = f(KIND)
    amount_raw: Raw = f("Amount that is given back, raw units.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)
    payment_id: UUID | None = f(PAYMENT, default=None)
    leg_id: UUID | None = f("The payment's chain leg.", default=None)
    reason: str = f(
        "invalidated (a spend), closed (the holder's own), nonce_used (a refund, or what others sent) or queue_emptied (a withdrawal)."
    )


@message(ACCOUNT_EVENTS, "account_id")
class AllowanceObserved(Message):
    """The on-chain spending allowance as the Roles modifier now stores it. A cut counts at once, a raise when final."""

    account_id: UUID = f(ACCOUNT)
    cause: str = f(
        "consumed (a spend), set (its owner), reorg (read again after one), unspent (so too, and what its owner set still stands), "
        "reconciled (silent drift found)."
    )
    balance_raw: Raw = f("Unused amount as stored, raw units.")
    max_refill_raw: Raw = f("The most that refilling reaches, raw units.")
    refill_raw: Raw = f("What a period adds, raw units.")
    period_seconds: int = f("Length of a period; 0 means it never refills.")
    timestamp: int = f("When the present period began, Unix seconds.")
    block_number: int = f(BLOCK_NUMBER)
    block_hash: str = f(BLOCK_HASH)
    block_time: int = f(BLOCK_TIME)


@message(ACCOUNT_EVENTS, "account_id")
class AllowanceRaiseFinalized(Message):
    """The block in which the owner raised the allowance is final: the raise counts."""

    account_id: UUID = f(ACCOUNT)
    block_number: int = f("Height of the block that raised it.")
    block_hash: str = f(BLOCK_HASH)


@message(ACCOUNT_EVENTS, "account_id")
class WithdrawalQueued(Message):
    """The owner queued a transaction in the Delay modifier: nothing is approved until the queue is empty again."""

    account_id: UUID = f(ACCOUNT)
    queue_nonce: int = f("Place in the Delay queue.")
    queued_hash: str = f("The Delay modifier's hash of the queued transaction.")
    target: str = f("Address that the queued transaction calls.")
    tx_hash: str = f("Transaction that queued it, 0x-hex.")
    block_number: int = f(BLOCK_NUMBER)
    block_hash: str = f(BLOCK_HASH)
    block_time: int = f(BLOCK_TIME)


@message(ACCOUNT_EVENTS, "account_id")
class DelayQueueEmptied(Message):
    """At a final block txNonce = queueNonce: the queue is empty (execution and expiry leave no log in the Delay modifier)."""

    account_id: UUID = f(ACCOUNT)
    queue_nonce: int = f("Both nonces of the Delay modifier.")
    block_number: int = f(BLOCK_NUMBER)
    block_hash: str = f(BLOCK_HASH)


@message(ACCOUNT_EVENTS, "account_id")
class IntegrityObserved(Message):
    """The account's modules, owners and cooldown were read again and are in another order than before."""

    account_id: UUID = f(ACCOUNT)
    integrity: str = f("Ok, or what is wrong (names of account-kit's accountQuery).")
    block_number: int = f(BLOCK_NUMBER)
    block_hash: str = f(BLOCK_HASH)


@message(ACCOUNT_EVENTS, "account_id")
class DriftObserved(Message):
    """At a final block the contracts said otherwise than our books, without any log that tells why: a person must look."""

    account_id: UUID = f(ACCOUNT)
    what: str = f("balance, allowance, queue (not empty, and nobody saw it filled) or integrity.")
    booked: str = f("What our books said; amounts in raw units.")
    found: str = f("What the contracts said.")
    block_number: int = f(BLOCK_NUMBER)
    block_hash: str = f(BLOCK_HASH)


@message(ACCOUNT_EVENTS, "account_id", schema_version=2)
class FundsHeld(Message):
    """Funds were set aside for a payment: they are spendable no more, and not yet gone."""

    account_id: UUID = f(ACCOUNT)
    payment_id: UUID = f("The payment that the hold is for.")
    amount_raw: Raw = f("Amount held, raw units.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)
    spendable_raw: Raw = f("What was spendable before this hold, raw units: why it was allowed.")
    cause: str = f(
        "approval: ours, within what is spendable. Or what the network decided, whatever is spendable: advice, captured, "
        "refund_reversed, dispute_lost; or collected, ordered by a person.",
        default="approval",
    )
    amount_minor: int | None = f("The same amount in minor units, as the card's limits count it.", default=None)
    cash: bool = f("Whether it is for cash (DE3 01).", default=False)
    held_at: datetime | None = f("When, by the write server's clock: what the card's limits go by.", default=None)


@message(ACCOUNT_EVENTS, "account_id")
class HoldReleased(Message):
    """A hold ended without a debit: the funds are spendable again."""

    account_id: UUID = f(ACCOUNT)
    payment_id: UUID = f("The payment that the hold was for.")
    amount_raw: Raw = f("Amount released, raw units.")
    currency: str = f(CURRENCY)
    decimals: int = f(DECIMALS)
    reason: str = f("declined, deadline, reversed, expired or leg_ended_unpaid.")


@message(ACCOUNT_EVENTS, "account_id")
class CardBound(Message):
    """The account, which came under watch without one, has a card now."""

    account_id: UUID = f(ACCOUNT)
    card_token: str = f("Token of the card; never a PAN.")


@message(ACCOUNT_EVENTS, "account_id")
class CardFrozen(Message):
    """The account's card was frozen: nothing is approved, and a spend made on chain is refunded."""

    account_id: UUID = f(ACCOUNT)
    card_token: str = f("Token of the card.")
    reason: str = f("Why: holder, lost, stolen, compliance.")


@message(ACCOUNT_EVENTS, "account_id")
class CardUnfrozen(Message):
    """The account's card is active again."""

    account_id: UUID = f(ACCOUNT)
    card_token: str = f("Token of the card.")
    reason: str = f("Why.")
