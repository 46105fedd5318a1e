"""The payment, on its two axes: the card leg (what the network and we said) and its chain legs (what moved), folded from its events.

Card leg: the states of `card/table.py`. Chain leg: planned -> submitted -> seen <-> unseen -> settled, or ended_unpaid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from schemas.definition import Message
from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_events as events
from streams.domain.states.amounts import Amount
from streams.domain.states.legs import CLOSED, NEVER_SEEN, Leg
from streams.domain.states.payment_state import Answer, Payment
from streams.domain.values import replace

__all__ = ["EVOLVE", "Answer", "Leg", "Payment", "evolve"]


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
        message=event.message,
        transaction_type=event.transaction_type,
        partial_approval=event.partial_approval,
    )


def _held(payment: Payment, event: events.PaymentHeld) -> Payment:
    return replace(payment, held_raw=payment.held_raw + event.amount_raw)


def _hold_refused(payment: Payment, event: events.HoldRefused) -> Payment:
    return replace(payment, hold_refused=True, reason=event.reason)


def _screened(payment: Payment, event: events.PaymentScreened) -> Payment:
    return replace(payment, verdict=event.verdict, screening_reason=event.reason)


def _authorized(payment: Payment, event: events.PaymentAuthorized) -> Payment:
    return replace(
        payment,
        card="authorized",
        authorization_code=event.authorization_code,
        approved_minor=event.amount_minor,
        response_code=event.response_code,
        reason=None,
        held_raw=min(payment.held_raw, event.amount_raw),
        amounts=payment.amounts.approve(Amount(event.amount_minor, event.amount_raw)),
    )


def _verified(payment: Payment, event: events.PaymentVerified) -> Payment:
    return replace(payment, card="verified", response_code=event.response_code, spendable_minor=event.spendable_minor)


def _declined(payment: Payment, event: events.PaymentDeclined) -> Payment:
    return replace(payment, card="declined", held_raw=0, reason=event.reason, response_code=event.response_code)


def _incremented(payment: Payment, event: adjusted.PaymentIncremented) -> Payment:
    more = payment.amounts.approve(_amount(event))
    return _told(replace(payment, amounts=more), "increment", event.increment_id, event.response_code)


def _increment_declined(payment: Payment, event: adjusted.IncrementDeclined) -> Payment:
    return _told(payment, "increment", event.increment_id, event.response_code, event.reason)


def _captured(payment: Payment, event: events.PaymentCaptured) -> Payment:
    card = payment.card if payment.card == "disputed" else "captured" if event.final else "partly_captured"
    posted = MappingProxyType({**payment.posted, event.presentment_id: _amount(event)})
    amounts = payment.amounts.capture(_amount(event), final=event.final)
    after = replace(payment, card=card, amounts=amounts, posted=posted)
    return _told(after, "capture", event.presentment_id)


def _capture_reversed(payment: Payment, event: adjusted.CaptureReversed) -> Payment:
    amounts = payment.amounts.correct(_amount(event))
    posted = _without(payment.posted, event.presentment_id)
    card = payment.card
    if not posted and card in ("captured", "partly_captured"):
        card = "corrected" if card == "captured" else "authorized"
    after = replace(payment, card=card, amounts=amounts, posted=posted)
    return _told(after, "capture_reversal", event.reversal_id)


def _reversed(payment: Payment, event: events.PaymentReversed) -> Payment:
    amounts = payment.amounts.give_back(payment.amounts.open)
    after = replace(payment, card="reversed", reason="reversed", amounts=amounts)
    return _told(after, "reversal", event.reversal_id)


def _partly_reversed(payment: Payment, event: adjusted.PaymentPartlyReversed) -> Payment:
    amounts = payment.amounts.give_back(_amount(event))
    card = "captured" if amounts.open.raw == 0 else payment.card
    return _told(replace(payment, card=card, amounts=amounts), "reversal", event.reversal_id)


def _reversal_acknowledged(payment: Payment, event: adjusted.ReversalAcknowledged) -> Payment:
    taken_back = payment.taken_back or event.amount_minor >= payment.amount_minor
    return _told(replace(payment, taken_back=taken_back), "reversal", event.reversal_id)


def _expired(payment: Payment, _: events.PaymentExpired) -> Payment:
    amounts = payment.amounts.give_back(payment.amounts.open)
    if payment.card == "partly_captured":
        return replace(payment, card="captured", amounts=amounts)
    return replace(payment, card="expired", reason="expired", amounts=amounts)


def _refunded(payment: Payment, event: adjusted.PaymentRefunded) -> Payment:
    refunds = MappingProxyType({**payment.refunds, event.refund_id: _amount(event)})
    card = "refunded" if payment.card == "requested" else payment.card
    after = replace(payment, card=card, amounts=payment.amounts.refund(_amount(event)), refunds=refunds)
    return _told(after, "refund", event.refund_id)


def _refund_reversed(payment: Payment, event: adjusted.RefundReversed) -> Payment:
    refunds = _without(payment.refunds, event.refund_id)
    after = replace(payment, amounts=payment.amounts.take_refund_back(_amount(event)), refunds=refunds)
    return _told(after, "refund_reversal", event.reversal_id)


def _dispute_opened(payment: Payment, event: adjusted.DisputeOpened) -> Payment:
    disputes = MappingProxyType({**payment.disputes, event.dispute_id: _amount(event)})
    after = replace(payment, card="disputed", amounts=payment.amounts.credit(_amount(event)), disputes=disputes)
    return _told(after, "dispute", event.dispute_id)


def _dispute_won(payment: Payment, event: adjusted.DisputeWon) -> Payment:
    after = replace(payment, card="captured", disputes=_without(payment.disputes, event.dispute_id))
    return _told(after, "dispute_resolution", event.dispute_id)


def _dispute_lost(payment: Payment, event: adjusted.DisputeLost) -> Payment:
    amounts = payment.amounts.take_credit_back(_amount(event))
    after = replace(payment, card="captured", amounts=amounts, disputes=_without(payment.disputes, event.dispute_id))
    return _told(after, "dispute_resolution", event.dispute_id)


def _refused(payment: Payment, event: adjusted.CardMessageRefused) -> Payment:
    after = payment
    if event.message == "authorization":
        after = replace(payment, response_code=event.response_code, reason=event.reason)
    return _told(after, event.message, event.message_id, event.response_code, event.reason)


def _receivable_opened(payment: Payment, _: adjusted.ReceivableOpened) -> Payment:
    return payment


def _receivable_reduced(payment: Payment, event: adjusted.ReceivableReduced) -> Payment:
    written_off = event.amount_raw if event.reason == "written_off" else 0
    return replace(payment, written_off_raw=payment.written_off_raw + written_off)


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
    """The spend's part of the hold has become a debit of the account."""
    known = payment.legs.get(event.leg_id)
    after = payment if known is None else _hold_used(payment, known)
    leg = known or Leg(event.leg_id, event.kind, "planned", event.amount_raw, foreign_id=event.transfer_id)
    return _put(after, replace(leg, state="seen", tx_hash=event.tx_hash, closed=False))


def _leg_moved(state: str) -> Callable[[Payment, Any], Payment]:
    def move(payment: Payment, event: Any) -> Payment:
        return _put(payment, replace(payment.legs[event.leg_id], state=state))

    return move


def _leg_ended_unpaid(payment: Payment, event: events.LegEndedUnpaid) -> Payment:
    leg = payment.legs[event.leg_id]
    return _put(_hold_used(payment, leg), replace(leg, state="ended_unpaid", closed=event.reason == CLOSED))


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
    adjusted.PaymentIncremented: _incremented,
    adjusted.IncrementDeclined: _increment_declined,
    adjusted.PaymentPartlyReversed: _partly_reversed,
    adjusted.ReversalAcknowledged: _reversal_acknowledged,
    adjusted.CaptureReversed: _capture_reversed,
    adjusted.PaymentRefunded: _refunded,
    adjusted.RefundReversed: _refund_reversed,
    adjusted.DisputeOpened: _dispute_opened,
    adjusted.DisputeWon: _dispute_won,
    adjusted.DisputeLost: _dispute_lost,
    adjusted.CardMessageRefused: _refused,
    adjusted.ReceivableOpened: _receivable_opened,
    adjusted.ReceivableReduced: _receivable_reduced,
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


def _amount(event: Any) -> Amount:
    return Amount(event.amount_minor, event.amount_raw)


def _told(payment: Payment, message: str, message_id: str, code: str = "00", reason: str | None = None) -> Payment:
    answers = MappingProxyType({**payment.answers, f"{message}/{message_id}": Answer(code, reason)})
    return replace(payment, answers=answers)


def _put(payment: Payment, leg: Leg) -> Payment:
    return replace(payment, legs=MappingProxyType({**payment.legs, leg.leg_id: leg}))


def _hold_used(payment: Payment, leg: Leg) -> Payment:
    """A spend that no block has carried has its part of the hold; whatever becomes of it, that part is set aside no more."""
    if leg.kind != "spend" or leg.state not in NEVER_SEEN:
        return payment
    return replace(payment, held_raw=max(0, payment.held_raw - leg.amount_raw))


def _without(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return MappingProxyType({name: value for name, value in mapping.items() if name != key})
