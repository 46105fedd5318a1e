"""Decisions on an account alone: its registration and its card."""

from __future__ import annotations

from infra.errors import BadInput
from schemas.messages import account_commands as orders
from schemas.messages import account_events as on_account
from schemas.messages import card_controls as controls
from streams.domain.circumstances import Circumstances
from streams.domain.opening import Events
from streams.domain.states.account import LIMITS, Account
from streams.domain.states.limits import LONGEST_WINDOW, CardLimits
from streams.domain.states.payment import Payment


def register(
    order: orders.RegisterAccount, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Take the wallet under watch, once."""
    return [] if account is not None else [on_account.AccountRegistered(**order.__dict__)]


def bind_card(
    order: orders.BindCard, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """An account has one card for good."""
    if account is None or account.card_token is not None:
        return []
    return [on_account.CardBound(account_id=account.account_id, card_token=order.card_token)]


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


def set_limits(
    order: controls.SetCardLimits, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Set the card's limits, where they change. Raises BadInput for limits that say nothing sensible."""
    wanted = {name: getattr(order, name) for name in LIMITS}
    _sensible(wanted)
    if account is None or account.card_token is None or account.limits == CardLimits(**wanted):
        return []
    return [controls.CardLimitsSet(account_id=account.account_id, **wanted)]


def _sensible(wanted: dict[str, int | None]) -> None:
    for name, value in wanted.items():
        if value is not None and value < 0:
            raise BadInput(f"{name} {value} is below zero; leave it out for no such limit")
    window = wanted["velocity_seconds"]
    if (wanted["velocity_count"] is not None or wanted["velocity_minor"] is not None) and not window:
        raise BadInput("a velocity limit needs its window; send velocity_seconds")
    if window is not None and window > LONGEST_WINDOW.total_seconds():
        raise BadInput(f"velocity_seconds {window} is more than {LONGEST_WINDOW.days} days; send a shorter window")


def block_mcc(
    order: controls.BlockMcc, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Block a kind of merchant, once."""
    if account is None or order.mcc in account.blocked_mccs:
        return []
    return [controls.MccBlocked(**order.__dict__)]


def unblock_mcc(
    order: controls.UnblockMcc, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Unblock a kind of merchant that is blocked."""
    if account is None or order.mcc not in account.blocked_mccs:
        return []
    return [controls.MccUnblocked(**order.__dict__)]


def block_country(
    order: controls.BlockCountry, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Block a country, once."""
    if account is None or order.country in account.blocked_countries:
        return []
    return [controls.CountryBlocked(**order.__dict__)]


def unblock_country(
    order: controls.UnblockCountry, payment: Payment | None, account: Account | None, circumstances: Circumstances
) -> Events:
    """Unblock a country that is blocked."""
    if account is None or order.country not in account.blocked_countries:
        return []
    return [controls.CountryUnblocked(**order.__dict__)]
