"""The payment's amounts: how much was approved, is still open, was captured, given back. Integers, in minor and in raw units."""

from __future__ import annotations

from dataclasses import dataclass

from streams.domain.values import replace


@dataclass(frozen=True)
class Amount:
    """One amount twice: minor units of the billing currency, and raw token units. A spend seen on chain may have dust in `raw`."""

    minor: int = 0
    raw: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.minor + other.minor, self.raw + other.raw)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.minor - other.minor, self.raw - other.raw)


NOTHING = Amount()


@dataclass(frozen=True)
class Amounts:
    """`authorized`: all that was ever approved. `open`: of that, what is neither captured nor given back. The rest is net of corrections."""

    authorized: Amount = NOTHING
    open: Amount = NOTHING
    captured: Amount = NOTHING
    refunded: Amount = NOTHING
    credited: Amount = NOTHING

    @property
    def due(self) -> Amount:
        """What must have moved from the Safe to settlement, net, for the card leg to be covered; below zero where we owe."""
        return self.open + self.captured - self.refunded - self.credited

    def approve(self, amount: Amount) -> Amounts:
        """More was approved."""
        return replace(self, authorized=self.authorized + amount, open=self.open + amount)

    def give_back(self, amount: Amount) -> Amounts:
        """A part of what is open is the holder's again."""
        return replace(self, open=self.open - amount)

    def capture(self, amount: Amount, *, final: bool) -> Amounts:
        """A presentment: taken from what is open as far as that reaches. After a final one nothing is open."""
        open_ = NOTHING if final or amount.raw >= self.open.raw else self.open - amount
        return replace(self, open=open_, captured=self.captured + amount)

    def correct(self, amount: Amount) -> Amounts:
        """A presentment was taken back."""
        return replace(self, captured=self.captured - amount)

    def refund(self, amount: Amount) -> Amounts:
        """The merchant gave back."""
        return replace(self, refunded=self.refunded + amount)

    def take_refund_back(self, amount: Amount) -> Amounts:
        """A refund was reversed."""
        return replace(self, refunded=self.refunded - amount)

    def credit(self, amount: Amount) -> Amounts:
        """A provisional credit of a dispute."""
        return replace(self, credited=self.credited + amount)

    def take_credit_back(self, amount: Amount) -> Amounts:
        """The dispute was lost."""
        return replace(self, credited=self.credited - amount)


NO_AMOUNTS = Amounts()
