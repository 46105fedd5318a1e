"""Decisions on the chain legs: planned by us, submitted by the submitter, ended when they never can happen any more."""

from __future__ import annotations

from dataclasses import replace

from schemas.definition import Raw
from schemas.messages import payment_commands as orders
from schemas.messages import payment_events as on_payment
from streams.domain.account import Account
from streams.domain.card_decisions import Events, plan, release
from streams.domain.circumstances import Circumstances
from streams.domain.payment import Payment


def plan_refund(
    order: orders.PlanRefund, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Pay back a settled spend, once."""
    spend = payment.leg("spend") if payment else None
    if payment is None or spend is None or spend.state != "settled" or payment.leg("refund") is not None:
        return []
    return [plan(replace(payment, amount_raw=spend.amount_raw), "refund", order.reason)]


def record_submitted(
    order: orders.RecordLegSubmitted, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """A transaction that carries the leg went out. A leg that has been seen needs no telling."""
    leg = payment.legs.get(order.leg_id) if payment else None
    if payment is None or leg is None or leg.state not in ("planned", "submitted") or leg.tx_hash == order.tx_hash:
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


def end_unpaid(
    order: orders.EndLegUnpaid, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """The leg can never happen any more: say so, and release what it held.

    One that stands in a block has happened; a spend that vanished from one still reserves its debit and may come back.
    """
    leg = payment.legs.get(order.leg_id) if payment else None
    if payment is None or leg is None or leg.state in ("seen", "settled", "ended_unpaid"):
        return []
    if (leg.kind, leg.state) == ("spend", "unseen"):
        return []
    ended = on_payment.LegEndedUnpaid(
        payment_id=payment.payment_id,
        leg_id=leg.leg_id,
        kind=leg.kind,
        account_id=payment.account_id,
        amount_raw=Raw(leg.amount_raw),
        decimals=payment.decimals,
        reason=order.reason,
    )
    return [ended, *(release(payment, account, "leg_ended_unpaid") if leg.kind == "spend" else [])]
