"""The card's own limits: how much at once, a day, a month, in cash; and how often and how much within a window (velocity).

Days and months are UTC's, by the write server's clock as it came with each approval. What counts is what was set aside for the card: also
what the network decided itself; what was released, and never moved, counts no more. A spend made directly on chain is bounded by the
on-chain allowance alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from streams.domain.reasons import Reason
from streams.domain.values import replace

REMEMBERED = timedelta(days=31)
LONGEST_WINDOW = REMEMBERED


@dataclass(frozen=True)
class CardLimits:
    """Amounts in minor units of the account's currency; None: no such limit."""

    per_transaction_minor: int | None = None
    per_day_minor: int | None = None
    per_month_minor: int | None = None
    cash_per_transaction_minor: int | None = None
    cash_per_day_minor: int | None = None
    velocity_count: int | None = None
    velocity_minor: int | None = None
    velocity_seconds: int | None = None


@dataclass(frozen=True)
class Use:
    """What was set aside for one payment at one time."""

    payment_id: UUID
    at: datetime
    amount_minor: int
    cash: bool


@dataclass(frozen=True)
class Asked:
    """What an approval would be: `before_minor` is what the same payment was approved already."""

    payment_id: UUID
    now: datetime
    cash: bool = False
    before_minor: int = 0


def room(limits: CardLimits, uses: tuple[Use, ...], asked: Asked) -> tuple[int, Reason] | None:
    """The most that may be approved now, and the limit that says so; None where none does. Never below zero."""
    found = [
        (max(0, limit - used), reason) for limit, used, reason in _measured(limits, uses, asked) if limit is not None
    ]
    return min(found, key=lambda each: each[0], default=None)


def refusal(limits: CardLimits, uses: tuple[Use, ...], asked: Asked, amount_minor: int) -> Reason | None:
    """The limit that an approval of the amount would break, or None: the tightest, and the count of payments before all."""
    if _too_often(limits, uses, asked):
        return Reason.OVER_VELOCITY
    tightest = room(limits, uses, asked)
    return tightest[1] if tightest is not None and amount_minor > tightest[0] else None


def remember(uses: tuple[Use, ...], use: Use) -> tuple[Use, ...]:
    """With one use more, without those that no limit asks about any more."""
    return (*(each for each in uses if each.at > use.at - REMEMBERED), use)


def give_back(uses: tuple[Use, ...], payment_id: UUID, amount_minor: int) -> tuple[Use, ...]:
    """So much of the payment's newest uses counts no more."""
    left, kept = amount_minor, []
    for use in reversed(uses):
        taken = min(left, use.amount_minor) if use.payment_id == payment_id else 0
        left -= taken
        if use.amount_minor > taken:
            kept.append(replace(use, amount_minor=use.amount_minor - taken))
    return tuple(reversed(kept))


def _measured(limits: CardLimits, uses: tuple[Use, ...], asked: Asked) -> Iterable[tuple[int | None, int, Reason]]:
    """(limit, what is used of it, what breaking it is called)"""
    now = asked.now.astimezone(UTC)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    month = day.replace(day=1)
    window = now - timedelta(seconds=limits.velocity_seconds or 0)
    yield limits.per_transaction_minor, asked.before_minor, Reason.OVER_TRANSACTION_LIMIT
    yield limits.per_day_minor, _since(uses, day), Reason.OVER_DAY_LIMIT
    yield limits.per_month_minor, _since(uses, month), Reason.OVER_MONTH_LIMIT
    if asked.cash:
        cash = tuple(each for each in uses if each.cash)
        yield limits.cash_per_transaction_minor, asked.before_minor, Reason.OVER_CASH_LIMIT
        yield limits.cash_per_day_minor, _since(cash, day), Reason.OVER_CASH_LIMIT
    if limits.velocity_seconds:
        yield limits.velocity_minor, _since(uses, window), Reason.OVER_VELOCITY


def _too_often(limits: CardLimits, uses: tuple[Use, ...], asked: Asked) -> bool:
    """One payment more than may be made within the window; more on one that was made is none more."""
    if limits.velocity_count is None or not limits.velocity_seconds:
        return False
    window = asked.now - timedelta(seconds=limits.velocity_seconds)
    others = {each.payment_id for each in uses if each.at > window} - {asked.payment_id}
    return len(others) >= limits.velocity_count


def _since(uses: Iterable[Use], start: datetime) -> int:
    return sum(each.amount_minor for each in uses if each.at >= start)
