"""The aggregates: what a stream of each category is folded into, by which function, and how often its state is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.definition import Message
from streams.domain import person
from streams.domain.states import account, payment

State = Any  # Account | Payment | Person


@dataclass(frozen=True)
class Aggregate:
    """`state`: a frozen dataclass; `evolve(state or None, message)`: the state after; `snapshot_every`: events between two snapshots."""

    state: type[Any]
    evolve: Callable[[Any, Message], Any]
    snapshot_every: int


AGGREGATES: Mapping[str, Aggregate] = {
    "payment": Aggregate(payment.Payment, payment.evolve, snapshot_every=100),  # few are ever as long as that
    "account": Aggregate(account.Account, account.evolve, snapshot_every=50),  # years of one customer's life
    "person": Aggregate(person.Person, person.evolve, snapshot_every=100),
}


def evolve(category: str, state: State | None, message: Message) -> State:
    """The state of a stream after one more event."""
    return AGGREGATES[category].evolve(state, message)


def fold(category: str, state: State | None, messages: Iterable[Message]) -> State | None:
    """The state after these events of one stream, in order."""
    step = AGGREGATES[category].evolve
    for message in messages:
        state = step(state, message)
    return state
