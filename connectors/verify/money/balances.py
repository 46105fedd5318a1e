"""Subject: the read model `balances`, summed anew from each account's holds and transfers, and held against the aggregate's own state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import MALFORMED, Context, Event, Subject
from schemas.messages import account_events as on_account
from schemas.messages import card_controls as controls

OPENED = ("account_id", "kind", "wallet", "token", "currency", "decimals", "card_token")
COLUMNS = (
    *OPENED, "card_state", "integrity", "queue_empty", "final_raw", "pending_in_raw", "pending_out_raw", "unseen_spend_raw",
    "held_raw", "allowance", "pending_allowances", "card_limits", "blocks", "block_number", "version", "changed_at",
)  # fmt: skip
BALANCES = f"SELECT {', '.join(COLUMNS)} FROM balances ORDER BY account_id"


@dataclass(frozen=True, slots=True)
class Limit:
    """An on-chain allowance as it is stored; only the rules of AllowanceTracker.sol, written down a second time."""

    balance: int
    max_refill: int
    refill: int
    period: int
    timestamp: int

    def at(self, now: int) -> Limit:
        """Accrued: each whole period since `timestamp` adds `refill`, never above `max_refill`; nothing where uint64 or uint128 does not hold it."""
        if self.period and self.timestamp + self.period >= 2**64:
            return Limit(0, self.max_refill, self.refill, self.period, self.timestamp)
        if not self.period or now - self.timestamp < self.period:
            return self
        whole = (now - self.timestamp) // self.period
        grown = self.balance + whole * self.refill
        added = min(grown, self.max_refill) if grown < 2**128 else 0
        capped = self.balance if self.balance >= self.max_refill else added
        return Limit(capped, self.max_refill, self.refill, self.period, self.timestamp + whole * self.period)

    def shown(self) -> dict[str, Any]:
        """As the column shows it."""
        return {
            "balance": str(self.balance),
            "max_refill": str(self.max_refill),
            "refill": str(self.refill),
            "period_seconds": self.period,
            "timestamp": self.timestamp,
        }


@dataclass(slots=True)
class Change:
    """What an owner set in a block that is not final yet, and the (block, amount) of each spend that it paid for."""

    block: int
    limit: Limit
    spends: list[tuple[int, int]] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """As the column shows it."""
        spends = [{"block_number": block, "amount": str(used)} for block, used in self.spends]
        return {"block_number": self.block, "allowance": self.limit.shown(), "spends": spends}


@dataclass
class Tally:
    """One account: every hold and every transfer that is not final, by name; sums are made only when they are asked for."""

    opened: on_account.AccountRegistered
    final: int
    limit: Limit
    block: int
    changes: list[Change] = field(default_factory=list)
    card: str = "active"
    integrity: str = "Ok"
    queue_empty: bool = True
    holds: dict[UUID, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    blocks: dict[str, set[str]] = field(default_factory=lambda: {"mccs": set(), "countries": set()})
    pending: dict[UUID, tuple[str, str, int, bool]] = field(default_factory=dict)
    version: int = 0
    changed_at: Any = None

    def row(self) -> dict[str, Any]:
        """What `balances` must show."""
        moving = self.pending.values()
        return {
            **{name: getattr(self.opened, name) for name in OPENED},
            "card_state": self.card,
            "integrity": self.integrity,
            "queue_empty": self.queue_empty,
            "final_raw": self.final,
            "pending_in_raw": sum(amount for way, _, amount, seen in moving if way == "in" and seen),
            "pending_out_raw": sum(amount for way, _, amount, _ in moving if way == "out"),
            "unseen_spend_raw": sum(
                amount for way, kind, amount, seen in moving if (way, kind, seen) == ("out", "spend", False)
            ),
            "held_raw": sum(self.holds.values()),
            "allowance": self.limit.shown(),
            "pending_allowances": [each.shown() for each in self.changes],
            "card_limits": self.limits,
            "blocks": {kind: sorted(words) for kind, words in self.blocks.items()},
            "block_number": self.block,
            "version": self.version,
            "changed_at": self.changed_at,
        }

    def take(self, said: Any) -> None:
        """One more event."""
        match said:
            case on_account.TransferSeen():
                self.pending[said.transfer_id] = (said.direction, said.kind, said.amount_raw, True)
                if said.direction == "out" and said.hold_used_raw and said.payment_id:
                    self._end_hold(said.payment_id, said.hold_used_raw)
            case on_account.TransferUnseen():
                way, kind, amount, _ = self.pending[said.transfer_id]
                self.pending[said.transfer_id] = (way, kind, amount, False)
            case on_account.TransferEnded():
                if self.pending.pop(said.transfer_id) != ("out", said.kind, said.amount_raw, False):
                    raise ValueError(
                        f"transfer {said.transfer_id} ended, and is not a vanished debit of {said.amount_raw}"
                    )
                if said.reason == "queue_emptied" and not self.queue_empty:
                    raise ValueError(f"transfer {said.transfer_id} ended with the Delay queue, which is not empty")
            case on_account.TransferFinalized():
                if not said.at_first_sight:
                    del self.pending[said.transfer_id]
                elif said.transfer_id in self.pending:
                    raise ValueError(f"transfer {said.transfer_id} was final at first sight, and had been seen before")
                self.final += said.amount_raw if said.direction == "in" else -said.amount_raw
                self.block = max(self.block, said.block_number)
            case on_account.FundsHeld():
                self.holds[said.payment_id] = self.holds.get(said.payment_id, 0) + said.amount_raw
            case on_account.HoldReleased():
                self._end_hold(said.payment_id, said.amount_raw)
            case on_account.AllowanceObserved():
                self._observe(said)
            case on_account.AllowanceRaiseFinalized():
                while self.changes and self.changes[0].block <= said.block_number:
                    self.limit = self.changes.pop(0).limit
            case on_account.WithdrawalQueued() | on_account.DelayQueueEmptied():
                self.queue_empty = isinstance(said, on_account.DelayQueueEmptied)
            case on_account.DriftObserved():
                self.queue_empty = self.queue_empty and said.what != "queue"
            case on_account.IntegrityObserved():
                self.integrity = said.integrity
            case controls.CardLimitsSet():
                told = {name: value for name, value in vars(said).items() if name != "account_id"}
                self.limits = {name: value for name, value in told.items() if value is not None}
            case controls.MccBlocked():
                self.blocks["mccs"].add(said.mcc)
            case controls.MccUnblocked():
                self.blocks["mccs"].discard(said.mcc)
            case controls.CountryBlocked():
                self.blocks["countries"].add(said.country)
            case controls.CountryUnblocked():
                self.blocks["countries"].discard(said.country)
            case on_account.CardBound():
                self.opened = replace(self.opened, card_token=said.card_token)
            case on_account.CardFrozen() | on_account.CardUnfrozen():
                self.card = "frozen" if isinstance(said, on_account.CardFrozen) else "active"

    def _end_hold(self, payment_id: UUID, amount: int) -> None:
        held = self.holds.pop(payment_id)
        if held < amount:
            raise ValueError(f"{amount} of the hold for {payment_id} ended, {held} was held")
        if held > amount:
            self.holds[payment_id] = held - amount

    def _observe(self, said: on_account.AllowanceObserved) -> None:
        read = Limit(said.balance_raw, said.max_refill_raw, said.refill_raw, said.period_seconds, said.timestamp)
        if said.cause == "set":
            self.changes.append(Change(said.block_number, read))
        elif said.cause == "consumed" and self.changes:
            newest = self.changes[-1]
            newest.spends.append((said.block_number, newest.limit.at(said.block_time).balance - read.balance))
            newest.limit = read
        elif said.cause == "unspent":
            self.changes = [each for each in self.changes if each.block <= said.block_number]
            if not self.changes:
                raise ValueError(
                    f"nothing that its owner set stands below block {said.block_number}, or all of it is final"
                )
            newest = self.changes[-1]
            newest.spends = [each for each in newest.spends if each[0] <= said.block_number]
            newest.limit = read
        else:
            self.limit, self.changes = read, []


def opened(said: on_account.AccountRegistered) -> Tally:
    """An account as it came under watch."""
    limit = Limit(
        said.allowance_balance_raw,
        said.allowance_max_refill_raw,
        said.allowance_refill_raw,
        said.allowance_period_seconds,
        said.allowance_timestamp,
    )
    return Tally(
        opened=said,
        final=said.opening_balance_raw,
        limit=limit,
        block=said.block_number,
        integrity=said.integrity,
        queue_empty=said.queue_empty,
    )


class Balances(Subject):
    """Holds R's balances against the accounts' streams. `tallies` stay for those who ask the chain: one an account."""

    def __init__(self, context: Context) -> None:
        self._findings = context.findings
        self._rows = Aligned(context.read.stream(BALANCES), lambda row: row[0], self._unknown)
        self.tallies: dict[UUID, Tally] = {}

    def event(self, event: Event) -> None:
        """Add it up."""
        if event.category != "account" or event.message is None:
            return
        try:
            if isinstance(event.message, on_account.AccountRegistered):
                self.tallies[event.stream_id] = opened(event.message)
            tally = self.tallies[event.stream_id]
            tally.take(event.message)
            tally.version, tally.changed_at = event.version, event.recorded_at
        except MALFORMED as error:
            self._findings.differ(
                "events", event.key, repr(error), "fits what came before", "the tally does not add up"
            )

    def end(self, stream_id: UUID, category: str) -> None:
        """Compare the row."""
        if category != "account" or stream_id not in self.tallies:
            return
        self._findings.checked["balances"] += 1
        rows, expected = self._rows.take(stream_id), self.tallies[stream_id].row()
        if not rows:
            self._findings.absent("balances", stream_id, expected, "R does not show this account")
            return
        found = dict(zip(COLUMNS, rows[0], strict=True))
        self._findings.compare("balances", stream_id, found, expected, "is not what the events add up to")

    def finish(self) -> None:
        """No balance without an account."""
        self._rows.rest()

    def _unknown(self, row: Row) -> None:
        self._findings.surplus("balances", row[0], f"final {row[10]}, held {row[14]}", "W knows no such account")
