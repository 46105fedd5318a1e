"""What is known of a payment: its card leg, its amounts, its chain legs, and what follows from them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from streams.domain.reasons import Reason
from streams.domain.states import legs
from streams.domain.states.amounts import NO_AMOUNTS, Amount, Amounts
from streams.domain.states.legs import Leg

EMPTY: Mapping[Any, Any] = MappingProxyType({})
UNFIT = (Reason.ACCOUNT_UNKNOWN, Reason.CURRENCY_UNSUPPORTED)


@dataclass(frozen=True)
class Answer:
    """What a message of the network was told: DE39, and our reason where it was refused. A repeat is told the same."""

    response_code: str
    reason: str | None = None


@dataclass(frozen=True)
class Payment:
    """State of a payment, folded from its events. `answers`: by message and its id; `posted`, `refunds`, `disputes`: by the network's id.

    `taken_back`: the network reversed all of it, though we had not approved it.
    """

    payment_id: UUID
    account_id: UUID
    origin: str
    card: str
    amount_minor: int
    currency: str
    amount_raw: int
    decimals: int
    card_token: str | None
    mcc: str | None
    merchant_country: str | None
    deadline: datetime | None
    message: str = "authorization"
    transaction_type: str = "purchase"
    partial_approval: bool = False
    held_raw: int = 0
    hold_refused: bool = False
    verdict: str | None = None
    screening_reason: str | None = None
    reason: str | None = None
    response_code: str | None = None
    authorization_code: str | None = None
    approved_minor: int = 0
    spendable_minor: int | None = None
    taken_back: bool = False
    amounts: Amounts = NO_AMOUNTS
    written_off_raw: int = 0
    posted: Mapping[str, Amount] = field(default_factory=lambda: EMPTY)
    refunds: Mapping[str, Amount] = field(default_factory=lambda: EMPTY)
    disputes: Mapping[str, Amount] = field(default_factory=lambda: EMPTY)
    answers: Mapping[str, Answer] = field(default_factory=lambda: EMPTY)
    legs: Mapping[UUID, Leg] = field(default_factory=lambda: EMPTY)

    def leg(self, kind: str) -> Leg | None:
        """The payment's first leg of a kind, if it has one."""
        return next((leg for leg in self.legs.values() if leg.kind == kind), None)

    def answer(self, message: str, message_id: str) -> Answer | None:
        """What this message was told when it came first; None where it has not come."""
        return self.answers.get(f"{message}/{message_id}")

    @property
    def unfit(self) -> Reason | None:
        """Why nothing of this payment can be booked at all: there is no account for it, or none in its currency."""
        return next((each for each in UNFIT if self.card == "declined" and self.reason == each), None)

    @property
    def open(self) -> bool:
        """Nobody has answered yet."""
        return self.card == "requested"

    @property
    def due_raw(self) -> int:
        """What must have moved from the Safe to settlement, net. What is open only for a spend that a person closed need not."""
        closed = any(leg.closed for leg in self.legs.values())
        return self.amounts.due.raw - (self.amounts.open.raw if closed else 0)

    @property
    def receivable_raw(self) -> int:
        """What is due, and neither moved nor on its way: the holder owes it."""
        return max(0, self.due_raw - legs.net_raw(self.legs) - self.written_off_raw)

    @property
    def owed_back_raw(self) -> int:
        """What has moved, or is on its way, beyond what is due: we owe it to the holder."""
        return max(0, legs.net_raw(self.legs) - self.due_raw)
