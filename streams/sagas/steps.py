"""The orders that the authorization saga gives: each a function of the saga and the event that it answers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from schemas.definition import Message
from schemas.messages import chain_commands, payment_commands
from streams.sagas.saga import Saga


def _account(saga: Saga) -> UUID:
    assert saga.account_id is not None, f"saga {saga.saga_id} gives orders before its payment was requested"
    return saga.account_id


def hold(saga: Saga, event: Any) -> Message:
    """Set the amount aside."""
    return payment_commands.HoldFunds(payment_id=saga.saga_id, account_id=_account(saga))


def screen(saga: Saga, event: Any) -> Message:
    """Hold it against the rules."""
    return payment_commands.ScreenPayment(payment_id=saga.saga_id, account_id=_account(saga))


def authorize(saga: Saga, event: Any) -> Message:
    """Approve."""
    return payment_commands.AuthorizePayment(payment_id=saga.saga_id, account_id=_account(saga))


def decline(saga: Saga, event: Any) -> Message:
    """Decline, with the reason that led here."""
    return payment_commands.DeclinePayment(
        payment_id=saga.saga_id, account_id=_account(saga), reason=saga.reason or "deadline"
    )


def expire(saga: Saga, event: Any) -> Message:
    """End an authorization that nobody captured, or the rest of one."""
    return payment_commands.ExpirePayment(payment_id=saga.saga_id)


def plan_refund(saga: Saga, event: Any) -> Message:
    """Pay back what has moved beyond what is due."""
    return payment_commands.PlanRefund(
        payment_id=saga.saga_id, account_id=_account(saga), reason=saga.cause or "declined"
    )


def give_up(saga: Saga, event: Any) -> Message:
    """Wait no longer for a spend that nobody wants any more."""
    return payment_commands.GiveUpSpend(payment_id=saga.saga_id, reason="patience")


def invalidate_spend(saga: Saga, event: Any) -> Message:
    """Take the signed spend back on chain."""
    return chain_commands.InvalidateSpend(payment_id=saga.saga_id, leg_id=event.leg_id, account_id=_account(saga))


def submit_spend(saga: Saga, event: Any) -> Message:
    """Send the planned spend."""
    return chain_commands.SubmitSpend(
        payment_id=saga.saga_id, leg_id=event.leg_id, account_id=_account(saga), amount_raw=event.amount_raw
    )


def submit_refund(saga: Saga, event: Any) -> Message:
    """Send the planned refund."""
    return chain_commands.SubmitRefund(
        payment_id=saga.saga_id, leg_id=event.leg_id, account_id=_account(saga), amount_raw=event.amount_raw
    )
