"""What a saga remembers, and what a reaction is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from schemas.definition import Message
from streams.domain.values import replace

SavedLeg = tuple[str, str, int]
"""(kind, state, amount in raw units)"""
NO_LEGS: Mapping[str, SavedLeg] = MappingProxyType({})


@dataclass(frozen=True)
class Saga:
    """One payment's authorization saga. `outcome`: how the card leg stands; `cause`: what changed it last.

    `due_raw`: what must have moved for it, net; `legs`: what does. `owed_raw`: what cannot move any more and the holder owes;
    `written_off_raw`: what of that was given up.
    `given_up`: nobody waits for its spends any more. `parked_in`: where it stood when it was parked, and from where it goes on.
    """

    saga_id: UUID
    state: str = "new"
    account_id: UUID | None = None
    origin: str | None = None
    deadline: datetime | None = None
    outcome: str | None = None
    cause: str | None = None
    due_raw: int = 0
    owed_raw: int = 0
    written_off_raw: int = 0
    legs: Mapping[str, SavedLeg] = field(default_factory=lambda: NO_LEGS)
    reason: str | None = None
    parked_in: str | None = None
    given_up: bool = False

    def with_leg(self, leg_id: UUID, kind: str, state: str, amount_raw: int | None) -> Saga:
        """A leg has come to a state; its amount is known from the first word on it."""
        known = self.legs.get(str(leg_id))
        amount = known[2] if known else int(amount_raw or 0)
        return replace(self, legs=MappingProxyType({**self.legs, str(leg_id): (kind, state, amount)}))

    def any_leg(self, kind: str, *states: str) -> bool:
        """Whether a leg of the kind is in one of these states."""
        return any(each == kind and state in states for each, state, _ in self.legs.values())

    @property
    def net_raw(self) -> int:
        """What has moved, or will, from the Safe to settlement, less what goes back."""
        signs = {"spend": 1, "refund": -1}
        return sum(signs[kind] * amount for kind, state, amount in self.legs.values() if state != "ended_unpaid")

    def data(self) -> dict[str, Any]:
        """As it is stored, in JSON values, amounts as text; id and state have columns of their own."""
        return {
            each.name: _plain(getattr(self, each.name))
            for each in fields(self)
            if each.name not in ("saga_id", "state")
        }

    @classmethod
    def restored(cls, saga_id: UUID, state: str, data: dict[str, Any]) -> Saga:
        """The inverse of `data`."""
        known = {each.name for each in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        if values.get("account_id"):
            values["account_id"] = UUID(values["account_id"])
        if values.get("deadline"):
            values["deadline"] = datetime.fromisoformat(values["deadline"])
        values |= {name: int(values[name]) for name in ("due_raw", "owed_raw", "written_off_raw") if name in values}
        legs = {each: (kind, at, int(amount)) for each, (kind, at, amount) in values.pop("legs", {}).items()}
        return cls(saga_id=saga_id, state=state, legs=MappingProxyType(legs), **values)


@dataclass(frozen=True)
class Reaction:
    """What follows from an input: the saga as it is then, the orders it gives, the timeouts it starts and cancels."""

    saga: Saga
    orders: tuple[Message, ...]
    start: tuple[str, ...]
    cancel: tuple[str, ...]
    ended: bool


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: [kind, state, str(amount)] for name, (kind, state, amount) in value.items()}
    if isinstance(value, bool):
        return value
    return str(value) if isinstance(value, UUID | int) else value
