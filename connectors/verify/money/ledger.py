"""Subject: the ledger. Every posting derived a second time from its event, every ledger account summed from those, trial balance zero.

The rule, once more and on its own: a customer's tokens are an asset (`safe:`) that we owe them (`customer:`), settlement's
(`settlement:`) that we owe the network (`network:`). What may yet leave, or come, is pending; what is final is posted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import Context, Event, Subject
from streams.domain import ids

COLUMNS = (
    "posting_id", "event_id", "account_id", "phase", "debit", "credit", "amount_raw", "currency", "reference", "kind",
    "payment_id", "tx_hash", "version", "booked_at",
)  # fmt: skip
POSTINGS = (
    f"SELECT {', '.join(COLUMNS)} FROM ledger_postings WHERE book = 'wallet' ORDER BY account_id, version, posting_id"
)
NOBODY = UUID(int=0)
CARD_POSTINGS = f"""
SELECT {", ".join(COLUMNS)} FROM ledger_postings WHERE book = 'card'
ORDER BY coalesce(payment_id, '{NOBODY}'), version, posting_id
"""
SUMS = ("debits_pending", "credits_pending", "debits_posted", "credits_posted")
ACCOUNTS = f"SELECT name, account_id, side, currency, {', '.join(SUMS)} FROM ledger_accounts ORDER BY name"
SIDES = {"customer": ("safe", "customer"), "settlement": ("settlement", "network")}
CARD_SIDES = {
    "card": "asset", "cover": "asset", "receivable": "asset", "dispute": "asset", "clearing": "liability",
    "suspense": "liability", "loss": "expense",
}  # fmt: skip
Line = tuple[str, str, int, UUID, str]
"""(phase, direction, amount, reference, kind)"""


def lines(kind_of_event: str, said: Any) -> Iterator[Line]:
    """What an event does to the ledger, in order. Direction `in`: towards the wallet."""
    match kind_of_event:
        case "AccountRegistered":
            yield "post", "in", said.opening_balance_raw, said.account_id, "opening"
        case "FundsHeld":
            yield "pend", "out", said.amount_raw, said.payment_id, "hold"
        case "HoldReleased":
            yield "void", "out", said.amount_raw, said.payment_id, "hold"
        case "TransferSeen":
            if said.hold_used_raw:
                yield "void", "out", said.hold_used_raw, said.payment_id, "hold"
            if not (said.again and said.direction == "out"):
                yield "pend", said.direction, said.amount_raw, said.transfer_id, said.kind
        case "TransferUnseen":
            if said.direction == "in":
                yield "void", "in", said.amount_raw, said.transfer_id, said.kind
        case "TransferEnded":
            yield "void", "out", said.amount_raw, said.transfer_id, said.kind
        case "TransferFinalized":
            if not said.at_first_sight:
                yield "void", said.direction, said.amount_raw, said.transfer_id, said.kind
            yield "post", said.direction, said.amount_raw, said.transfer_id, said.kind


def card_sides(kind_of_event: str, said: Any, owner: str) -> tuple[str, str, str] | None:
    """(debit, credit, kind) of what a payment's event books: the network's claims, the holder's cover, what is owed. None: nothing.

    `owner`: whose side it is, the holder's `card`, or `suspense` for a refund that names no payment.
    """
    match kind_of_event:
        case "PaymentCaptured":
            return "card", "clearing", "capture"
        case "CaptureReversed":
            return "clearing", "card", "capture_reversal"
        case "PaymentRefunded":
            return "clearing", owner, "refund"
        case "RefundReversed":
            return owner, "clearing", "refund_reversal"
        case "DisputeOpened":
            return "dispute", "card", "provisional_credit"
        case "DisputeWon":
            return "clearing", "dispute", "dispute_won"
        case "DisputeLost":
            return "card", "dispute", "dispute_lost"
        case "LegSettled":
            return ("cover", owner, "cover") if said.kind == "spend" else (owner, "cover", "cover")
        case "ReceivableOpened":
            return "receivable", "card", "receivable"
        case "ReceivableReduced":
            return ("loss" if said.reason == "written_off" else "card"), "receivable", said.reason
    return None


class Ledger(Subject):
    """Holds R's journal and its sums against the accounts' streams."""

    def __init__(self, context: Context) -> None:
        self._context, self._findings = context, context.findings
        self._rows = Aligned(context.read.stream(POSTINGS), lambda row: (row[2], row[12]), self._unknown)
        self._card_rows = Aligned(
            context.read.stream(CARD_POSTINGS), lambda row: (row[10] or NOBODY, row[12]), self._unknown
        )
        self._requested: Any = None
        self._names: dict[UUID, tuple[str, str]] = {}
        self._accounts: dict[str, dict[str, Any]] = {}
        self._sums: dict[str, Counter[str]] = defaultdict(Counter)

    def event(self, event: Event) -> None:
        """The event's postings."""
        if event.message is None:
            return
        if event.category == "payment":
            self._card_event(event, event.message)
            return
        said: Any = event.message
        if event.type == "AccountRegistered":
            self._open(said)
        names = self._names.get(event.stream_id)
        found = {
            row[0]: dict(zip(COLUMNS, row, strict=True)) for row in self._rows.take((event.stream_id, event.version))
        }
        for place, line in enumerate(lines(event.type, said) if names else ()):
            self._post(event, place, line, event.stream_id, names, found, said.currency)  # type: ignore[arg-type]
        for row in found.values():
            self._surplus(row, f"{event.type} books no such posting")

    def _card_event(self, event: Event, said: Any) -> None:
        """The card book: at most one posting an event, between two accounts of the payment's own account."""
        if event.type == "PaymentRequested":
            self._requested = said
        rows = self._card_rows.take((event.stream_id, event.version))
        found = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows}
        if self._requested is None or self._requested.payment_id != event.stream_id:
            return  # its beginning is gone, which the streams' own subject tells; whose books these are nobody can say
        account_id, currency = self._requested.account_id, self._requested.currency
        owner = "suspense" if self._requested.message == "refund" else "card"
        sides = card_sides(event.type, said, owner)
        if sides is not None:
            debit, credit, kind = sides
            names = f"{debit}:{account_id}", f"{credit}:{account_id}"
            for name, side in zip(names, (debit, credit), strict=True):
                known = {"account_id": account_id, "side": CARD_SIDES[side], "currency": currency}
                self._accounts.setdefault(name, known)
            line: Line = ("post", "in", int(said.amount_raw), event.stream_id, kind)
            self._post(event, 0, line, account_id, names, found, currency)
        for row in found.values():
            self._surplus(row, f"{event.type} books no such posting")

    def finish(self) -> None:
        """The sums, and the trial balance."""
        self._rows.rest()
        self._card_rows.rest()
        totals: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self._context.read.stream(ACCOUNTS):
            found = dict(zip(("name", "account_id", "side", "currency", *SUMS), row, strict=True))
            self._account(found)
            totals[found["currency"]].update({name: int(found[name]) for name in SUMS})
        for name, account in self._accounts.items():
            self._findings.absent("ledger_accounts", name, account, "the account is under watch")
        for currency, sums in totals.items():
            for stage in ("pending", "posted"):
                debits, credits = sums[f"debits_{stage}"], sums[f"credits_{stage}"]
                about = f"trial balance: {stage} debits less credits"
                self._findings.expect("ledger_accounts", f"all in {currency}", debits - credits, 0, about)

    def _open(self, said: Any) -> None:
        asset, liability = (f"{side}:{said.account_id}" for side in SIDES[said.kind])
        self._names[said.account_id] = (asset, liability)
        for name, side in ((asset, "asset"), (liability, "liability")):
            self._accounts[name] = {"account_id": said.account_id, "side": side, "currency": said.currency}

    def _post(
        self,
        event: Event,
        place: int,
        line: Line,
        account_id: UUID,
        names: tuple[str, str],
        found: dict[UUID, dict[str, Any]],
        currency: str,
    ) -> None:
        phase, direction, amount, reference, kind = line
        debit, credit = names if direction == "in" else names[::-1]
        stage, signed = "posted" if phase == "post" else "pending", -amount if phase == "void" else amount
        self._sums[debit][f"debits_{stage}"] += signed
        self._sums[credit][f"credits_{stage}"] += signed
        posting_id = ids.step_id(event.event_id, f"posting {place}")
        self._findings.checked["ledger postings"] += 1
        row = found.pop(posting_id, None)
        if row is None:
            expected = f"{phase} {debit} / {credit} {amount}"
            self._findings.absent("ledger_postings", posting_id, expected, f"posting {place} of {event.key}")
            return
        said: Any = event.message
        block_time = getattr(said, "block_time", None)
        expected_row = {
            "event_id": event.event_id,
            "account_id": account_id,
            "phase": phase,
            "debit": debit,
            "credit": credit,
            "amount_raw": amount,
            "currency": currency,
            "reference": reference,
            "kind": kind,
            "payment_id": getattr(said, "payment_id", None),
            "tx_hash": getattr(said, "tx_hash", None),
            "booked_at": datetime.fromtimestamp(block_time, UTC) if block_time is not None else event.recorded_at,
        }
        self._findings.compare("ledger_postings", posting_id, row, expected_row, f"is not what {event.key} books")

    def _account(self, found: dict[str, Any]) -> None:
        name = found["name"]
        expected = self._accounts.pop(name, None)
        self._findings.checked["ledger accounts"] += 1
        if expected is None:
            self._findings.surplus("ledger_accounts", name, found, "no such account is under watch")
            return
        sums = {column: self._sums[name][column] for column in SUMS}
        self._findings.compare("ledger_accounts", name, found, {**expected, **sums}, "is not the sum of its postings")

    def _unknown(self, row: Row) -> None:
        self._surplus(dict(zip(COLUMNS, row, strict=True)), "no event books it")

    def _surplus(self, row: dict[str, Any], about: str) -> None:
        said = f"{row['phase']} {row['debit']} / {row['credit']} {row['amount_raw']}"
        self._findings.surplus("ledger_postings", row["posting_id"], said, about)
