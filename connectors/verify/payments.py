"""Subject: the read model `payments`, told again from each payment's whole history by questions, not by its fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import MALFORMED, Context, Event, Subject

COLUMNS = (
    "payment_id", "account_id", "origin", "state", "spend_state", "refund_state", "outcome", "amount_minor", "currency",
    "amount_raw", "decimals", "captured_minor", "reason", "response_code", "authorization_code", "card_token", "merchant_name",
    "merchant_country", "mcc", "network_reference", "spend_tx_hash", "refund_tx_hash", "block_number", "version",
    "requested_at", "changed_at",
)  # fmt: skip
PAYMENTS = f"SELECT {', '.join(COLUMNS)} FROM payments ORDER BY payment_id"
ASKED = (
    "payment_id", "account_id", "origin", "amount_minor", "currency", "amount_raw", "decimals", "card_token",
    "merchant_name", "merchant_country", "mcc", "network_reference",
)  # fmt: skip
CARD_STATES = {
    "PaymentRequested": "requested",
    "PaymentAuthorized": "authorized",
    "PaymentVerified": "verified",
    "PaymentDeclined": "declined",
    "PaymentCaptured": "captured",
    "PaymentReversed": "reversed",
    "PaymentExpired": "expired",
}
MOVED = {"LegSeen": "seen", "LegUnseen": "unseen", "LegSettled": "settled"}
ANSWERS = ("PaymentAuthorized", "PaymentVerified", "PaymentDeclined")


class Payments(Subject):
    """Holds R's payments against their streams."""

    def __init__(self, context: Context) -> None:
        self._findings = context.findings
        self._rows = Aligned(context.read.stream(PAYMENTS), lambda row: row[0], self._unknown)
        self._history: list[Event] = []

    def event(self, event: Event) -> None:
        """Keep the payment's history until it is whole."""
        if event.category == "payment":
            self._history.append(event)

    def end(self, stream_id: UUID, category: str) -> None:
        """Compare the row."""
        if category != "payment":
            return
        self._findings.checked["payments"] += 1
        history, self._history = self._history, []
        rows = self._rows.take(stream_id)
        try:
            expected = payment_row([each for each in history if each.message is not None])
        except (*MALFORMED, StopIteration, IndexError) as error:
            self._findings.differ("events", stream_id, repr(error), "a payment's history", "the stream cannot be told")
            return
        if not rows:
            self._findings.absent("payments", stream_id, expected, "R does not show this payment")
            return
        found = dict(zip(COLUMNS, rows[0], strict=True))
        self._findings.compare("payments", stream_id, found, expected, "is not what the events say")

    def finish(self) -> None:
        """No payment without a stream."""
        self._rows.rest()

    def _unknown(self, row: Row) -> None:
        self._findings.surplus("payments", row[0], f"{row[3]}, {row[6]}", "W knows no such payment")


def payment_row(history: Sequence[Event]) -> dict[str, Any]:
    """What `payments` must show, by asking the whole history one question a column."""
    requested: Any = next(each.message for each in history if each.type == "PaymentRequested")
    card = [CARD_STATES[each.type] for each in history if each.type in CARD_STATES][-1]
    answers: list[Any] = [each.message for each in history if each.type in ANSWERS]
    approvals: list[Any] = [each.message for each in history if each.type == "PaymentAuthorized"]
    captures: list[Any] = [each.message for each in history if each.type == "PaymentCaptured"]
    spend, refund = leg_state(history, "spend"), leg_state(history, "refund")
    return {
        **{name: getattr(requested, name) for name in ASKED},
        "state": card,
        "spend_state": spend,
        "refund_state": refund,
        "outcome": outcome(card, spend, refund),
        "captured_minor": sum(each.amount_minor for each in captures),
        "reason": reason(history),
        "response_code": answers[-1].response_code if answers else None,
        "authorization_code": approvals[-1].authorization_code if approvals else None,
        "spend_tx_hash": carrier(history, "spend") or requested.tx_hash,
        "refund_tx_hash": carrier(history, "refund"),
        "block_number": block_number(history),
        "version": history[-1].version,
        "requested_at": history[0].recorded_at,
        "changed_at": history[-1].recorded_at,
    }


def _of_leg(history: Sequence[Event], kind: str) -> list[Event]:
    return [each for each in history if each.type.startswith("Leg") and getattr(each.message, "kind", None) == kind]


def leg_state(history: Sequence[Event], kind: str) -> str | None:
    """How far the leg has come; None where the payment has no such leg. A transaction that fails or is replaced moves it nowhere."""
    leg = _of_leg(history, kind)
    types = [each.type for each in leg]
    if "LegEndedUnpaid" in types and types.index("LegEndedUnpaid") > max(
        (place for place, name in enumerate(types) if name in MOVED), default=-1
    ):
        return "ended_unpaid"
    moves = [MOVED[name] for name in types if name in MOVED]
    if moves:
        return moves[-1]
    if "LegSubmitted" in types:
        return "submitted"
    return "planned" if "LegPlanned" in types else None


def carrier(history: Sequence[Event], kind: str) -> str | None:
    """The transaction that carried the leg, or the last that was sent to."""
    leg = _of_leg(history, kind)
    carried: list[Any] = [each.message for each in leg if each.type in ("LegSeen", "LegSettled")]
    sent: list[Any] = [each.message for each in leg if each.type == "LegSubmitted"]
    found = carried or sent
    return str(found[-1].tx_hash) if found else None


def block_number(history: Sequence[Event]) -> int | None:
    """The block of the newest movement, if it still stands in one."""
    moved: list[Any] = [each.message for each in history if each.type in MOVED]
    last = next((each.type for each in reversed(history) if each.type in MOVED), None)
    return None if last in (None, "LegUnseen") else int(moved[-1].block_number)


def reason(history: Sequence[Event]) -> str | None:
    """The last reason that anybody gave."""
    found: str | None = None
    for each in history:
        if each.type in ("HoldRefused", "PaymentDeclined", "PaymentScreened"):
            found = getattr(each.message, "reason", None) or found
        elif each.type in ("PaymentReversed", "PaymentExpired"):
            found = CARD_STATES[each.type]
    return found


def outcome(card: str, spend: str | None, refund: str | None) -> str:
    """The one word for both axes."""
    if refund == "settled":
        return "refunded"
    if "ended_unpaid" in (spend, refund):
        return "unpaid"
    if spend == "unseen":
        return "unseen"
    if spend is None and refund is None and card in ("verified", "declined"):
        return card
    return "settled" if card in ("authorized", "captured") and spend == "settled" and refund is None else "open"
