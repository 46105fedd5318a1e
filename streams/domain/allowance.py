"""The on-chain spending allowance, with the contract's own arithmetic (zodiac-modifier-roles, AllowanceTracker.sol).

Stored values change only on consumption or when the owner sets them; in between a reader must accrue by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.domain.values import replace

UINT64_MAX, UINT128_MAX = 2**64 - 1, 2**128 - 1


@dataclass(frozen=True)
class Allowance:
    """As the Roles modifier stores it. Amounts in raw units, times in Unix seconds; `max_refill` 0 was stored as uint128 max."""

    balance: int
    max_refill: int
    refill: int
    period_seconds: int
    timestamp: int

    def accrued(self, now: int) -> Allowance:
        """The allowance at `now`: whole periods since `timestamp` each add `refill`, up to `max_refill`.

        Where its numbers do not hold that (uint128; uint64 for times), also before the maximum is applied, the contract refuses every spend until
        its owner sets another limit: nothing may be spent.
        """
        if self.period_seconds == 0:
            return self
        if self.timestamp + self.period_seconds > UINT64_MAX:
            return replace(self, balance=0)
        if now < self.timestamp + self.period_seconds:
            return self
        periods = (now - self.timestamp) // self.period_seconds
        balance = self.balance
        if balance < self.max_refill:
            balance += self.refill * periods
            balance = min(balance, self.max_refill) if balance <= UINT128_MAX else 0
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
