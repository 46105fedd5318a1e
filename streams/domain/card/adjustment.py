"""Decisions on what changes an authorization, or stands in for one: advice, increments, reversals; and its expiry."""

from __future__ import annotations

from schemas.messages import payment_adjustment_commands as adjusting
from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_commands as orders
from schemas.messages import payment_events as on_payment
from streams.domain.card import screening
from streams.domain.card.authorization import authorization_code, decline, hold_refusal
from streams.domain.card.refusing import refused
from streams.domain.chain.consequences import hold, release
from streams.domain.circumstances import Circumstances
from streams.domain.opening import LATER, Events, amount_of, opening, positive_of, said
from streams.domain.reasons import APPROVED, Reason, response_code
from streams.domain.states.account import Account
from streams.domain.states.amounts import Amount
from streams.domain.states.payment import evolve
from streams.domain.states.payment_state import Payment


def advise(
    order: adjusting.AdvisePayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """The network approved in our stead: it stands, whatever is spendable. What we had set aside serves for it.

    Where the network took all of it back before, it is net nothing, in whatever order the two come; what it posts in spite of that is booked.
    """
    events: Events = []
    if payment is None:
        events, payment = opening(order, "advice", account)
        if not payment.open:
            return events
    elif order.currency != payment.currency:
        return [refused(payment, "advice", order.advice_id, Reason.CURRENCY_UNSUPPORTED)]
    elif payment.taken_back:
        return [refused(payment, "advice", order.advice_id, Reason.REVERSED)]
    amount = positive_of(payment, order.amount_minor)
    surplus = max(0, payment.held_raw - amount.raw)
    authorized = on_payment.PaymentAuthorized(
        **said(payment, amount),
        account_id=payment.account_id,
        authorization_code=authorization_code(payment),
        response_code=APPROVED,
        stand_in=True,
    )
    return [*events, authorized, *(release(payment, account, "advice", surplus) if surplus else [])]


def increment(
    order: adjusting.IncrementPayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Approve more, by all the rules of a first approval, or decline it; what was approved before stands in any case.

    Only what is not covered is set aside: what must be paid back, and is not yet, serves first.
    """
    amount = positive_of(payment, order.amount_minor)
    more = adjusted.PaymentIncremented(
        **said(payment, amount),
        account_id=payment.account_id,
        increment_id=order.increment_id,
        response_code=APPROVED,
        due_raw=LATER,
    )
    missing = evolve(payment, more).receivable_raw - payment.receivable_raw
    reason = _increment_refusal(order, payment, account, circumstances, missing)
    if reason is None:
        return [*(hold(payment, account, missing, circumstances, "approval") if missing else []), more]
    return [
        adjusted.IncrementDeclined(
            payment_id=payment.payment_id,
            account_id=payment.account_id,
            increment_id=order.increment_id,
            amount_minor=amount.minor,
            currency=order.currency,
            reason=reason,
            response_code=response_code(reason),
        )
    ]


def _increment_refusal(
    order: adjusting.IncrementPayment, payment: Payment, account: Account | None, circumstances: Circumstances, raw: int
) -> str | None:
    if order.currency != payment.currency or payment.origin != "network":
        return Reason.CURRENCY_UNSUPPORTED if order.currency != payment.currency else Reason.NOT_AUTHORIZED
    if order.deadline is not None and circumstances.now > order.deadline:
        return Reason.DEADLINE
    return screening.refusal(payment, account, circumstances.policy) or hold_refusal(
        payment, raw, account, circumstances
    )


def store_reversal(
    order: orders.ReversePayment, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """A reversal that came before its authorization: kept, so that the authorization finds it; or refused, once, where nothing can be booked."""
    events, opened = opening(order, "reversal", account)
    if opened.unfit is not None:
        return [*events, refused(opened, "reversal", order.reversal_id, opened.unfit)]
    return [*events, *_reversed(order, opened)]


def reverse_open(
    order: orders.ReversePayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Nobody has answered yet: nobody will."""
    gone = orders.DeclinePayment(payment_id=order.payment_id, account_id=order.account_id, reason=Reason.REVERSED)
    return [
        *decline(gone, payment, account, circumstances),
        *acknowledge_reversal(order, payment, account, circumstances),
    ]


def acknowledge_reversal(
    order: orders.ReversePayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Nothing is approved, and nothing held: the reversal is kept, for the network's advice may still come."""
    return [
        adjusted.ReversalAcknowledged(
            payment_id=payment.payment_id,
            reversal_id=order.reversal_id,
            amount_minor=payment.amount_minor if order.amount_minor is None else order.amount_minor,
            currency=payment.currency,
        )
    ]


def reverse(
    order: orders.ReversePayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Give back what is open, or a part of it; never more."""
    open_ = payment.amounts.open
    amount = open_ if _names_all(order, payment, open_) else amount_of(payment, order.amount_minor or 0)
    if amount.raw > open_.raw:
        return [refused(payment, "reversal", order.reversal_id, Reason.OVER_REVERSAL)]
    if amount == open_ and payment.card == "authorized":
        return _reversed(order, payment)
    return [
        adjusted.PaymentPartlyReversed(
            **said(payment, amount),
            reversal_id=order.reversal_id,
            open_minor=(open_ - amount).minor,
            due_raw=LATER,
        )
    ]


def reverse_posted(
    order: orders.ReversePayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """Take back, all of it, what a single message posted with its approval (ISO 8583 0420 after 0200); nothing that the network posted itself."""
    presentment_id = str(payment.payment_id)
    amount = payment.posted.get(presentment_id)
    if amount is None or not _names_all(order, payment, amount):
        return [refused(payment, "reversal", order.reversal_id, Reason.ALREADY_CAPTURED)]
    return [
        adjusted.CaptureReversed(
            **said(payment, amount),
            presentment_id=presentment_id,
            reversal_id=order.reversal_id,
            due_raw=LATER,
        )
    ]


def _names_all(order: orders.ReversePayment, payment: Payment, all_: Amount) -> bool:
    """It names this amount, or none, or what was asked for and approved in part: who did not hear our answer knows no other."""
    in_part = payment.approved_minor < payment.amount_minor
    return order.amount_minor in (None, all_.minor) or (in_part and order.amount_minor == payment.amount_minor)


def _reversed(order: orders.ReversePayment, payment: Payment) -> Events:
    amount = payment.amounts.open.minor if payment.card == "authorized" else payment.amount_minor
    return [
        on_payment.PaymentReversed(
            payment_id=payment.payment_id,
            reversal_id=order.reversal_id,
            amount_minor=amount,
            currency=payment.currency,
        )
    ]


def expire(
    order: orders.ExpirePayment, payment: Payment, account: Account | None, circumstances: Circumstances
) -> Events:
    """End an authorization that nobody captured, or the rest of one."""
    return [
        on_payment.PaymentExpired(
            payment_id=payment.payment_id, amount_minor=payment.amounts.open.minor, currency=payment.currency
        )
    ]
