"""What a change of the card leg means for the chain legs: a further spend with its hold, or less of a receivable.

One rule for all of it: what is due (`Payment.due_raw`) must be covered by what has moved, is on its way, or is owed by the holder.
What has moved beyond it is paid back when it is final: the saga orders that (`leg_decisions.plan_refund`).
"""

from __future__ import annotations

from typing import Any

from schemas.definition import Raw
from schemas.messages import account_events as on_account
from schemas.messages import payment_adjustment_events as adjusted
from schemas.messages import payment_events as on_payment
from schemas.topics import PAYMENT_EVENTS
from streams.domain import ids
from streams.domain.circumstances import Circumstances
from streams.domain.money import minor_of
from streams.domain.opening import Events
from streams.domain.states import legs
from streams.domain.states.account import Account
from streams.domain.states.payment import evolve
from streams.domain.states.payment_state import Payment
from streams.domain.values import replace


def with_consequences(
    before: Payment | None, said: Events, account: Account | None, circumstances: Circumstances, cause: str
) -> Events:
    """The card leg's events, each with what is due after it, and the legs, holds and receivables that follow in the same append."""
    told, after = _with_due(before, said)
    if after is None:
        return told
    owed = before.receivable_raw if before else 0
    missing = after.receivable_raw - owed
    if missing > 0:
        return [*told, *_spend(after, missing, account, circumstances, cause)]
    return [*told, *less_owed(after, -missing, cause)]


def _with_due(payment: Payment | None, said: Events) -> tuple[Events, Payment | None]:
    told: Events = []
    for event in said:
        if event.topic == PAYMENT_EVENTS:
            payment = evolve(payment, event)
            event = replace(event, due_raw=Raw(payment.due_raw)) if hasattr(event, "due_raw") else event  # type: ignore[type-var]
        told.append(event)
    return told, payment


def _spend(
    payment: Payment, amount_raw: int, account: Account | None, circumstances: Circumstances, cause: str
) -> Events:
    """A spend of what is missing. What is not set aside for it already is set aside now, whatever is spendable."""
    spare = payment.held_raw - legs.never_seen_raw(payment.legs)
    held = hold(payment, account, amount_raw - spare, circumstances, cause) if amount_raw > spare else []
    return [*held, plan(payment, "spend", amount_raw, cause)]


def hold(
    payment: Payment, account: Account | None, amount_raw: int, circumstances: Circumstances, cause: str
) -> Events:
    """The hold in both streams; nothing on an account that is not there."""
    if account is None:
        return []
    return [
        on_account.FundsHeld(
            account_id=account.account_id,
            payment_id=payment.payment_id,
            amount_raw=Raw(amount_raw),
            currency=account.currency,
            decimals=account.decimals,
            spendable_raw=Raw(account.spendable_raw(circumstances.chain_time)),
            cause=cause,
            amount_minor=minor_of(amount_raw, account.currency, account.decimals),
            cash=payment.transaction_type == "cash",
            held_at=circumstances.now,
        ),
        on_payment.PaymentHeld(
            payment_id=payment.payment_id,
            account_id=account.account_id,
            amount_raw=Raw(amount_raw),
            decimals=payment.decimals,
        ),
    ]


def release(payment: Payment, account: Account | None, reason: str, amount_raw: int | None = None) -> Events:
    """The release of the payment's hold, or of so much of it; nothing where nothing is held."""
    held = account.holds.get(payment.payment_id, 0) if account else 0
    amount = held if amount_raw is None else min(held, amount_raw)
    if account is None or amount <= 0:
        return []
    return [
        on_account.HoldReleased(
            account_id=account.account_id,
            payment_id=payment.payment_id,
            amount_raw=Raw(amount),
            currency=account.currency,
            decimals=account.decimals,
            reason=reason,
        )
    ]


def plan(payment: Payment, kind: str, amount_raw: int, reason: str) -> on_payment.LegPlanned:
    """A leg; its id follows from the payment, its kind and its place among those of the kind."""
    place = len(legs.of_kind(payment.legs, kind))
    return on_payment.LegPlanned(
        payment_id=payment.payment_id,
        leg_id=ids.leg_id(payment.payment_id, kind, place),
        kind=kind,
        account_id=payment.account_id,
        amount_raw=Raw(amount_raw),
        currency=payment.currency,
        decimals=payment.decimals,
        reason=reason,
    )


def less_owed(payment: Payment, amount_raw: int, reason: str) -> Events:
    """The holder owes so much less; nothing where it is nothing."""
    return [adjusted.ReceivableReduced(**_owed(payment, amount_raw), reason=reason)] if amount_raw > 0 else []


def more_owed(payment: Payment, amount_raw: int, leg: legs.Leg) -> Events:
    """The holder owes what the leg did not move; nothing where it is nothing."""
    return [adjusted.ReceivableOpened(**_owed(payment, amount_raw), leg_id=leg.leg_id)] if amount_raw > 0 else []


def _owed(payment: Payment, amount_raw: int) -> dict[str, Any]:
    return {
        "payment_id": payment.payment_id,
        "account_id": payment.account_id,
        "amount_raw": Raw(amount_raw),
        "currency": payment.currency,
        "decimals": payment.decimals,
    }
