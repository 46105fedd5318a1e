"""Which events others are told of, under which name, and what the webhook's body says. Pure.

| event                               | type                                | Gnosis Pay's word, where it has one    |
|-------------------------------------|-------------------------------------|----------------------------------------|
| PaymentRequested                    | card.transaction.created            | the same                               |
| PaymentAuthorized                   | card.transaction.authorized         |                                        |
| PaymentVerified                     | card.transaction.verified           |                                        |
| PaymentDeclined                     | card.transaction.declined           | the same                               |
| PaymentCaptured                     | card.transaction.captured           | cleared (the card leg; here: captured) |
| PaymentReversed                     | card.transaction.reversed           | the same                               |
| PaymentPartlyReversed               | card.transaction.reversed           | the same (a part)                      |
| PaymentExpired                      | card.transaction.expired            |                                        |
| PaymentIncremented                  | card.transaction.incremented        |                                        |
| IncrementDeclined                   | card.transaction.increment_declined |                                        |
| CaptureReversed                     | card.transaction.corrected          |                                        |
| PaymentRefunded                     | card.transaction.refund_created     | refunded (the card leg)                |
| RefundReversed                      | card.transaction.refund_reversed    |                                        |
| DisputeOpened                       | card.dispute.opened                 |                                        |
| DisputeWon                          | card.dispute.won                    |                                        |
| DisputeLost                         | card.dispute.lost                   |                                        |
| ReceivableOpened, ReceivableReduced | account.receivable.changed          |                                        |
| LegSettled spend                    | card.transaction.confirmed          | the same (the chain leg)               |
| LegSettled refund                   | card.transaction.refunded           | the same                               |
| LegEndedUnpaid                      | card.transaction.failed             | the same (the chain leg)               |
| LegUnseen                           | card.transaction.unseen             |                                        |
| AccountRegistered                   | account.registered                  |                                        |
| TransferFinalized                   | account.balance.changed             | the same                               |
| AllowanceObserved set               | account.limit.changed               | the same                               |
| AllowanceRaiseFinalized             | account.limit.raised                |                                        |
| WithdrawalQueued                    | account.withdrawal.queued           |                                        |
| DelayQueueEmptied                   | account.withdrawal.emptied          |                                        |
| IntegrityObserved                   | account.integrity.changed           |                                        |
| DriftObserved                       | account.drift.observed              |                                        |
| CardBound                           | account.card.bound                  |                                        |
| CardLimitsSet                       | card.limits.changed                 |                                        |
| MccBlocked, MccUnblocked            | card.blocks.changed                 |                                        |
| CountryBlocked, CountryUnblocked    | card.blocks.changed                 |                                        |
| CardFrozen, CardUnfrozen            | card.status.changed                 | the same                               |

All others are inner steps, and are told to nobody. A LegReverted is no failure: another transaction may carry the leg.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from schemas.definition import Message, to_json
from schemas.messages import account_events as accounts
from schemas.messages import card_controls as controls
from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_events as payments
from streams.delivered import Delivered

MAX_BODY_BYTES = 20_000
"""Standard Webhooks: keep a payload below about 20 kB."""

TOLD: Mapping[type[Message], Mapping[str, str] | str] = {
    payments.PaymentRequested: "card.transaction.created",
    payments.PaymentAuthorized: "card.transaction.authorized",
    payments.PaymentVerified: "card.transaction.verified",
    payments.PaymentDeclined: "card.transaction.declined",
    payments.PaymentCaptured: "card.transaction.captured",
    payments.PaymentReversed: "card.transaction.reversed",
    payments.PaymentExpired: "card.transaction.expired",
    adjusted.PaymentPartlyReversed: "card.transaction.reversed",
    adjusted.PaymentIncremented: "card.transaction.incremented",
    adjusted.IncrementDeclined: "card.transaction.increment_declined",
    adjusted.CaptureReversed: "card.transaction.corrected",
    adjusted.PaymentRefunded: "card.transaction.refund_created",
    adjusted.RefundReversed: "card.transaction.refund_reversed",
    adjusted.DisputeOpened: "card.dispute.opened",
    adjusted.DisputeWon: "card.dispute.won",
    adjusted.DisputeLost: "card.dispute.lost",
    adjusted.ReceivableOpened: "account.receivable.changed",
    adjusted.ReceivableReduced: "account.receivable.changed",
    payments.LegSettled: {"spend": "card.transaction.confirmed", "refund": "card.transaction.refunded"},
    payments.LegEndedUnpaid: "card.transaction.failed",
    payments.LegUnseen: "card.transaction.unseen",
    accounts.AccountRegistered: "account.registered",
    accounts.TransferFinalized: "account.balance.changed",
    accounts.AllowanceObserved: {"set": "account.limit.changed"},
    accounts.AllowanceRaiseFinalized: "account.limit.raised",
    accounts.WithdrawalQueued: "account.withdrawal.queued",
    accounts.DelayQueueEmptied: "account.withdrawal.emptied",
    accounts.IntegrityObserved: "account.integrity.changed",
    controls.CardLimitsSet: "card.limits.changed",
    controls.MccBlocked: "card.blocks.changed",
    controls.MccUnblocked: "card.blocks.changed",
    controls.CountryBlocked: "card.blocks.changed",
    controls.CountryUnblocked: "card.blocks.changed",
    accounts.DriftObserved: "account.drift.observed",
    accounts.CardBound: "account.card.bound",
    accounts.CardFrozen: "card.status.changed",
    accounts.CardUnfrozen: "card.status.changed",
}
"""Event -> type; or, by the event's `kind` or `cause`, a type for some of them."""

TYPES = frozenset(name for told in TOLD.values() for name in ([told] if isinstance(told, str) else told.values()))


def type_of(message: Message) -> str | None:
    """The webhook's type, or None for an event that nobody is told of."""
    told = TOLD.get(type(message))
    if told is None or isinstance(told, str):
        return told
    return told.get(str(getattr(message, "kind", getattr(message, "cause", None))))


def wants(event_types: Iterable[str], name: str) -> bool:
    """Whether an endpoint's filter takes this type: it names it, or something above it. An empty filter takes all."""
    chosen = tuple(event_types)
    return not chosen or any(name == each or name.startswith(f"{each}.") for each in chosen)


def body_of(event: Delivered, name: str) -> str:
    """The webhook's body, JSON: type, timestamp (when it was recorded), data. Amounts and ids are strings.

    data: the event's own fields, its name (`event`), id, stream and version there: who gets them out of order can tell. An
    event too large for a webhook is told by these four alone, and its reader asks the API.
    """
    place = {
        "event": event.type,
        "event_id": str(event.event_id),
        "stream_id": str(event.stream_id),
        "stream_version": event.version,
    }
    full = _body(event, name, {**to_json(event.message), **place})
    return full if len(full.encode()) < MAX_BODY_BYTES else _body(event, name, {**place, "abridged": True})


def _body(event: Delivered, name: str, data: dict[str, Any]) -> str:
    timestamp = event.recorded_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return orjson.dumps({"type": name, "timestamp": timestamp, "data": data}).decode()
