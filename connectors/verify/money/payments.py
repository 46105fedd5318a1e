"""Subject: the read model `payments`, held against each payment's whole history."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from connectors.verify.money.payment_history import payment_row
from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import MALFORMED, Context, Event, PaymentSubject

COLUMNS = (
    "payment_id", "account_id", "origin", "state", "spend_state", "refund_state", "outcome", "amount_minor", "currency",
    "amount_raw", "decimals", "captured_minor", "authorized_minor", "open_minor", "refunded_minor", "credited_minor", "due_raw",
    "receivable_raw", "written_off_raw", "legs", "message", "transaction_type", "reason", "response_code", "authorization_code",
    "card_token", "merchant_name", "merchant_country", "mcc", "network_reference", "spend_tx_hash", "refund_tx_hash",
    "block_number", "version", "requested_at", "changed_at",
)  # fmt: skip
PAYMENTS = f"SELECT {', '.join(COLUMNS)} FROM payments ORDER BY payment_id"


class Payments(PaymentSubject):
    """Holds R's payments against their streams."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._findings = context.findings
        self._rows = Aligned(context.read.stream(PAYMENTS), lambda row: row[0], self._unknown)

    def payment(self, payment_id: UUID, history: Sequence[Event]) -> None:
        """Compare the row."""
        self._findings.checked["payments"] += 1
        rows = self._rows.take(payment_id)
        try:
            expected = payment_row([each for each in history if each.message is not None])
        except (*MALFORMED, StopIteration, IndexError) as error:
            self._findings.differ("events", payment_id, repr(error), "a payment's history", "the stream cannot be told")
            return
        if not rows:
            self._findings.absent("payments", payment_id, expected, "R does not show this payment")
            return
        found = dict(zip(COLUMNS, rows[0], strict=True))
        self._findings.compare("payments", payment_id, found, expected, "is not what the events say")

    def finish(self) -> None:
        """No payment without a stream."""
        self._rows.rest()

    def _unknown(self, row: Row) -> None:
        self._findings.surplus("payments", row[0], f"{row[3]}, {row[6]}", "W knows no such payment")
