"""Decisions on an account alone: its registration and its card."""

from __future__ import annotations

from schemas.messages import account_commands as orders
from schemas.messages import account_events as on_account
from streams.domain.account import Account
from streams.domain.card_decisions import Events
from streams.domain.circumstances import Circumstances
from streams.domain.payment import Payment


def register(
    order: orders.RegisterAccount, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Take the wallet under watch, once."""
    return [] if account is not None else [on_account.AccountRegistered(**order.__dict__)]


def freeze_card(
    order: orders.FreezeCard, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Freeze an active card."""
    if account is None or account.card_token is None or account.card_state == "frozen":
        return []
    return [on_account.CardFrozen(account_id=account.account_id, card_token=account.card_token, reason=order.reason)]


def unfreeze_card(
    order: orders.UnfreezeCard, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Make a frozen card active."""
    if account is None or account.card_token is None or account.card_state != "frozen":
        return []
    return [on_account.CardUnfrozen(account_id=account.account_id, card_token=account.card_token, reason=order.reason)]
