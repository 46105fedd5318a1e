"""What the chain says of our accounts, as the listener brings it: values, with the block that says so."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from streams.domain.states.allowance import Allowance


@dataclass(frozen=True)
class Block:
    """Where something stands on chain."""

    number: int
    hash: str
    time: int


@dataclass(frozen=True)
class Transfer:
    """A token transfer from or to an account's wallet; `leg_id` and `leg_kind` where it is a payment's leg."""

    account_id: UUID
    transfer_id: UUID
    direction: str
    kind: str
    counterparty: str
    amount_raw: int
    tx_hash: str
    log_index: int
    block: Block
    payment_id: UUID | None = None
    leg_id: UUID | None = None
    leg_kind: str | None = None


@dataclass(frozen=True)
class SeeTransfer:
    """The transfer stands in a block that is not final."""

    transfer: Transfer
    again: bool = False


@dataclass(frozen=True)
class UnseeTransfer:
    """A reorg dropped the transfer's block."""

    transfer: Transfer


@dataclass(frozen=True)
class FinalizeTransfer:
    """The transfer's block is final; `at_first_sight`: it was so before anybody read it, and nobody has seen the transfer before."""

    transfer: Transfer
    at_first_sight: bool = False


@dataclass(frozen=True)
class FinalizeInvalidation:
    """At a final block the contract counts the leg's signed spend as consumed, and it was not carried out: it never will be."""

    payment_id: UUID
    account_id: UUID
    leg_id: UUID
    transfer_id: UUID
    tx_hash: str
    block: Block


@dataclass(frozen=True)
class LoseTransfer:
    """A debit that vanished can never be mined again: its sender's nonce was used finally without it. The submitter brings it."""

    account_id: UUID
    transfer_id: UUID
    leg_id: UUID


@dataclass(frozen=True)
class EndTransfer:
    """A debit that others sent and that vanished with this block can never be mined again: at a final block its nonce is used, without it."""

    account_id: UUID
    transfer_id: UUID
    block: Block


@dataclass(frozen=True)
class ConsumeAllowance:
    """A spend consumed the allowance: the log tells what is left, the contract accrued first."""

    account_id: UUID
    new_balance_raw: int
    block: Block


@dataclass(frozen=True)
class ObserveAllowance:
    """The allowance as the contract now stores it; cause: set, reorg, reconciled."""

    account_id: UUID
    cause: str
    allowance: Allowance
    block: Block


@dataclass(frozen=True)
class FinalizeAllowanceRaise:
    """The block in which the owner raised the allowance is final."""

    account_id: UUID
    block: Block


@dataclass(frozen=True)
class QueueWithdrawal:
    """The owner queued a transaction in the Delay modifier."""

    account_id: UUID
    queue_nonce: int
    queued_hash: str
    target: str
    tx_hash: str
    block: Block


@dataclass(frozen=True)
class EmptyDelayQueue:
    """At a final block the Delay queue is empty."""

    account_id: UUID
    queue_nonce: int
    block: Block


@dataclass(frozen=True)
class ObserveDrift:
    """At a final block the contracts say otherwise than the books; what: balance, allowance, queue, integrity."""

    account_id: UUID
    what: str
    booked: str
    found: str
    block: Block


@dataclass(frozen=True)
class ObserveIntegrity:
    """The account's modules and owners, read again."""

    account_id: UUID
    integrity: str
    block: Block
