"""The on-chain spending allowance, with the contract's own arithmetic (zodiac-modifier-roles, AllowanceTracker.sol).

Stored values change only on consumption or when the owner sets them; in between a reader must accrue by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.domain.values import replace

UINT128_MAX = 2**128 - 1


@dataclass(frozen=True)
class Allowance:
    """As the Roles modifier stores it. Amounts in raw units, times in Unix seconds; `max_refill` 0 was stored as uint128 max."""

    balance: int
    max_refill: int
    refill: int
    period_seconds: int
    timestamp: int

    def accrued(self, now: int) -> Allowance:
        """The allowance at `now`: whole periods since `timestamp` each add `refill`, up to `max_refill`."""
        if self.period_seconds == 0 or now < self.timestamp + self.period_seconds:
            return self
        periods = (now - self.timestamp) // self.period_seconds
        balance = self.balance
        if balance < self.max_refill:
            balance = min(balance + self.refill * periods, self.max_refill)
        return replace(self, balance=balance, timestamp=self.timestamp + periods * self.period_seconds)

    def consumed(self, amount: int, now: int) -> Allowance:
        """What is stored after a spend of `amount` at `now`; below zero never: the contract would have refused it."""
        accrued = self.accrued(now)
        return replace(accrued, balance=max(0, accrued.balance - amount))

    def next_refill(self, now: int) -> int | None:
        """When the next period begins, or None where nothing is ever added."""
        if self.period_seconds == 0 or self.refill == 0:
            return None
        return self.accrued(now).timestamp + self.period_seconds
