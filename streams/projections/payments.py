"""The read model `payments`: one row a payment, for whoever asks how it stands.

`due_raw` is what must have moved from the Safe to settlement, net. Of several legs of a kind the row shows
the one that is least far; legs that ended unpaid only where there is no other. `outcome` says it all in one word (`outcomes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from schemas.definition import Message
from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_events as events
from streams.delivered import Delivered
from streams.domain.values import replace
from streams.projections.outcomes import least_far, outcome
from streams.projections.rows import Apply, RowModel


@dataclass(frozen=True)
class PaymentRow:
    """A payment as it is shown: both axes, their outcome, and what is known of the swipe. Times by the write server's clock."""

    payment_id: UUID
    account_id: UUID
    origin: str
    state: str
    spend_state: str | None
    refund_state: str | None
    outcome: str
    amount_minor: int
    currency: str
    amount_raw: int
    decimals: int
    captured_minor: int
    authorized_minor: int
    open_minor: int
    refunded_minor: int
    credited_minor: int
    due_raw: int
    receivable_raw: int
    written_off_raw: int
    legs: dict[str, Any]
    message: str
    transaction_type: str
    reason: str | None
    response_code: str | None
    authorization_code: str | None
    card_token: str | None
    merchant_name: str | None
    merchant_country: str | None
    mcc: str | None
    network_reference: str | None
    spend_tx_hash: str | None
    refund_tx_hash: str | None
    block_number: int | None
    version: int
    requested_at: datetime
    changed_at: datetime


def apply(row: PaymentRow | None, event: Delivered) -> PaymentRow:
    """The row after one more event of its payment."""
    return PAYMENTS.fold(row, event)


def _requested(_: PaymentRow | None, said: events.PaymentRequested, event: Delivered) -> PaymentRow:
    return PaymentRow(
        payment_id=said.payment_id,
        account_id=said.account_id,
        origin=said.origin,
        state="requested",
        spend_state=None,
        refund_state=None,
        outcome="open",
        amount_minor=said.amount_minor,
        currency=said.currency,
        amount_raw=int(said.amount_raw),
        decimals=said.decimals,
        captured_minor=0,
        authorized_minor=0,
        open_minor=0,
        refunded_minor=0,
        credited_minor=0,
        due_raw=0,
        receivable_raw=0,
        written_off_raw=0,
        legs={},
        message=said.message,
        transaction_type=said.transaction_type,
        reason=None,
        response_code=None,
        authorization_code=None,
        card_token=said.card_token,
        merchant_name=said.merchant_name,
        merchant_country=said.merchant_country,
        mcc=said.mcc,
        network_reference=said.network_reference,
        spend_tx_hash=said.tx_hash,
        refund_tx_hash=None,
        block_number=None,
        version=event.version,
        requested_at=event.recorded_at,
        changed_at=event.recorded_at,
    )


def _told(row: PaymentRow, event: Delivered, **changes: Any) -> PaymentRow:
    changed = replace(row, version=event.version, changed_at=event.recorded_at, **changes)
    word = outcome(changed.state, changed.legs, changed.due_raw, changed.receivable_raw, changed.written_off_raw)
    return changed if word == changed.outcome else replace(changed, outcome=word)


def _due(row: PaymentRow, said: Any, before: int | None = None) -> dict[str, int]:
    """What is due after an event; one of before they told it changes it to `before`, or not at all."""
    told = said.due_raw if said.due_raw is not None else before
    return {"due_raw": row.due_raw if told is None else int(told)}


def _noted(row: PaymentRow, _: Message, event: Delivered) -> PaymentRow:
    return _told(row, event)


def _refused(row: PaymentRow, said: events.HoldRefused, event: Delivered) -> PaymentRow:
    return _told(row, event, reason=said.reason)


def _screened(row: PaymentRow, said: events.PaymentScreened, event: Delivered) -> PaymentRow:
    return _told(row, event, reason=said.reason or row.reason)


def _authorized(row: PaymentRow, said: events.PaymentAuthorized, event: Delivered) -> PaymentRow:
    approved = {"state": "authorized", "authorized_minor": said.amount_minor, "open_minor": said.amount_minor}
    told = {"response_code": said.response_code, "authorization_code": said.authorization_code, "reason": None}
    return _told(row, event, **approved, **told, **_due(row, said, int(said.amount_raw)))


def _verified(row: PaymentRow, said: events.PaymentVerified, event: Delivered) -> PaymentRow:
    return _told(row, event, state="verified", response_code=said.response_code)


def _declined(row: PaymentRow, said: events.PaymentDeclined, event: Delivered) -> PaymentRow:
    return _told(row, event, state="declined", reason=said.reason, response_code=said.response_code)


def _incremented(row: PaymentRow, said: adjusted.PaymentIncremented, event: Delivered) -> PaymentRow:
    more = said.amount_minor
    return _told(
        row,
        event,
        authorized_minor=row.authorized_minor + more,
        open_minor=row.open_minor + more,
        **_due(row, said),
    )


def _captured(row: PaymentRow, said: events.PaymentCaptured, event: Delivered) -> PaymentRow:
    state = row.state if row.state == "disputed" else "captured" if said.final else "partly_captured"
    open_ = 0 if said.final else max(0, row.open_minor - said.amount_minor)
    captured = row.captured_minor + said.amount_minor
    return _told(row, event, state=state, open_minor=open_, captured_minor=captured, **_due(row, said))


def _capture_reversed(row: PaymentRow, said: adjusted.CaptureReversed, event: Delivered) -> PaymentRow:
    left = row.captured_minor - said.amount_minor
    state = {"captured": "corrected", "partly_captured": "authorized"}.get(row.state, row.state)
    return _told(row, event, state=row.state if left else state, captured_minor=left, **_due(row, said))


def _partly_reversed(row: PaymentRow, said: adjusted.PaymentPartlyReversed, event: Delivered) -> PaymentRow:
    state = row.state if said.open_minor else "captured"
    return _told(row, event, state=state, open_minor=said.open_minor, **_due(row, said))


def _ended(state: Literal["reversed", "expired"]) -> Callable[[PaymentRow, Any, Delivered], PaymentRow]:
    def end(row: PaymentRow, said: Any, event: Delivered) -> PaymentRow:
        if row.state == "partly_captured":
            return _told(row, event, state="captured", open_minor=0, **_due(row, said))
        return _told(row, event, state=state, reason=state, open_minor=0, **_due(row, said, 0))

    return end


def _refunded(row: PaymentRow, said: adjusted.PaymentRefunded, event: Delivered) -> PaymentRow:
    state = "refunded" if row.state == "requested" else row.state
    return _told(row, event, state=state, refunded_minor=row.refunded_minor + said.amount_minor, **_due(row, said))


def _refund_reversed(row: PaymentRow, said: adjusted.RefundReversed, event: Delivered) -> PaymentRow:
    return _told(row, event, refunded_minor=row.refunded_minor - said.amount_minor, **_due(row, said))


def _disputed(row: PaymentRow, said: adjusted.DisputeOpened, event: Delivered) -> PaymentRow:
    credited = row.credited_minor + said.amount_minor
    return _told(row, event, state="disputed", credited_minor=credited, **_due(row, said))


def _dispute_won(row: PaymentRow, said: adjusted.DisputeWon, event: Delivered) -> PaymentRow:
    return _told(row, event, state="captured", **_due(row, said))


def _dispute_lost(row: PaymentRow, said: adjusted.DisputeLost, event: Delivered) -> PaymentRow:
    credited = row.credited_minor - said.amount_minor
    return _told(row, event, state="captured", credited_minor=credited, **_due(row, said))


def _message_refused(row: PaymentRow, said: adjusted.CardMessageRefused, event: Delivered) -> PaymentRow:
    """The answer to the authorization itself is the payment's; that to a later message is only that message's."""
    answered = {"reason": said.reason, "response_code": said.response_code}
    return _told(row, event, **(answered if said.message == "authorization" else {}))


def _owes_more(row: PaymentRow, said: adjusted.ReceivableOpened, event: Delivered) -> PaymentRow:
    return _told(row, event, receivable_raw=row.receivable_raw + said.amount_raw)


def _owes_less(row: PaymentRow, said: adjusted.ReceivableReduced, event: Delivered) -> PaymentRow:
    gone = said.amount_raw if said.reason == "written_off" else 0
    owed = row.receivable_raw - said.amount_raw
    return _told(row, event, receivable_raw=owed, written_off_raw=row.written_off_raw + gone)


def _leg(state: str) -> Callable[[PaymentRow, Any, Delivered], PaymentRow]:
    """A leg that has come to `state`; where the event names transaction or block, the row does."""

    def move(row: PaymentRow, said: Any, event: Delivered) -> PaymentRow:
        known = row.legs.get(str(said.leg_id), {})
        leg = {
            "kind": said.kind,
            "state": state,
            "amount_raw": known.get("amount_raw") or str(said.amount_raw),
            "tx_hash": getattr(said, "tx_hash", None) or known.get("tx_hash"),
        }
        changes: dict[str, Any] = {"legs": {**row.legs, str(said.leg_id): leg}}
        changes[f"{said.kind}_state"] = least_far(changes["legs"], said.kind)
        if getattr(said, "due_raw", None) is not None:
            changes["due_raw"] = int(said.due_raw)
        if state in ("submitted", "seen", "settled"):
            changes[f"{said.kind}_tx_hash"] = said.tx_hash
        if state in ("seen", "settled"):
            changes["block_number"] = said.block_number
        if state == "unseen":
            changes["block_number"] = None
        return _told(row, event, **changes)

    return move


def _submitted(row: PaymentRow, said: events.LegSubmitted, event: Delivered) -> PaymentRow:
    """A leg that was seen already, carried by another transaction, stays where it is."""
    known = row.legs[str(said.leg_id)]["state"]
    return _leg("submitted")(row, said, event) if known in ("planned", "submitted") else _told(row, event)


FOLDS: Mapping[type[Message], Apply[PaymentRow]] = {
    events.PaymentRequested: _requested,
    events.PaymentHeld: _noted,
    events.HoldRefused: _refused,
    events.PaymentScreened: _screened,
    events.PaymentAuthorized: _authorized,
    events.PaymentVerified: _verified,
    events.PaymentDeclined: _declined,
    events.PaymentCaptured: _captured,
    events.PaymentReversed: _ended("reversed"),
    events.PaymentExpired: _ended("expired"),
    adjusted.PaymentIncremented: _incremented,
    adjusted.IncrementDeclined: _noted,
    adjusted.PaymentPartlyReversed: _partly_reversed,
    adjusted.ReversalAcknowledged: _noted,
    adjusted.CaptureReversed: _capture_reversed,
    adjusted.PaymentRefunded: _refunded,
    adjusted.RefundReversed: _refund_reversed,
    adjusted.DisputeOpened: _disputed,
    adjusted.DisputeWon: _dispute_won,
    adjusted.DisputeLost: _dispute_lost,
    adjusted.CardMessageRefused: _message_refused,
    adjusted.ReceivableOpened: _owes_more,
    adjusted.ReceivableReduced: _owes_less,
    events.LegPlanned: _leg("planned"),
    events.LegSubmitted: _submitted,
    events.LegReverted: _noted,
    events.LegGivenUp: _noted,
    events.LegSeen: _leg("seen"),
    events.LegUnseen: _leg("unseen"),
    events.LegSettled: _leg("settled"),
    events.LegEndedUnpaid: _leg("ended_unpaid"),
}

PAYMENTS = RowModel("payments", PaymentRow, events.PaymentRequested, FOLDS, renewed=("change", "changed_in"))
