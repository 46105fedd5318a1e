"""The read model `payments`: one row a payment, for whoever asks how it stands.

`outcome` says it in one word, by the first row that fits ("-": no such leg, "*": whatever):

| card leg                      | spend leg    | refund leg   | outcome  |                                                       |
|-------------------------------|--------------|--------------|----------|-------------------------------------------------------|
| *                             | *            | settled      | refunded | what had moved was paid back                          |
| *                             | *            | ended_unpaid | unpaid   | the refund can never happen any more: a person        |
| *                             | ended_unpaid | *            | unpaid   | the spend can never happen any more                   |
| *                             | unseen       | *            | unseen   | a reorg took the spend out of sight                   |
| verified                      | -            | -            | verified | a zero amount: the card is good, nothing moves        |
| declined                      | -            | -            | declined | nothing moved                                         |
| authorized, captured          | settled      | -            | settled  | approved, and the money has moved for good            |
| *                             | *            | *            | open     | an answer, a movement, finality or a refund is to come|
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from schemas.definition import Message
from schemas.messages import payment_events as events
from streams.delivered import Delivered
from streams.projections.rows import Apply, RowModel

ANY, NONE = "*", "-"
OUTCOMES: tuple[tuple[frozenset[str], str, str, str], ...] = (
    (frozenset({ANY}), ANY, "settled", "refunded"),
    (frozenset({ANY}), ANY, "ended_unpaid", "unpaid"),
    (frozenset({ANY}), "ended_unpaid", ANY, "unpaid"),
    (frozenset({ANY}), "unseen", ANY, "unseen"),
    (frozenset({"verified"}), NONE, NONE, "verified"),
    (frozenset({"declined"}), NONE, NONE, "declined"),
    (frozenset({"authorized", "captured"}), "settled", NONE, "settled"),
    (frozenset({ANY}), ANY, ANY, "open"),
)


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


def outcome(state: str, spend: str | None, refund: str | None) -> str:
    """The table above, read."""
    for states, spends, refunds, word in OUTCOMES:
        if (states & {state, ANY}) and spends in (spend or NONE, ANY) and refunds in (refund or NONE, ANY):
            return word
    raise AssertionError("the last row of the table fits all")


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
        outcome=outcome("requested", None, None),
        amount_minor=said.amount_minor,
        currency=said.currency,
        amount_raw=int(said.amount_raw),
        decimals=said.decimals,
        captured_minor=0,
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
    word = outcome(changed.state, changed.spend_state, changed.refund_state)
    return changed if word == changed.outcome else replace(changed, outcome=word)


def _noted(row: PaymentRow, _: Message, event: Delivered) -> PaymentRow:
    return _told(row, event)


def _refused(row: PaymentRow, said: events.HoldRefused, event: Delivered) -> PaymentRow:
    return _told(row, event, reason=said.reason)


def _screened(row: PaymentRow, said: events.PaymentScreened, event: Delivered) -> PaymentRow:
    return _told(row, event, reason=said.reason or row.reason)


def _authorized(row: PaymentRow, said: events.PaymentAuthorized, event: Delivered) -> PaymentRow:
    return _told(
        row, event, state="authorized", response_code=said.response_code, authorization_code=said.authorization_code
    )


def _verified(row: PaymentRow, said: events.PaymentVerified, event: Delivered) -> PaymentRow:
    return _told(row, event, state="verified", response_code=said.response_code)


def _declined(row: PaymentRow, said: events.PaymentDeclined, event: Delivered) -> PaymentRow:
    return _told(row, event, state="declined", reason=said.reason, response_code=said.response_code)


def _captured(row: PaymentRow, said: events.PaymentCaptured, event: Delivered) -> PaymentRow:
    return _told(row, event, state="captured", captured_minor=row.captured_minor + said.amount_minor)


def _ended(state: Literal["reversed", "expired"]) -> Callable[[PaymentRow, Any, Delivered], PaymentRow]:
    def end(row: PaymentRow, _: Any, event: Delivered) -> PaymentRow:
        return _told(row, event, state=state, reason=state)

    return end


def _leg(state: str) -> Callable[[PaymentRow, Any, Delivered], PaymentRow]:
    """A leg that has come to `state`; where the event names transaction or block, the row does."""

    def move(row: PaymentRow, said: Any, event: Delivered) -> PaymentRow:
        changes: dict[str, Any] = {f"{said.kind}_state": state}
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
    known = row.spend_state if said.kind == "spend" else row.refund_state
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
