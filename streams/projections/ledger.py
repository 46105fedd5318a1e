"""The read model `ledger`: double entry. Postings are a pure function of an event, and each balances by its shape: one amount, two sides.

Chart. A customer's account: asset `safe:ID` (the wallet's tokens) and liability `customer:ID` (what we owe its holder).
A settlement account: asset `settlement:ID` and liability `network:ID`. An asset grows by debits, a liability by credits.

| event               | direction | postings (A: the account's asset, L: its liability)           | reference |
|---------------------|-----------|---------------------------------------------------------------|-----------|
| AccountRegistered   |           | post Dr A Cr L opening balance                                | account   |
| FundsHeld           |           | pend Dr L Cr A                                                | payment   |
| HoldReleased        |           | void Dr L Cr A                                                | payment   |
| TransferSeen        | out       | void Dr L Cr A of the hold it used; pend Dr L Cr A, unless    | payment,  |
|                     |           | seen again: what went unseen is still pending                 | transfer  |
| TransferSeen        | in        | pend Dr A Cr L                                                | transfer  |
| TransferUnseen      | out       | none: the debit stays reserved, it may be mined again         |           |
| TransferUnseen      | in        | void Dr A Cr L                                                | transfer  |
| TransferEnded       | out       | void Dr L Cr A                                                | transfer  |
| TransferFinalized   | out       | void Dr L Cr A, unless at first sight; post Dr L Cr A         | transfer  |
| TransferFinalized   | in        | void Dr A Cr L, unless at first sight; post Dr A Cr L         | transfer  |
| all others          |           | none                                                          |           |

A payment's events are booked in the card book beside it: `card_ledger.py`.

So the asset's posted balance is the chain's final balance, and the liability's posted balance less its pending debits is what
the holder may still spend. A pending amount below zero is refused by the table itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg2.extras import execute_values

from infra.database import Cursor
from infra.errors import BadInput
from schemas.definition import Message
from schemas.messages import account_events as events
from streams.delivered import Delivered
from streams.domain import ids

CHARTS = {"customer": ("safe", "customer"), "settlement": ("settlement", "network")}
"""Kind of account -> names of its asset and its liability."""
SIDES = {
    "safe": "asset", "customer": "liability", "settlement": "asset", "network": "liability", "card": "asset", "cover": "asset",
    "clearing": "liability", "suspense": "liability", "receivable": "asset", "dispute": "asset", "loss": "expense",
}  # fmt: skip
"""Ledger account -> on which side of the books it stands."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The two ledger accounts of an account."""

    account_id: UUID
    asset: str
    liability: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What an event says of the ledger, before it has its place: into (Dr A Cr L) or out of (Dr L Cr A) the wallet. Amount in raw units."""

    phase: str
    inward: bool
    amount_raw: int
    reference: UUID
    kind: str


@dataclass(frozen=True, slots=True)
class Posting:
    """One row of the journal: debit one ledger account and credit another with one amount, in raw units of the token."""

    posting_id: UUID
    event_id: UUID
    account_id: UUID
    phase: str
    debit: str
    credit: str
    amount_raw: int
    currency: str
    reference: UUID
    kind: str
    payment_id: UUID | None
    tx_hash: str | None
    version: int
    booked_at: datetime
    book: str = "wallet"


def chart_of(account_id: UUID, kind: str) -> Chart:
    """The ledger accounts of an account of this kind. Raises BadInput for a kind without a chart."""
    if kind not in CHARTS:
        raise BadInput(f"account {account_id} is of kind {kind!r}, which has no chart; there are {', '.join(CHARTS)}")
    asset, liability = CHARTS[kind]
    return Chart(account_id, f"{asset}:{account_id}", f"{liability}:{account_id}")


def postings(event: Delivered, chart: Chart) -> list[Posting]:
    """What the event books, by the table above."""
    said: Any = event.message
    entries = ENTRIES[type(said)](said) if type(said) in ENTRIES else []
    return [_posting(event, chart, ordinal, entry) for ordinal, entry in enumerate(entries)]


def _posting(event: Delivered, chart: Chart, ordinal: int, entry: Entry) -> Posting:
    said: Any = event.message
    debit, credit = (chart.asset, chart.liability) if entry.inward else (chart.liability, chart.asset)
    block_time = getattr(said, "block_time", None)
    return Posting(
        posting_id=ids.step_id(event.event_id, f"posting {ordinal}"),
        event_id=event.event_id,
        account_id=chart.account_id,
        phase=entry.phase,
        debit=debit,
        credit=credit,
        amount_raw=entry.amount_raw,
        currency=said.currency,
        reference=entry.reference,
        kind=entry.kind,
        payment_id=getattr(said, "payment_id", None),
        tx_hash=getattr(said, "tx_hash", None),
        version=event.version,
        booked_at=event.recorded_at if block_time is None else datetime.fromtimestamp(block_time, UTC),
    )


def _opening(said: events.AccountRegistered) -> list[Entry]:
    return [Entry("post", True, int(said.opening_balance_raw), said.account_id, "opening")]


def _held(said: events.FundsHeld) -> list[Entry]:
    return [Entry("pend", False, int(said.amount_raw), said.payment_id, "hold")]


def _released(said: events.HoldReleased) -> list[Entry]:
    return [Entry("void", False, int(said.amount_raw), said.payment_id, "hold")]


def _seen(said: events.TransferSeen) -> list[Entry]:
    entries = []
    if said.hold_used_raw and said.payment_id is not None:
        entries.append(Entry("void", False, int(said.hold_used_raw), said.payment_id, "hold"))
    if said.direction == "in" or not said.again:
        entries.append(Entry("pend", said.direction == "in", int(said.amount_raw), said.transfer_id, said.kind))
    return entries


def _unseen(said: events.TransferUnseen) -> list[Entry]:
    return [Entry("void", True, int(said.amount_raw), said.transfer_id, said.kind)] if said.direction == "in" else []


def _ended(said: events.TransferEnded) -> list[Entry]:
    return [Entry("void", False, int(said.amount_raw), said.transfer_id, said.kind)]


def _finalized(said: events.TransferFinalized) -> list[Entry]:
    phases = ("post",) if said.at_first_sight else ("void", "post")
    return [Entry(phase, said.direction == "in", int(said.amount_raw), said.transfer_id, said.kind) for phase in phases]


ENTRIES: Mapping[type[Message], Callable[[Any], list[Entry]]] = {
    events.AccountRegistered: _opening,
    events.FundsHeld: _held,
    events.HoldReleased: _released,
    events.TransferSeen: _seen,
    events.TransferUnseen: _unseen,
    events.TransferEnded: _ended,
    events.TransferFinalized: _finalized,
}


@dataclass(frozen=True)
class Totals:
    """A ledger account's four sums, or how they change. Raw units."""

    debits_pending: int = 0
    credits_pending: int = 0
    debits_posted: int = 0
    credits_posted: int = 0

    def booked(self, side: str, phase: str, amount_raw: int) -> Totals:
        """The sums after a posting's `side` (debits, credits)."""
        name, amount = (
            f"{side}_{'posted' if phase == 'post' else 'pending'}",
            -amount_raw if phase == "void" else amount_raw,
        )
        return Totals(**{**vars(self), name: getattr(self, name) + amount})


def totals(booked: Iterable[Posting]) -> dict[str, Totals]:
    """What the postings come to, by ledger account."""
    sums: dict[str, Totals] = {}
    for each in booked:
        sums[each.debit] = sums.get(each.debit, Totals()).booked("debits", each.phase, each.amount_raw)
        sums[each.credit] = sums.get(each.credit, Totals()).booked("credits", each.phase, each.amount_raw)
    return sums


COLUMNS = tuple(Posting.__dataclass_fields__)
BOOK = f"INSERT INTO ledger_postings ({', '.join(COLUMNS)}) VALUES %s"
OPEN = "INSERT INTO ledger_accounts (name, account_id, side, currency) VALUES %s ON CONFLICT (name) DO NOTHING"
ADD = """
UPDATE ledger_accounts AS a
SET debits_pending = a.debits_pending + d.debits_pending, credits_pending = a.credits_pending + d.credits_pending,
    debits_posted = a.debits_posted + d.debits_posted, credits_posted = a.credits_posted + d.credits_posted
FROM (VALUES %s) AS d (name, debits_pending, credits_pending, debits_posted, credits_posted)
WHERE a.name = d.name
"""


def book(cursor: Cursor, booked: Sequence[Posting]) -> None:
    """Write postings and add them to their ledger accounts, in the caller's transaction; an account is opened by its first posting."""
    if not booked:
        return
    opened = {
        (name, each.account_id, SIDES[name.partition(":")[0]], each.currency)
        for each in booked
        if each.book == "card" or each.kind == "opening"
        for name in (each.debit, each.credit)
    }
    cursor.postpone_values(OPEN, sorted(opened, key=str))
    cursor.postpone_values(BOOK, [tuple(getattr(each, name) for name in COLUMNS) for each in booked])
    changes = [(name, *vars(change).values()) for name, change in sorted(totals(booked).items())]
    execute_values(cursor, ADD, changes, page_size=len(changes))
    if cursor.rowcount != len(changes):
        raise BadInput(
            f"of {len(changes)} ledger accounts {cursor.rowcount} exist; an account is opened by AccountRegistered"
        )
