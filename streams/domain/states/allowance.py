"""The on-chain spending allowance, with the contract's own arithmetic (zodiac-modifier-roles, AllowanceTracker.sol).

Stored values change only on consumption or when the owner sets them; in between a reader must accrue by itself. Until a change by the owner
is final, a reorg may drop it, and every later one with it: which of them counts meanwhile, `Allowances` says.
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


@dataclass(frozen=True)
class Spent:
    """What a spend took from the allowance in a block, raw units."""

    block_number: int
    amount_raw: int


@dataclass(frozen=True)
class PendingAllowance:
    """What its owner set in a block that is not final: as the contract last stored it before the next was set, and what was spent until then."""

    block_number: int
    allowance: Allowance
    spends: tuple[Spent, ...] = ()


@dataclass(frozen=True)
class Allowances:
    """The final allowance, and each that its owner set since, oldest first, until its block is final or dropped.

    A reorg may leave any one of them, and what was spent after it may be spent again: so what counts is the least of them, each less
    what was spent since the next was set. With that a cut counts at once, and a raise when it is final.
    """

    final: Allowance
    pending: tuple[PendingAllowance, ...] = ()

    def newest(self) -> Allowance:
        """As the contract stores it at the head."""
        return self.pending[-1].allowance if self.pending else self.final

    def counting(self, now: int) -> Allowance:
        """The one that counts at `now` (Unix seconds), accrued, and less what was spent since; nothing where it would not cover that."""
        spent, left = 0, []
        for each in reversed(self.pending):
            left.append(each.allowance.consumed(spent, now))
            spent += sum(one.amount_raw for one in each.spends)
        left.append(self.final.consumed(spent, now))
        return min(left, key=lambda each: each.balance)

    def observed(self, cause: str, stored: Allowance, block_number: int, block_time: int) -> Allowances:
        """After an `AllowanceObserved` of that cause: the contract stores this at the block."""
        if cause == "set":
            return replace(self, pending=(*self.pending, PendingAllowance(block_number, stored)))
        standing = self.up_to(block_number) if cause in ("consumed", "unspent") else ()
        if not standing:
            return Allowances(stored)
        newest = standing[-1]
        spends = tuple(each for each in newest.spends if each.block_number <= block_number)
        if cause == "consumed":
            used = newest.allowance.accrued(block_time).balance - stored.balance
            spends = (*spends, Spent(block_number, used))
        return replace(self, pending=(*standing[:-1], replace(newest, allowance=stored, spends=spends)))

    def finalized(self, block_number: int) -> Allowances:
        """What was set up to this block is final."""
        done = self.up_to(block_number)
        return Allowances(done[-1].allowance, self.pending[len(done) :]) if done else self

    def up_to(self, block_number: int) -> tuple[PendingAllowance, ...]:
        """What was set up to this block, and is not final."""
        return tuple(each for each in self.pending if each.block_number <= block_number)
