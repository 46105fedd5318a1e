"""The payment, on its two axes: the card leg (what the network and we said) and its chain legs (what moved).

Card leg: requested -> verified | declined | authorized -> captured | reversed | expired.
Chain leg: planned -> submitted -> seen <-> unseen -> settled, or ended_unpaid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from schemas.definition import Message
from schemas.messages import payment_events as events


@dataclass(frozen=True)
class Leg:
    """One movement of tokens that the payment needs. Amount in raw units."""

    leg_id: UUID
    kind: str
    state: str
    amount_raw: int
    tx_hash: str | None = None
    reverted: frozenset[str] = frozenset()
    given_up: bool = False


@dataclass(frozen=True)
class Payment:
    """State of a payment, folded from its events."""

    payment_id: UUID
    account_id: UUID
    origin: str
    card: str
    amount_minor: int
    currency: str
    amount_raw: int
    decimals: int
    card_token: str | None
    mcc: str | None
    merchant_country: str | None
    deadline: datetime | None
    held: bool = False
    hold_refused: bool = False
    verdict: str | None = None
    screening_reason: str | None = None
    reason: str | None = None
    response_code: str | None = None
    authorization_code: str | None = None
    captured_minor: int = 0
    presentments: frozenset[str] = frozenset()
    legs: Mapping[UUID, Leg] = field(default_factory=lambda: MappingProxyType({}))

    def leg(self, kind: str) -> Leg | None:
        """The payment's leg of a kind, if it has one."""
        return next((leg for leg in self.legs.values() if leg.kind == kind), None)

    @property
    def open(self) -> bool:
        """Nobody has answered yet."""
        return self.card == "requested"


def _requested(_: Payment | None, event: events.PaymentRequested) -> Payment:
    return Payment(
        payment_id=event.payment_id,
        account_id=event.account_id,
        origin=event.origin,
        card="requested",
        amount_minor=event.amount_minor,
        currency=event.currency,
        amount_raw=event.amount_raw,
        decimals=event.decimals,
        card_token=event.card_token,
        mcc=event.mcc,
        merchant_country=event.merchant_country,
        deadline=event.deadline,
    )


def _held(payment: Payment, _: events.PaymentHeld) -> Payment:
    return replace(payment, held=True)


def _hold_refused(payment: Payment, event: events.HoldRefused) -> Payment:
    return replace(payment, hold_refused=True, reason=event.reason)


def _screened(payment: Payment, event: events.PaymentScreened) -> Payment:
    return replace(payment, verdict=event.verdict, screening_reason=event.reason)


def _authorized(payment: Payment, event: events.PaymentAuthorized) -> Payment:
    return replace(
        payment, card="authorized", authorization_code=event.authorization_code, response_code=event.response_code
    )


def _verified(payment: Payment, event: events.PaymentVerified) -> Payment:
    return replace(payment, card="verified", response_code=event.response_code)


def _declined(payment: Payment, event: events.PaymentDeclined) -> Payment:
    return replace(payment, card="declined", held=False, reason=event.reason, response_code=event.response_code)


def _captured(payment: Payment, event: events.PaymentCaptured) -> Payment:
    return replace(
        payment,
        card="captured",
        captured_minor=payment.captured_minor + event.amount_minor,
        presentments=payment.presentments | {event.presentment_id},
    )


def _reversed(payment: Payment, _: events.PaymentReversed) -> Payment:
    return replace(payment, card="reversed", reason="reversed")


def _expired(payment: Payment, _: events.PaymentExpired) -> Payment:
    return replace(payment, card="expired", reason="expired")


def _leg_planned(payment: Payment, event: events.LegPlanned) -> Payment:
    return _put(payment, Leg(event.leg_id, event.kind, "planned", event.amount_raw))


def _leg_submitted(payment: Payment, event: events.LegSubmitted) -> Payment:
    leg = payment.legs[event.leg_id]
    state = "submitted" if leg.state == "planned" else leg.state
    return _put(payment, replace(leg, state=state, tx_hash=event.tx_hash))


def _leg_reverted(payment: Payment, event: events.LegReverted) -> Payment:
    leg = payment.legs[event.leg_id]
    return _put(payment, replace(leg, reverted=leg.reverted | {event.tx_hash}))


def _leg_given_up(payment: Payment, event: events.LegGivenUp) -> Payment:
    return _put(payment, replace(payment.legs[event.leg_id], given_up=True))


def _leg_seen(payment: Payment, event: events.LegSeen) -> Payment:
    known = payment.legs.get(event.leg_id) or Leg(event.leg_id, event.kind, "planned", event.amount_raw)
    return _put(replace(payment, held=False), replace(known, state="seen", tx_hash=event.tx_hash))


def _leg_moved(state: str) -> Callable[[Payment, Any], Payment]:
    def move(payment: Payment, event: Any) -> Payment:
        return _put(payment, replace(payment.legs[event.leg_id], state=state))

    return move


def _leg_ended_unpaid(payment: Payment, event: events.LegEndedUnpaid) -> Payment:
    held = payment.held and payment.legs[event.leg_id].kind != "spend"
    return _put(replace(payment, held=held), replace(payment.legs[event.leg_id], state="ended_unpaid"))


EVOLVE: Mapping[type[Message], Callable[[Any, Any], Payment]] = {
    events.PaymentRequested: _requested,
    events.PaymentHeld: _held,
    events.HoldRefused: _hold_refused,
    events.PaymentScreened: _screened,
    events.PaymentAuthorized: _authorized,
    events.PaymentVerified: _verified,
    events.PaymentDeclined: _declined,
    events.PaymentCaptured: _captured,
    events.PaymentReversed: _reversed,
    events.PaymentExpired: _expired,
    events.LegPlanned: _leg_planned,
    events.LegSubmitted: _leg_submitted,
    events.LegReverted: _leg_reverted,
    events.LegGivenUp: _leg_given_up,
    events.LegSeen: _leg_seen,
    events.LegUnseen: _leg_moved("unseen"),
    events.LegSettled: _leg_moved("settled"),
    events.LegEndedUnpaid: _leg_ended_unpaid,
}


def evolve(payment: Payment | None, event: Message) -> Payment:
    """The payment after one more event of its stream."""
    return EVOLVE[type(event)](payment, event)


def _put(payment: Payment, leg: Leg) -> Payment:
    return replace(payment, legs=MappingProxyType({**payment.legs, leg.leg_id: leg}))
