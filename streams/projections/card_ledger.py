"""The card book of the ledger: what the network and the holder owe each other by way of us. Postings are a pure function of a payment's event.

A customer's ledger accounts in it: `card:ID` (asset: what the holder is to cover), `cover:ID` (asset: the holder's tokens at settlement),
`clearing:ID` (liability: what the network is owed), `dispute:ID` (asset: what it owes us for provisional credits), `suspense:ID`
(liability: refunds that name no payment), `receivable:ID` (asset: what the holder owes and the chain can no longer take), `loss:ID`.

| event                                   | debit      | credit     |                                              |
|-----------------------------------------|------------|------------|----------------------------------------------|
| PaymentCaptured                         | card       | clearing   | posted by the network                        |
| CaptureReversed                         | clearing   | card       |                                              |
| PaymentRefunded, of a payment           | clearing   | card       | the merchant gives back                      |
| PaymentRefunded, unlinked               | clearing   | suspense   |                                              |
| RefundReversed, of a payment            | card       | clearing   |                                              |
| RefundReversed, unlinked                | suspense   | clearing   |                                              |
| DisputeOpened                           | dispute    | card       | the provisional credit                       |
| DisputeWon                              | clearing   | dispute    | the network pays                             |
| DisputeLost                             | card       | dispute    | the credit is taken back                     |
| LegSettled spend                        | cover      | card       | the holder's tokens cover it                 |
| LegSettled refund                       | card       | cover      | they go back                                 |
| LegSettled spend, of an unlinked refund | cover      | suspense   |                                              |
| LegSettled refund, of an unlinked refund| suspense   | cover      |                                              |
| ReceivableOpened                        | receivable | card       | the chain can no longer take it              |
| ReceivableReduced                       | card       | receivable | reversed, refunded, or taken after all       |
| ReceivableReduced written_off           | loss       | receivable |                                              |

So a payment that has ended leaves nothing on `card` but what is approved and not yet posted: there the holder is in credit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.definition import Message
from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_events as events
from streams.delivered import Delivered
from streams.domain import ids
from streams.projections.ledger import Posting
from streams.projections.payments import PaymentRow

Sides = tuple[str, str, str]
"""(debit, credit, kind)"""


def postings(event: Delivered, payment: PaymentRow) -> list[Posting]:
    """What the event books, by the table above; nothing for most."""
    entry = ENTRIES.get(type(event.message))
    if entry is None:
        return []
    said: Any = event.message
    debit, credit, kind = entry(said, "suspense" if payment.message == "refund" else "card")
    block_time = getattr(said, "block_time", None)
    return [
        Posting(
            posting_id=ids.step_id(event.event_id, "posting 0"),
            event_id=event.event_id,
            account_id=payment.account_id,
            phase="post",
            debit=f"{debit}:{payment.account_id}",
            credit=f"{credit}:{payment.account_id}",
            amount_raw=int(said.amount_raw),
            currency=payment.currency,
            reference=payment.payment_id,
            kind=kind,
            payment_id=payment.payment_id,
            tx_hash=getattr(said, "tx_hash", None),
            version=event.version,
            booked_at=event.recorded_at if block_time is None else datetime.fromtimestamp(block_time, UTC),
            book="card",
        )
    ]


def _always(debit: str, credit: str, kind: str) -> Callable[[Any, str], Sides]:
    return lambda said, owner: (debit, credit, kind)


def _leg(said: events.LegSettled, owner: str) -> Sides:
    return ("cover", owner, "cover") if said.kind == "spend" else (owner, "cover", "cover")


def _reduced(said: adjusted.ReceivableReduced, owner: str) -> Sides:
    return ("loss" if said.reason == "written_off" else "card"), "receivable", said.reason


ENTRIES: Mapping[type[Message], Callable[[Any, str], Sides]] = {
    events.PaymentCaptured: _always("card", "clearing", "capture"),
    adjusted.CaptureReversed: _always("clearing", "card", "capture_reversal"),
    adjusted.PaymentRefunded: lambda said, owner: ("clearing", owner, "refund"),
    adjusted.RefundReversed: lambda said, owner: (owner, "clearing", "refund_reversal"),
    adjusted.DisputeOpened: _always("dispute", "card", "provisional_credit"),
    adjusted.DisputeWon: _always("clearing", "dispute", "dispute_won"),
    adjusted.DisputeLost: _always("card", "dispute", "dispute_lost"),
    events.LegSettled: _leg,
    adjusted.ReceivableOpened: _always("receivable", "card", "receivable"),
    adjusted.ReceivableReduced: _reduced,
}
