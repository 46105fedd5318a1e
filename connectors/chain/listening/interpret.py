"""What a block's logs mean for our accounts: pure, from typed events to facts. Logs are taken a transaction at a time, in order.

A spend's logs come from several emitters: HashExecuted (Spender), Transfer (token), ConsumeAllowance (Roles), Spend (Spender).
Which leg a spend carries is told by its consumed hash alone, whichever transaction carried it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from uuid import UUID

from connectors.chain.accounts.directory import Directory, Wallet
from connectors.chain.accounts.integrity import REREAD
from connectors.chain.accounts.reading import stored_allowance
from connectors.chain.contracts import events as chain
from connectors.chain.contracts.decode import Seen
from connectors.chain.node.abi import ZERO_ADDRESS, checksummed
from connectors.chain.node.logs import Log
from connectors.chain.settings import ChainSettings
from streams.domain import ids
from streams.domain.chain import facts
from streams.domain.chain.facts import Block, Transfer


@dataclass(frozen=True)
class Leg:
    """A payment's leg: one that we sent, or the spend of a payment that the chain opens."""

    payment_id: UUID
    leg_id: UUID
    kind: str
    ours: bool = True
    account_id: UUID | None = None


@dataclass(frozen=True)
class Legs:
    """Our legs, by the hash that a spend consumes and by the transactions that carry a refund."""

    by_hash: Mapping[str, Leg] = field(default_factory=dict)
    by_transaction: Mapping[str, Leg] = field(default_factory=dict)


@dataclass(frozen=True)
class TakenBack:
    """Somebody told the Spender to take a signed spend of ours back. Anybody may: what it means, the contract says at a final block."""

    payment_id: UUID
    account_id: UUID
    leg_id: UUID
    tx_hash: str
    log_index: int
    block: Block


@dataclass
class Meaning:
    """What one block means: facts in log order, what may have been taken back, and whose integrity or allowance wants reading."""

    facts: list[Any] = field(default_factory=list)
    taken_back: list[TakenBack] = field(default_factory=list)
    reread: set[UUID] = field(default_factory=set)


def interpret(
    block: Block, seen: Sequence[Seen], directory: Directory, legs: Legs, chain_settings: ChainSettings
) -> Meaning:
    """The facts of one block. Wallets whose opening block is this one or a later one are passed over."""
    meaning = Meaning()
    for tx_hash, logs in groupby(seen, key=lambda each: each[0].transaction_hash):
        transaction = _Transaction(block, tx_hash, list(logs), directory, legs, chain_settings)
        for log, event in transaction.logs:
            read = READERS.get(type(event))
            if read is not None:
                meaning.facts.extend(read(transaction, log, event))
            if isinstance(event, chain.HashInvalidated):
                meaning.taken_back.extend(_taken_back(transaction, log, event))
            if isinstance(event, REREAD):
                meaning.reread.update(wallet.account_id for wallet in transaction.concerned(log))
    return meaning


@dataclass
class _Transaction:
    """One transaction's logs, and what they are matched against."""

    block: Block
    tx_hash: str
    logs: list[Seen]
    directory: Directory
    legs: Legs
    settings: ChainSettings

    def __post_init__(self) -> None:
        self.ordinals = _ordinals(self.logs)
        self.consumers = {log.address for log, event in self.logs if isinstance(event, chain.ConsumeAllowance)}
        self.spends = list(self._spends())

    def _spends(self) -> Iterator[tuple[str, int, str | None]]:
        """(Roles modifier, amount, consumed hash) of each spend: the hash is logged before the Spend that it paid for."""
        consumed: str | None = None
        for log, event in self.logs:
            if log.address != self.settings.spender_module.lower():
                continue
            if isinstance(event, chain.HashExecuted):
                consumed = event.hash
            elif isinstance(event, chain.Spend):
                yield event.roles, event.amount_raw, consumed
                consumed = None

    def concerned(self, log: Log) -> list[Wallet]:
        """The watched accounts that a log's emitter belongs to, if this block counts for them."""
        return [each for each in self.directory.by_emitter.get(log.address, ()) if self._counting(each)]

    def wallet(self, token: str, address: str) -> Wallet | None:
        """The watched account of a wallet in this token, if this block counts for it."""
        return self._counting(self.directory.by_wallet.get((token, address)))

    def counts(self, account_id: UUID) -> bool:
        """Whether the account is watched here, and this block counts for it."""
        return self._counting(self.directory.of_account(account_id)) is not None

    def _counting(self, found: Wallet | None) -> Wallet | None:
        return found if found is not None and found.opening_block < self.block.number else None

    def spend_leg(self, wallet: Wallet, transfer_id: UUID, amount_raw: int) -> Leg:
        """The leg of a spend: ours by its consumed hash, else that of a payment which the chain opens."""
        for place, (roles, amount, consumed) in enumerate(self.spends):
            if roles == wallet.roles_module and amount == amount_raw:
                del self.spends[place]
                if consumed is not None and consumed in self.legs.by_hash:
                    return self.legs.by_hash[consumed]
                break
        payment_id = ids.chain_payment_id(transfer_id)
        return Leg(payment_id, ids.leg_id(payment_id, "spend"), "spend", ours=False)


def _transfers(at: _Transaction, log: Log, event: chain.Transfer) -> Iterable[Any]:
    """One fact for each watched wallet that the transfer touches; a zero amount and a move to oneself are legal and say nothing."""
    if event.amount_raw == 0 or event.sender == event.recipient:
        return
    transfer_id = ids.transfer_id(at.settings.chain_id, at.tx_hash, log.address, at.ordinals[log.index])
    sides = ((event.sender, "out", event.recipient), (event.recipient, "in", event.sender))
    told = []
    for address, direction, counterparty in sides:
        wallet = at.wallet(log.address, address)
        if wallet is not None:
            kind, leg = _classified(at, wallet, transfer_id, direction, counterparty, event.amount_raw)
            told.append((wallet, direction, kind, counterparty, leg))
    ours = next((leg for *_, leg in told if leg is not None and leg.ours), None)
    if ours is not None:  # one transfer for ever, on both sides, whichever transaction carried it
        transfer_id = ids.leg_transfer_id(at.settings.chain_id, ours.leg_id)
    for wallet, direction, kind, counterparty, leg in told:
        yield facts.SeeTransfer(Transfer(
            account_id=wallet.account_id, transfer_id=transfer_id, direction=direction, kind=kind,
            counterparty=checksummed(counterparty), amount_raw=event.amount_raw, tx_hash=at.tx_hash, log_index=log.index, block=at.block,
            **_of_leg(leg),
        ))  # fmt: skip


def _of_leg(leg: Leg | None) -> dict[str, Any]:
    return {} if leg is None else {"payment_id": leg.payment_id, "leg_id": leg.leg_id, "leg_kind": leg.kind}


def _classified(
    at: _Transaction, wallet: Wallet, transfer_id: UUID, direction: str, counterparty: str, amount_raw: int
) -> tuple[str, Leg | None]:
    """The transfer's kind, and the payment's leg that it is, if it is one."""
    settlement = counterparty == at.settings.settlement_address.lower()
    if wallet.kind == "settlement":
        return f"settlement_{direction}", None
    if direction == "out":
        if settlement and wallet.roles_module in at.consumers:
            return "spend", at.spend_leg(wallet, transfer_id, amount_raw)
        return ("burn" if counterparty == ZERO_ADDRESS else "withdrawal"), None
    if settlement:
        return "refund", at.legs.by_transaction.get(at.tx_hash)
    return ("mint" if counterparty == ZERO_ADDRESS else "deposit"), None


def _consumed(at: _Transaction, log: Log, event: chain.ConsumeAllowance) -> Iterable[Any]:
    if event.key == at.settings.spending_allowance_key:
        for wallet in at.concerned(log):
            yield facts.ConsumeAllowance(wallet.account_id, event.balance_raw, at.block)


def _set(at: _Transaction, log: Log, event: chain.SetAllowance) -> Iterable[Any]:
    if event.key == at.settings.spending_allowance_key:
        for wallet in at.concerned(log):
            yield facts.ObserveAllowance(wallet.account_id, "set", stored_allowance(event, at.block.time), at.block)


def _queued(at: _Transaction, log: Log, event: chain.TransactionAdded) -> Iterable[Any]:
    for wallet in at.concerned(log):
        if log.address == wallet.delay_module:
            yield facts.QueueWithdrawal(
                wallet.account_id, event.queue_nonce, event.queued_hash, checksummed(event.target), at.tx_hash, at.block
            )


def _taken_back(at: _Transaction, log: Log, event: chain.HashInvalidated) -> Iterable[TakenBack]:
    leg = at.legs.by_hash.get(event.hash) if log.address == at.settings.spender_module.lower() else None
    if leg is not None and leg.account_id is not None and at.counts(leg.account_id):
        yield TakenBack(leg.payment_id, leg.account_id, leg.leg_id, at.tx_hash, log.index, at.block)


READERS: Mapping[type, Callable[[_Transaction, Log, Any], Iterable[Any]]] = {
    chain.Transfer: _transfers,
    chain.ConsumeAllowance: _consumed,
    chain.SetAllowance: _set,
    chain.TransactionAdded: _queued,
}
WATCHED_TOPICS = tuple(
    chain.TOPICS[event]
    for event in (
        *(*READERS, chain.Spend, chain.HashExecuted, chain.HashInvalidated, chain.ModuleProxyCreation),
        *REREAD,
    )
)


def _ordinals(logs: Sequence[Seen]) -> dict[int, int]:
    """Log index -> the log's place among its token's Transfer logs in this transaction: the same in whichever block."""
    counts: dict[str, int] = {}
    places = {}
    for log, event in logs:
        if isinstance(event, chain.Transfer):
            places[log.index] = counts.get(log.address, 0)
            counts[log.address] = places[log.index] + 1
    return places
