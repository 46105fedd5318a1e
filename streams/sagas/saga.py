"""What a saga remembers, and what a reaction is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.definition import Message


@dataclass(frozen=True)
class Saga:
    """One payment's authorization saga. `spend`, `refund`: how far its chain legs are; `outcome`: what was decided.
    `given_up`: nobody waits for the spend any more.

    `parked_in`: where it stood when it was parked, and from where it goes on.
    """

    saga_id: UUID
    state: str = "new"
    account_id: UUID | None = None
    origin: str | None = None
    deadline: datetime | None = None
    outcome: str | None = None
    spend: str | None = None
    refund: str | None = None
    reason: str | None = None
    parked_in: str | None = None
    given_up: bool = False

    def data(self) -> dict[str, Any]:
        """As it is stored, in JSON values; id and state have columns of their own."""
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
        return cls(saga_id=saga_id, state=state, **values)


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
    return str(value) if isinstance(value, UUID) else value
