"""Decisions on the chain legs: planned by us, submitted by the submitter, ended when they never can happen any more."""

from __future__ import annotations

from uuid import UUID

from schemas.definition import Raw
from schemas.messages import account_events as on_account
from schemas.messages import payment_adjustment_commands as adjusting
from schemas.messages import payment_commands as orders
from schemas.messages import payment_events as on_payment
from streams.domain.chain.consequences import hold, less_owed, more_owed, plan, release
from streams.domain.chain.facts import EndTransfer, FinalizeInvalidation, LoseTransfer
from streams.domain.circumstances import Circumstances
from streams.domain.opening import Events
from streams.domain.states import legs
from streams.domain.states.account import Account
from streams.domain.states.payment import Leg, Payment, evolve
from streams.domain.values import replace


def plan_refund(
    order: orders.PlanRefund, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Pay back what has moved beyond what is due, once all that moves is final; what a refund already pays is not paid twice."""
    if payment is None or legs.in_flight(payment.legs, "spend") or not payment.owed_back_raw:
        return []
    return [plan(payment, "refund", payment.owed_back_raw, order.reason)]


def refund_again(
    order: orders.RefundAgain, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """A person has what a refund did not pay paid after all, by a leg of its own."""
    if payment is None or not_again(payment) is not None:
        return []
    return [plan(payment, "refund", payment.owed_back_raw, order.reason)]


def not_again(payment: Payment) -> str | None:
    """Why no refund of the payment is planned anew, for a person; None where one is.

    Nothing is paid twice: a refund ends unpaid only when its one nonce was used finally without it, and what is owed back is what has moved
    beyond what is due, less every refund that may yet move.
    """
    refunds = legs.of_kind(payment.legs, "refund")
    if not any(leg.state == legs.ENDED for leg in refunds):
        return "no refund of it has ended unpaid"
    if legs.in_flight(payment.legs, "refund"):
        return "another refund of it is on its way"
    if legs.in_flight(payment.legs, "spend"):
        return "a spend of it is still on its way: what is owed back is known when that is final"
    return None if payment.owed_back_raw else "nothing of it is owed back any more"


def record_submitted(
    order: orders.RecordLegSubmitted, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """A transaction that carries the leg went out. A leg that has been seen needs no telling."""
    leg = payment.legs.get(order.leg_id) if payment else None
    if payment is None or leg is None or leg.state not in legs.NEVER_SEEN or leg.tx_hash == order.tx_hash:
        return []
    return [
        on_payment.LegSubmitted(payment_id=payment.payment_id, leg_id=leg.leg_id, kind=leg.kind, tx_hash=order.tx_hash)
    ]


def record_reverted(
    order: orders.RecordLegReverted, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """A transaction of the leg failed. It ends nothing: the leg may yet be carried by another."""
    leg = payment.legs.get(order.leg_id) if payment else None
    if payment is None or leg is None or order.tx_hash in leg.reverted:
        return []
    return [
        on_payment.LegReverted(
            payment_id=payment.payment_id,
            leg_id=leg.leg_id,
            kind=leg.kind,
            tx_hash=order.tx_hash,
            reason=order.reason,
        )
    ]


def give_up(
    order: orders.GiveUpSpend, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Take back, once, what we signed and no block carries. What the chain opened was signed by somebody else."""
    if payment is None or payment.origin != "network":
        return []
    return [
        on_payment.LegGivenUp(
            payment_id=payment.payment_id,
            leg_id=leg.leg_id,
            kind=leg.kind,
            account_id=payment.account_id,
            reason=order.reason,
        )
        for leg in payment.legs.values()
        if leg.kind == "spend" and leg.state in legs.IN_NO_BLOCK and not leg.given_up
    ]


def invalidated(
    fact: FinalizeInvalidation, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """The spend ends unpaid: what it held is free again, and a debit that had vanished is given back. One that was mined has won."""
    leg = payment.legs.get(fact.leg_id) if payment else None
    if payment is None or leg is None or leg.state in ("seen", "settled", "ended_unpaid"):
        return []
    given_back = ended_transfer(account, fact.transfer_id, "invalidated", payment.payment_id, leg.leg_id)
    held = leg.amount_raw if leg.state in legs.NEVER_SEEN else 0  # of one that was seen, the hold has become a debit
    released = release(payment, account, "leg_ended_unpaid", held)
    return [*_ended_with(payment, leg, "invalidated"), *released, *given_back]


def close_spend(
    order: orders.CloseSpend, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """A person waits no longer for a foreign spend that vanished: its debit is given back. It is nobody's of us to take back on chain."""
    leg = lost_sight_of(payment) if payment else None
    if payment is None or leg is None or leg.foreign_id is None:
        return []
    told = replace(_ended(payment, leg, legs.CLOSED), because=order.because, closed_by=order.closed_by)
    after = evolve(payment, told)
    owed = after.receivable_raw - payment.receivable_raw
    return [
        replace(told, due_raw=Raw(after.due_raw)),
        *more_owed(payment, owed, leg),
        *ended_transfer(account, leg.foreign_id, legs.CLOSED, payment.payment_id, leg.leg_id),
    ]


def lost_sight_of(payment: Payment) -> Leg | None:
    """The foreign spend of the payment that a reorg dropped, if there is one."""
    return next((leg for leg in payment.legs.values() if leg.foreign_id and leg.state == "unseen"), None)


def not_closed(payment: Payment) -> str | None:
    """Why no spend of the payment is closed, for a person; None where one is, or can be."""
    if payment.origin != "chain":
        return "its spend is ours, and give-up takes it back on chain"
    foreign = [leg for leg in payment.legs.values() if leg.foreign_id]
    if any(leg.closed or leg.state == "unseen" for leg in foreign):
        return None
    return "its spend stands in a block" if foreign else "no spend of it was ever seen"


def seen_again(payment: Payment, leg: on_payment.LegSeen) -> Events:
    """A spend that a person had closed is mined after all: it is due again, and what the holder owed in its stead is not."""
    after = evolve(payment, leg)
    less = less_owed(payment, payment.receivable_raw - after.receivable_raw, "mined_after_all")
    return [replace(leg, due_raw=Raw(after.due_raw)), *less]


def end_unpaid(
    order: orders.EndLegUnpaid, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """The refund can never happen any more. One that stands in a block has happened."""
    leg = payment.legs.get(order.leg_id) if payment else None
    if payment is None or leg is None or leg.kind != "refund" or leg.state in ("seen", "settled", "ended_unpaid"):
        return []
    return _ended_with(payment, leg, order.reason)


def lose(fact: LoseTransfer, payment: Payment | None, account: Account | None, circumstances: Circumstances) -> Events:
    """The settlement wallet's side of a refund that vanished for good."""
    return ended_transfer(account, fact.transfer_id, "nonce_used", None, fact.leg_id)


def end(fact: EndTransfer, payment: Payment | None, account: Account | None, circumstances: Circumstances) -> Events:
    """A withdrawal or a burn that vanished for good; nothing where it was given back with its queue."""
    return ended_transfer(account, fact.transfer_id, "nonce_used", None, None)


def ended_transfer(
    account: Account | None, transfer_id: UUID, reason: str, payment_id: UUID | None, leg_id: UUID | None
) -> Events:
    """The debit is given back, where there is one and no block carries it."""
    debit = account.debits.get(transfer_id) if account else None
    if account is None or debit is None or debit.seen:
        return []
    return [
        on_account.TransferEnded(
            account_id=account.account_id,
            transfer_id=transfer_id,
            direction="out",
            kind=debit.kind,
            amount_raw=Raw(debit.amount_raw),
            currency=account.currency,
            decimals=account.decimals,
            payment_id=payment_id,
            leg_id=leg_id,
            reason=reason,
        )
    ]


def _ended_with(payment: Payment, leg: Leg, reason: str) -> Events:
    """The leg's end, and what the holder owes more, or less, by it."""
    ended = _ended(payment, leg, reason)
    owed = evolve(payment, ended).receivable_raw - payment.receivable_raw
    return [ended, *more_owed(payment, owed, leg), *less_owed(payment, -owed, "refund_ended_unpaid")]


def _ended(payment: Payment, leg: Leg, reason: str) -> on_payment.LegEndedUnpaid:
    return on_payment.LegEndedUnpaid(
        payment_id=payment.payment_id,
        leg_id=leg.leg_id,
        kind=leg.kind,
        account_id=payment.account_id,
        amount_raw=Raw(leg.amount_raw),
        decimals=payment.decimals,
        reason=reason,
    )


def collect(
    order: adjusting.CollectReceivable, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Try once more on chain: a further spend of all that the holder owes, whatever is spendable."""
    owed = payment.receivable_raw if payment else 0
    if payment is None or not owed:
        return []
    held = hold(payment, account, owed, circumstances, "collected")
    return [*held, plan(payment, "spend", owed, "collected"), *less_owed(payment, owed, "collected")]


def write_off(
    order: adjusting.WriteOffReceivable, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Give up all that the holder owes."""
    return less_owed(payment, payment.receivable_raw, "written_off") if payment else []
