"""The read model `balances`: one row an account, what it holds, what is on its way, what is set aside, and so what may be spent.

Amounts in raw units. A credit counts when final, a debit when seen; an unseen debit stays reserved, for it may be mined again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.definition import Message
from schemas.messages import account_events as events
from schemas.messages import card_controls as controls
from streams.delivered import Delivered
from streams.domain.states.account import LIMITS
from streams.domain.states.allowance import Allowance, Allowances, PendingAllowance, Spent
from streams.domain.values import replace
from streams.projections.rows import Apply, RowModel

AMOUNTS = ("balance", "max_refill", "refill")


@dataclass(frozen=True)
class BalanceRow:
    """An account as it is shown. `allowance`: the final one, as the contract stores it, amounts as base-10 strings; `pending_allowances`:
    each that its owner set since, with its block and what was spent from it.

    `card_limits`: those that there are, minor units and seconds; `blocks`: mccs and countries that the card may not pay, sorted.
    """

    account_id: UUID
    kind: str
    wallet: str
    token: str
    currency: str
    decimals: int
    card_token: str | None
    card_state: str
    integrity: str
    queue_empty: bool
    final_raw: int
    pending_in_raw: int
    pending_out_raw: int
    unseen_spend_raw: int
    held_raw: int
    allowance: dict[str, Any]
    pending_allowances: list[dict[str, Any]]
    card_limits: dict[str, Any]
    blocks: dict[str, Any]
    block_number: int
    version: int
    changed_at: datetime


def apply(row: BalanceRow | None, event: Delivered) -> BalanceRow:
    """The row after one more event of its account."""
    return BALANCES.fold(row, event)


def spendable_raw(row: BalanceRow, block_time: int) -> int:
    """What may be approved at `block_time` (Unix seconds): funds and allowance, each less what is spoken for; never below zero."""
    funds = row.final_raw - row.pending_out_raw - row.held_raw
    counting = allowances(row).counting(block_time)
    return max(0, min(funds, counting.balance - row.unseen_spend_raw - row.held_raw))


def allowances(row: BalanceRow) -> Allowances:
    """The two columns' values: the final allowance, and what is set and not final."""
    pending = (
        PendingAllowance(
            each["block_number"],
            _read(each["allowance"]),
            tuple(Spent(spent["block_number"], int(spent["amount"])) for spent in each["spends"]),
        )
        for each in row.pending_allowances
    )
    return Allowances(_read(row.allowance), tuple(pending))


def _read(stored: Mapping[str, Any]) -> Allowance:
    return Allowance(**{name: int(value) for name, value in stored.items()})


def _stored(allowance: Allowance) -> dict[str, Any]:
    return {name: str(value) if name in AMOUNTS else value for name, value in asdict(allowance).items()}


def _columns(known: Allowances) -> dict[str, Any]:
    pending = [
        {
            "block_number": each.block_number,
            "allowance": _stored(each.allowance),
            "spends": [{"block_number": one.block_number, "amount": str(one.amount_raw)} for one in each.spends],
        }
        for each in known.pending
    ]
    return {"allowance": _stored(known.final), "pending_allowances": pending}


def _registered(_: BalanceRow | None, said: events.AccountRegistered, event: Delivered) -> BalanceRow:
    opening = Allowance(
        balance=said.allowance_balance_raw,
        max_refill=said.allowance_max_refill_raw,
        refill=said.allowance_refill_raw,
        period_seconds=said.allowance_period_seconds,
        timestamp=said.allowance_timestamp,
    )
    return BalanceRow(
        account_id=said.account_id,
        kind=said.kind,
        wallet=said.wallet,
        token=said.token,
        currency=said.currency,
        decimals=said.decimals,
        card_token=said.card_token,
        card_state="active",
        integrity=said.integrity,
        queue_empty=said.queue_empty,
        final_raw=int(said.opening_balance_raw),
        pending_in_raw=0,
        pending_out_raw=0,
        unseen_spend_raw=0,
        held_raw=0,
        **_columns(Allowances(opening)),
        card_limits={},
        blocks={"mccs": [], "countries": []},
        block_number=said.block_number,
        version=event.version,
        changed_at=event.recorded_at,
    )


def _told(row: BalanceRow, event: Delivered, **changes: Any) -> BalanceRow:
    return replace(row, version=event.version, changed_at=event.recorded_at, **changes)


def _seen(row: BalanceRow, said: events.TransferSeen, event: Delivered) -> BalanceRow:
    if said.direction == "in":
        return _told(row, event, pending_in_raw=row.pending_in_raw + said.amount_raw)
    held = row.held_raw - said.hold_used_raw
    if said.again:  # it was never given back
        return _told(row, event, held_raw=held, unseen_spend_raw=row.unseen_spend_raw - _spend(said))
    return _told(row, event, held_raw=held, pending_out_raw=row.pending_out_raw + said.amount_raw)


def _unseen(row: BalanceRow, said: events.TransferUnseen, event: Delivered) -> BalanceRow:
    if said.direction == "in":
        return _told(row, event, pending_in_raw=row.pending_in_raw - said.amount_raw)
    return _told(row, event, unseen_spend_raw=row.unseen_spend_raw + _spend(said))


def _ended(row: BalanceRow, said: events.TransferEnded, event: Delivered) -> BalanceRow:
    unseen = row.unseen_spend_raw - _spend(said)
    return _told(row, event, pending_out_raw=row.pending_out_raw - said.amount_raw, unseen_spend_raw=unseen)


def _finalized(row: BalanceRow, said: events.TransferFinalized, event: Delivered) -> BalanceRow:
    block, was_pending = max(row.block_number, said.block_number), 0 if said.at_first_sight else said.amount_raw
    if said.direction == "in":
        pending, final = row.pending_in_raw - was_pending, row.final_raw + said.amount_raw
        return _told(row, event, pending_in_raw=pending, final_raw=final, block_number=block)
    pending, final = row.pending_out_raw - was_pending, row.final_raw - said.amount_raw
    return _told(row, event, pending_out_raw=pending, final_raw=final, block_number=block)


def _spend(said: events.TransferSeen | events.TransferUnseen | events.TransferEnded) -> int:
    return said.amount_raw if said.kind == "spend" else 0


def _allowance_observed(row: BalanceRow, said: events.AllowanceObserved, event: Delivered) -> BalanceRow:
    read = Allowance(said.balance_raw, said.max_refill_raw, said.refill_raw, said.period_seconds, said.timestamp)
    return _told(row, event, **_columns(allowances(row).observed(said.cause, read, said.block_number, said.block_time)))


def _raise_finalized(row: BalanceRow, said: events.AllowanceRaiseFinalized, event: Delivered) -> BalanceRow:
    return _told(row, event, **_columns(allowances(row).finalized(said.block_number)))


def _integrity_observed(row: BalanceRow, said: events.IntegrityObserved, event: Delivered) -> BalanceRow:
    return _told(row, event, integrity=said.integrity)


def _drift_observed(row: BalanceRow, said: events.DriftObserved, event: Delivered) -> BalanceRow:
    return _told(row, event, queue_empty=row.queue_empty and said.what != "queue")


def _card_bound(row: BalanceRow, said: events.CardBound, event: Delivered) -> BalanceRow:
    return _told(row, event, card_token=said.card_token)


def _held(row: BalanceRow, said: events.FundsHeld, event: Delivered) -> BalanceRow:
    return _told(row, event, held_raw=row.held_raw + said.amount_raw)


def _released(row: BalanceRow, said: events.HoldReleased, event: Delivered) -> BalanceRow:
    return _told(row, event, held_raw=row.held_raw - said.amount_raw)


def _limits_set(row: BalanceRow, said: controls.CardLimitsSet, event: Delivered) -> BalanceRow:
    """Only the limits that there are."""
    told = {name: getattr(said, name) for name in LIMITS}
    return _told(row, event, card_limits={name: value for name, value in told.items() if value is not None})


def _blocked(kind: str, field: str, *, blocked: bool) -> Callable[[BalanceRow, Any, Delivered], BalanceRow]:
    def change(row: BalanceRow, said: Any, event: Delivered) -> BalanceRow:
        word, known = getattr(said, field), set(row.blocks[kind])
        after = known | {word} if blocked else known - {word}
        return _told(row, event, blocks={**row.blocks, kind: sorted(after)})

    return change


def _now(**changes: Any) -> Callable[[BalanceRow, Message, Delivered], BalanceRow]:
    return lambda row, _, event: _told(row, event, **changes)


FOLDS: Mapping[type[Message], Apply[BalanceRow]] = {
    events.AccountRegistered: _registered,
    events.TransferSeen: _seen,
    events.TransferUnseen: _unseen,
    events.TransferEnded: _ended,
    events.TransferFinalized: _finalized,
    events.AllowanceObserved: _allowance_observed,
    events.AllowanceRaiseFinalized: _raise_finalized,
    events.WithdrawalQueued: _now(queue_empty=False),
    events.DelayQueueEmptied: _now(queue_empty=True),
    events.IntegrityObserved: _integrity_observed,
    events.FundsHeld: _held,
    events.HoldReleased: _released,
    controls.CardLimitsSet: _limits_set,
    controls.MccBlocked: _blocked("mccs", "mcc", blocked=True),
    controls.MccUnblocked: _blocked("mccs", "mcc", blocked=False),
    controls.CountryBlocked: _blocked("countries", "country", blocked=True),
    controls.CountryUnblocked: _blocked("countries", "country", blocked=False),
    events.DriftObserved: _drift_observed,
    events.CardBound: _card_bound,
    events.CardFrozen: _now(card_state="frozen"),
    events.CardUnfrozen: _now(card_state="active"),
}

BALANCES = RowModel("balances", BalanceRow, events.AccountRegistered, FOLDS)
