"""The account: what a wallet holds, what is on its way out, what is set aside, and so what may be spent.

An amount stands in one place at a time: hold, debit on its way, or gone. Credits count when final, debits when seen.
Holds and debits are kept with their sums, in maps that share what they have in common: one more costs the same however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar
from uuid import UUID

from immutables import Map

from schemas.definition import Message
from schemas.messages import account_events as events
from schemas.messages import card_controls as controls
from streams.domain.money import minor_of
from streams.domain.states.allowance import Allowance, Allowances
from streams.domain.states.limits import CardLimits, Use, give_back, remember
from streams.domain.values import replace

V = TypeVar("V")
NO_LIMITS = CardLimits()
LIMITS = tuple(each.name for each in fields(CardLimits))


@dataclass(frozen=True)
class Debit:
    """A transfer out of the wallet that is not final. Unseen: its block was dropped, it may be mined again.

    `queued`: a withdrawal that came out of the Delay queue, without which it cannot come again.
    """

    amount_raw: int
    kind: str
    seen: bool
    queued: bool = False


@dataclass(frozen=True)
class Account:
    """State of an account, folded from its events. Amounts in raw units.

    `debits`: transfers out that are not final (seen, or unseen and still possible), by transfer, and what they sum up to; of that,
    `unseen_spends_raw` a reorg took out of sight. `holds`: by payment, each whose leg has not been seen, and their sum.
    `seen_up_to`: the highest block in which a transfer was seen before it was final; 0: none was.
    """

    account_id: UUID
    kind: str
    wallet: str
    token: str
    currency: str
    decimals: int
    settlement_address: str
    spender_module: str | None
    roles_module: str | None
    delay_module: str | None
    card_token: str | None
    card_state: str
    integrity: str
    queue_empty: bool
    final_raw: int
    allowances: Allowances
    limits: CardLimits = NO_LIMITS
    uses: tuple[Use, ...] = ()
    blocked_mccs: frozenset[str] = frozenset()
    blocked_countries: frozenset[str] = frozenset()
    debits: Map[UUID, Debit] = field(default_factory=Map)
    debits_raw: int = 0
    unseen_spends_raw: int = 0
    holds: Map[UUID, int] = field(default_factory=Map)
    held_raw: int = 0
    seen_up_to: int = 0

    def free_funds_raw(self) -> int:
        """Final balance less what is on its way out and what is held."""
        return self.final_raw - self.debits_raw - self.held_raw

    def free_allowance_raw(self, block_time: int) -> int:
        """The contract's allowance that counts at `block_time` (Unix seconds), less what will still consume it.

        Spends that a reorg took out of sight may yet consume what it gave back.
        """
        return self.allowances.counting(block_time).balance - self.unseen_spends_raw - self.held_raw

    def spendable_raw(self, block_time: int) -> int:
        """What may be approved now, never below zero."""
        return max(0, min(self.free_funds_raw(), self.free_allowance_raw(block_time)))


def _registered(_: Account | None, event: events.AccountRegistered) -> Account:
    allowance = Allowance(
        balance=event.allowance_balance_raw,
        max_refill=event.allowance_max_refill_raw,
        refill=event.allowance_refill_raw,
        period_seconds=event.allowance_period_seconds,
        timestamp=event.allowance_timestamp,
    )
    return Account(
        account_id=event.account_id,
        kind=event.kind,
        wallet=event.wallet,
        token=event.token,
        currency=event.currency,
        decimals=event.decimals,
        settlement_address=event.settlement_address,
        spender_module=event.spender_module,
        roles_module=event.roles_module,
        delay_module=event.delay_module,
        card_token=event.card_token,
        card_state="active",
        integrity=event.integrity,
        queue_empty=event.queue_empty,
        final_raw=event.opening_balance_raw,
        allowances=Allowances(allowance),
    )


def _transfer_seen(account: Account, event: events.TransferSeen) -> Account:
    account = replace(account, seen_up_to=max(account.seen_up_to, event.block_number))
    if event.direction == "in":
        return account
    queued = event.kind == "withdrawal" and not account.queue_empty
    debited = _debit(account, event.transfer_id, Debit(event.amount_raw, event.kind, seen=True, queued=queued))
    if event.hold_used_raw and event.payment_id is not None:
        return _hold(debited, event.payment_id, -event.hold_used_raw)
    return debited


def _transfer_unseen(account: Account, event: events.TransferUnseen) -> Account:
    if event.direction == "in":
        return account
    return _debit(account, event.transfer_id, replace(account.debits[event.transfer_id], seen=False))


def _transfer_finalized(account: Account, event: events.TransferFinalized) -> Account:
    if event.direction == "in":
        return replace(account, final_raw=account.final_raw + event.amount_raw)
    gone = replace(account, final_raw=account.final_raw - event.amount_raw)
    return gone if event.at_first_sight else _debit(gone, event.transfer_id, None)


def _transfer_ended(account: Account, event: events.TransferEnded) -> Account:
    return _debit(account, event.transfer_id, None)


def _allowance_observed(account: Account, event: events.AllowanceObserved) -> Account:
    seen = Allowance(
        balance=event.balance_raw,
        max_refill=event.max_refill_raw,
        refill=event.refill_raw,
        period_seconds=event.period_seconds,
        timestamp=event.timestamp,
    )
    known = account.allowances.observed(event.cause, seen, event.block_number, event.block_time)
    return replace(account, allowances=known)


def _raise_finalized(account: Account, event: events.AllowanceRaiseFinalized) -> Account:
    return replace(account, allowances=account.allowances.finalized(event.block_number))


def _withdrawal_queued(account: Account, _: events.WithdrawalQueued) -> Account:
    return replace(account, queue_empty=False)


def _queue_emptied(account: Account, _: events.DelayQueueEmptied) -> Account:
    return replace(account, queue_empty=True)


def _integrity_observed(account: Account, event: events.IntegrityObserved) -> Account:
    return replace(account, integrity=event.integrity)


def _drift_observed(account: Account, event: events.DriftObserved) -> Account:
    """A queue that somebody filled unseen holds approvals back like any other."""
    return replace(account, queue_empty=False) if event.what == "queue" else account


def _funds_held(account: Account, event: events.FundsHeld) -> Account:
    held = _hold(account, event.payment_id, event.amount_raw)
    if event.held_at is None or event.amount_minor is None:
        return held
    use = Use(event.payment_id, event.held_at, event.amount_minor, event.cash)
    return replace(held, uses=remember(account.uses, use))


def _hold_released(account: Account, event: events.HoldReleased) -> Account:
    """What never moved was not used either."""
    minor = minor_of(event.amount_raw, account.currency, account.decimals)
    released = _hold(account, event.payment_id, -event.amount_raw)
    return replace(released, uses=give_back(account.uses, event.payment_id, minor)) if account.uses else released


def _limits_set(account: Account, event: controls.CardLimitsSet) -> Account:
    return replace(account, limits=CardLimits(**{name: getattr(event, name) for name in LIMITS}))


def _mcc_blocked(account: Account, event: controls.MccBlocked) -> Account:
    return replace(account, blocked_mccs=account.blocked_mccs | {event.mcc})


def _mcc_unblocked(account: Account, event: controls.MccUnblocked) -> Account:
    return replace(account, blocked_mccs=account.blocked_mccs - {event.mcc})


def _country_blocked(account: Account, event: controls.CountryBlocked) -> Account:
    return replace(account, blocked_countries=account.blocked_countries | {event.country})


def _country_unblocked(account: Account, event: controls.CountryUnblocked) -> Account:
    return replace(account, blocked_countries=account.blocked_countries - {event.country})


def _card_bound(account: Account, event: events.CardBound) -> Account:
    return replace(account, card_token=event.card_token)


def _card_frozen(account: Account, _: events.CardFrozen) -> Account:
    return replace(account, card_state="frozen")


def _card_unfrozen(account: Account, _: events.CardUnfrozen) -> Account:
    return replace(account, card_state="active")


EVOLVE: Mapping[type[Message], Callable[[Any, Any], Account]] = {
    events.AccountRegistered: _registered,
    events.TransferSeen: _transfer_seen,
    events.TransferUnseen: _transfer_unseen,
    events.TransferFinalized: _transfer_finalized,
    events.TransferEnded: _transfer_ended,
    events.AllowanceObserved: _allowance_observed,
    events.AllowanceRaiseFinalized: _raise_finalized,
    events.WithdrawalQueued: _withdrawal_queued,
    events.DelayQueueEmptied: _queue_emptied,
    events.IntegrityObserved: _integrity_observed,
    events.DriftObserved: _drift_observed,
    events.FundsHeld: _funds_held,
    events.HoldReleased: _hold_released,
    controls.CardLimitsSet: _limits_set,
    controls.MccBlocked: _mcc_blocked,
    controls.MccUnblocked: _mcc_unblocked,
    controls.CountryBlocked: _country_blocked,
    controls.CountryUnblocked: _country_unblocked,
    events.CardBound: _card_bound,
    events.CardFrozen: _card_frozen,
    events.CardUnfrozen: _card_unfrozen,
}


def evolve(account: Account | None, event: Message) -> Account:
    """The account after one more event of its stream."""
    return EVOLVE[type(event)](account, event)


def _debit(account: Account, transfer_id: UUID, debit: Debit | None) -> Account:
    """The transfer is on its way out as `debit` says; None: no more."""
    before = account.debits.get(transfer_id)
    return replace(
        account,
        debits=_put(account.debits, transfer_id, debit),
        debits_raw=account.debits_raw + _raw(debit) - _raw(before),
        unseen_spends_raw=account.unseen_spends_raw + _unseen_spend_raw(debit) - _unseen_spend_raw(before),
    )


def _raw(debit: Debit | None) -> int:
    return debit.amount_raw if debit is not None else 0


def _unseen_spend_raw(debit: Debit | None) -> int:
    return debit.amount_raw if debit is not None and debit.kind == "spend" and not debit.seen else 0


def _hold(account: Account, payment_id: UUID, change_raw: int) -> Account:
    """So much more, or less, is set aside for the payment; it has no hold when nothing of it is left."""
    before = account.holds.get(payment_id, 0)
    after = max(0, before + change_raw)
    return replace(
        account, holds=_put(account.holds, payment_id, after or None), held_raw=account.held_raw + after - before
    )


def _put(mapping: Map[UUID, V], key: UUID, value: V | None) -> Map[UUID, V]:
    """The map with this value; None: without the key."""
    if value is not None:
        return mapping.set(key, value)
    return mapping.delete(key) if key in mapping else mapping
