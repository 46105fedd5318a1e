"""load -> decide -> append: the one way anything happens to a payment or an account, whoever asks.

Orders of one call are decided in their order, each on the streams as the one before left them, and appended together in the
caller's transaction. The heads of all streams are locked first, so rivals queue instead of retrying against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from infra.database import Cursor
from infra.errors import UnknownType
from schemas.codec import Codec
from schemas.definition import Message
from streams.aggregates import AGGREGATES, State
from streams.domain import ids
from streams.domain.circumstances import Circumstances, Policy
from streams.domain.decisions import DECISIONS, Decision
from streams.event_store import store
from streams.event_store.look import Look
from streams.event_store.recorded import NewEvent, category_of, new_event
from streams.event_store.snapshotter import Snapshotter
from streams.event_store.store import Head
from streams.known_states import KnownStates, StateCache
from streams.orders import Order, Outcome, answer_to, answered, must_agree

EVOLVE = {category: aggregate.evolve for category, aggregate in AGGREGATES.items()}


@dataclass
class CommandHandler:
    """Decides orders on the event store. One for a process, for all its threads: what it keeps is its cache alone.

    `snapshotter`: keeps the states of long streams, in its own time; None: what others kept is used, and nothing is kept.
    """

    codec: Codec
    policy: Policy
    cache: StateCache = field(default_factory=StateCache)
    snapshotter: Snapshotter | None = None

    def handle(self, cursor: Cursor, orders: Sequence[Order]) -> list[Outcome]:
        """Decide and append, in the caller's transaction; gives an outcome for each order.

        Raises CommandIdReused, UnknownType, VersionConflict, TooLate; the caller's transaction must then be rolled back.
        """
        if not orders:
            return []
        must_agree(orders)
        wanted = {each for order in orders for each in _decision(order.message).streams(order.message) if each}
        seen, known = self._states.look(cursor, wanted, [order.command_id for order in orders], lock=True)
        outcomes = answered(orders, seen.answers)
        fresh = [order for order in orders if order.command_id not in outcomes]
        if fresh:
            outcomes |= self._decide_all(cursor, fresh, seen, self._states.states(cursor, seen, known))
        return [outcomes[order.command_id] for order in orders]

    def state(self, cursor: Cursor, stream_id: UUID) -> State | None:
        """A stream's present state, unlocked; None where there is no such stream."""
        return self.states(cursor, [stream_id]).get(stream_id)

    def states(self, cursor: Cursor, stream_ids: Sequence[UUID]) -> dict[UUID, State]:
        """The present states of those streams that there are, unlocked."""
        return self._states.states(cursor, *self._states.look(cursor, stream_ids))

    @property
    def _states(self) -> KnownStates:
        return KnownStates(self.cache, self.snapshotter)

    def _decide_all(
        self, cursor: Cursor, orders: Sequence[Order], seen: Look, states: dict[UUID, State]
    ) -> dict[UUID, Outcome]:
        circumstances = Circumstances(seen.asked_at, seen.chain_time, seen.chain_age, self.policy)
        before = {stream_id: of.head.version for stream_id, of in seen.streams.items()}
        versions = dict(before)
        outcomes: dict[UUID, Outcome] = {}
        for order in orders:
            if order.command_id not in outcomes:
                outcomes[order.command_id] = _decide(order, _decision(order.message), states, versions, circumstances)
        self._append(cursor, orders, outcomes)
        for event in (event for outcome in outcomes.values() for event in outcome.events):
            if event.version == versions[event.stream_id]:  # should this be rolled back, no head will have its hash
                head, state = Head(event.version, event.hash), states[event.stream_id]
                started = before.get(event.stream_id, 0)
                self._states.remember(category_of(event.message), event.stream_id, started, head, state)
        return outcomes

    def _append(self, cursor: Cursor, orders: Sequence[Order], outcomes: Mapping[UUID, Outcome]) -> None:
        events = [event for outcome in outcomes.values() for event in outcome.events]
        asked = {order.command_id: order.message for order in orders}
        answers = [answer_to(asked[each], outcome) for each, outcome in outcomes.items()]
        deadlines = [outcome.not_after for outcome in outcomes.values() if outcome.not_after]
        store.append(cursor, self.codec, events, answers, min(deadlines, default=None))


def _decide(
    order: Order,
    decision: Decision,
    states: dict[UUID, State],
    versions: dict[UUID, int],
    circumstances: Circumstances,
) -> Outcome:
    payment_id, account_id = decision.streams(order.message)
    of_payment = states.get(payment_id) if payment_id else None
    of_account = states.get(account_id) if account_id else None
    messages = decision.decide(order.message, of_payment, of_account, circumstances)
    metadata = order.cause.metadata(type(order.message).__name__)
    events = tuple(
        _place(order.command_id, ordinal, message, metadata, states, versions)
        for ordinal, message in enumerate(messages)
    )
    deadline = getattr(order.message, "deadline", None) or (of_payment.deadline if of_payment else None)
    not_after = deadline if decision.timely and events else None
    return Outcome(order.command_id, events, {"events": [str(event.event_id) for event in events]}, not_after=not_after)


def _place(
    command_id: UUID,
    ordinal: int,
    message: Message,
    metadata: dict[str, Any],
    states: dict[UUID, State],
    versions: dict[UUID, int],
) -> NewEvent:
    stream_id = message.key
    version = versions.get(stream_id, 0) + 1
    event = new_event(ids.event_id(command_id, ordinal), version, message, metadata)
    states[stream_id] = EVOLVE[category_of(message)](states.get(stream_id), message)
    versions[stream_id] = version
    return event


def _decision(message: Any) -> Decision:
    try:
        return DECISIONS[type(message)]
    except KeyError:
        raise UnknownType(
            f"nobody decides {type(message).__name__}; it has no row in streams/domain/decisions.py"
        ) from None
