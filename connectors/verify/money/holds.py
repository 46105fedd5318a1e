"""Subject: holds and decisions. What we set aside was there to be set aside, belongs to a payment that may yet need it, and nothing
was approved late or without a hold; what stands in two streams was appended to both."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from connectors.verify.money.balances import Balances
from connectors.verify.walk import MALFORMED, Context, Event, Subject
from streams.aggregates import AGGREGATES
from streams.domain.states import account, legs, limits, payment
from streams.domain.states.account import Account
from streams.domain.states.payment import Payment

NEWEST_TIME = """
SELECT greatest((SELECT coalesce(max(seen_time), 0) FROM chain_cursors), (SELECT coalesce(max(time), 0) FROM chain_blocks))
"""
LATE = timedelta(seconds=1)
"""Between W's look at the deadline, inside the append, and the row's own time."""
FORCED = frozenset({"advice", "captured", "refund_reversed", "dispute_lost", "collected"})
"""Causes of a hold that is not our decision: it may be more than is spendable."""
Twin = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stand:
    """How a payment stands, as far as its hold goes."""

    card: str
    held_raw: int
    owed_raw: int
    account_id: UUID


class Holds(Subject):
    """Folds both kinds of streams with the product's own aggregates and asks whether what we decided was sound."""

    def __init__(self, context: Context, balances: Balances) -> None:
        self._context, self._findings, self._balances = context, context.findings, balances
        (self._chain_time,) = context.write.one(NEWEST_TIME)
        self._state: Any = None
        self._stands: dict[UUID, Stand] = {}
        self._holds: dict[UUID, dict[UUID, int]] = {}
        self._twins: Counter[Twin] = Counter()

    def event(self, event: Event) -> None:
        """Decide nothing, fold everything."""
        if event.message is None:
            return
        if event.version == 1:
            self._state = None
        said: Any = event.message
        try:
            if event.category == "account":
                self._before_account(event, said)
                self._state = account.evolve(self._state, said)
                self._after_account(event)
            elif event.category == "payment":
                self._before_payment(event, said)
                self._state = payment.evolve(self._state, said)
            else:
                self._state = AGGREGATES[event.category].evolve(self._state, said)
            self._twin(event, said)
        except (*MALFORMED, AssertionError) as error:
            about = "the aggregate cannot take this event"
            self._findings.differ("events", event.key, repr(error), "fits what came before", about)

    def end(self, stream_id: UUID, category: str) -> None:
        """Keep what the other streams will be asked about."""
        state, self._state = self._state, None
        if isinstance(state, Account):
            self._holds[stream_id] = dict(state.holds)
            self._same_as_tally(stream_id, state)
        elif isinstance(state, Payment):
            owed = state.held_raw if state.open else legs.never_seen_raw(state.legs)
            self._stands[stream_id] = Stand(state.card, state.held_raw, owed, state.account_id)

    def finish(self) -> None:
        """Holds against payments, and twins against each other."""
        for account_id, holds in self._holds.items():
            for payment_id, amount in holds.items():
                self._hold(account_id, payment_id, amount)
        for payment_id, stand in self._stands.items():
            if stand.held_raw and payment_id not in self._holds.get(stand.account_id, {}):
                about = "the payment is held, its account holds nothing for it"
                self._findings.differ("events", payment_id, "no hold", f"a hold on {stand.account_id}", about)
        for twin, count in self._twins.items():
            if count:
                there = "the account's stream" if count > 0 else "the payment's stream"
                about = f"one append over two streams: {' '.join(twin)} stands only in {there}"
                self._findings.differ("events", twin[1], there, "both streams", about)

    def _before_account(self, event: Event, said: Any) -> None:
        if event.type != "FundsHeld":
            return
        self._findings.checked["holds"] += 1
        state: Account = self._state
        stated, most = said.spendable_raw, state.spendable_raw(self._chain_time)
        if said.cause != "approval" and said.cause not in FORCED:
            self._findings.differ(
                "events", event.key, said.cause, f"approval, {', '.join(sorted(FORCED))}", "held, why?"
            )
        if said.cause == "approval":
            self._approved_hold(event, said, state)
        if stated > most:
            self._findings.differ("events", event.key, stated, f"at most {most}", "spendable_raw was stated too high")

    def _approved_hold(self, event: Event, said: Any, state: Account) -> None:
        """What we decided ourselves was within what could be spent."""
        stated = said.spendable_raw
        if said.held_at is not None and said.amount_minor is not None:
            asked = limits.Asked(said.payment_id, said.held_at, said.cash)
            if (broken := limits.refusal(state.limits, state.uses, asked, said.amount_minor)) is not None:
                about = "held beyond a limit of the card"
                self._findings.differ("events", event.key, said.amount_minor, f"within {broken}", about)
        if said.amount_raw > stated:
            self._findings.differ(
                "events", event.key, said.amount_raw, f"at most {stated}", "held more than was spendable"
            )
        if not state.queue_empty or state.integrity != "Ok":
            found = f"integrity {state.integrity}, queue empty: {state.queue_empty}"
            self._findings.differ("events", event.key, found, "Ok, true", "held on an account that may not spend")

    def _after_account(self, event: Event) -> None:
        state: Account = self._state
        said: Any = event.message
        if event.type == "FundsHeld" and said.cause == "approval" and state.free_funds_raw() < 0:
            about = "free funds are below zero by our own decision"
            self._findings.differ("events", event.key, state.free_funds_raw(), "zero or more", about)

    def _before_payment(self, event: Event, said: Any) -> None:
        state: Payment = self._state
        if event.type == "LegEndedUnpaid" and said.kind == "spend" and state.legs[said.leg_id].state == "unseen":
            self._twins[_given_back(said)] -= 1  # only a debit that had been seen is given back
        if event.type != "PaymentAuthorized" or state.origin != "network" or said.stand_in:
            return
        self._findings.checked["approvals"] += 1
        if not (state.open and state.held_raw and state.verdict == "passed"):
            found = f"{state.card}, held: {state.held_raw}, verdict: {state.verdict}"
            self._findings.differ("events", event.key, found, "requested, held, passed", "approved without its reasons")
        if state.deadline is None or event.recorded_at > state.deadline + LATE:
            self._findings.differ("events", event.key, event.recorded_at, state.deadline, "approved after the deadline")

    def _twin(self, event: Event, said: Any) -> None:
        """What one append writes to both streams is counted up by the account's side and down by the payment's."""
        twin = _twin(event.type, said)
        if twin is not None:
            self._twins[twin] += 1 if event.category == "account" else -1

    def _hold(self, account_id: UUID, payment_id: UUID, amount: int) -> None:
        key, stand = f"{account_id} hold for {payment_id}", self._stands.get(payment_id)
        if stand is None:
            self._findings.differ("events", key, amount, "no hold", "a hold for a payment that does not exist")
            return
        if not (stand.held_raw == stand.owed_raw == amount and stand.account_id == account_id):
            expected = f"{stand.card}, {stand.held_raw} held, {stand.owed_raw} to be spent"
            self._findings.differ("events", key, amount, expected, "a hold that its payment has no use for")

    def _same_as_tally(self, account_id: UUID, state: Account) -> None:
        """The aggregate that decides and the tally that shows come from the same events by different code."""
        tally = self._balances.tallies.get(account_id)
        if tally is None:
            return
        row, about = tally.row(), "the deciding aggregate and the audit's tally do not agree"
        found = {"final_raw": state.final_raw, "held_raw": state.held_raw, "pending_out_raw": state.debits_raw}
        self._findings.compare("events", account_id, found, {name: row[name] for name in found}, about)


def _twin(kind: str, said: Any) -> Twin | None:
    """What an event must say alike in both streams; None for one that stands in one alone."""
    match kind:
        case "FundsHeld" | "PaymentHeld":
            told: tuple[Any, ...] = ("hold", said.payment_id, said.amount_raw)
        case "TransferSeen" | "LegSeen" if said.leg_id is not None:
            told = ("leg seen", said.payment_id, said.leg_id, said.tx_hash, said.block_hash, said.amount_raw)
        case "TransferUnseen" | "LegUnseen" if said.payment_id is not None:
            told = ("leg unseen", said.payment_id, said.tx_hash, said.block_hash)
        case "TransferEnded" if said.payment_id is not None:
            return _given_back(said)
        case "TransferFinalized" | "LegSettled" if said.payment_id is not None:
            told = ("leg final", said.payment_id, said.tx_hash, said.block_hash, said.amount_raw)
        case _:
            return None
    return tuple(map(str, told))


def _given_back(said: Any) -> Twin:
    return tuple(map(str, ("leg ended", said.payment_id, said.leg_id, said.amount_raw)))
