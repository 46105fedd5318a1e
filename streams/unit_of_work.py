"""One transaction's decisions: orders are decided in turn, each on the streams as the one before left them, and appended together.

The heads of all streams that an order touches are locked before it is decided, so rivals queue instead of retrying against each other. Who has
much to decide decides it ahead, on streams that nobody holds; of that all stands, under the locks, whose streams have not moved meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from infra.database import Cursor
from infra.errors import UnknownType
from schemas.codec import Codec
from schemas.definition import Message
from streams.aggregates import State, evolve
from streams.domain import ids
from streams.domain.circumstances import Circumstances, Policy
from streams.domain.decisions import DECISIONS, Decision
from streams.event_store import store
from streams.event_store.recorded import NewEvent, category_of, new_event
from streams.event_store.store import NOWHERE, Head
from streams.known_states import KnownStates
from streams.orders import Order, Outcome, answer_to, answered, must_agree


@dataclass
class UnitOfWork:
    """`states`, `heads`: of the streams looked at, with what was decided on them; nothing of it is stored before `append`.

    `locking`: whether they are locked; a unit that does not lock only looks ahead, and never appends.
    """

    cursor: Cursor
    codec: Codec
    policy: Policy
    known: KnownStates
    locking: bool = True
    states: dict[UUID, State] = field(default_factory=dict)
    heads: dict[UUID, Head] = field(default_factory=dict)
    _before: dict[UUID, Head] = field(default_factory=dict)
    _locked: set[UUID] = field(default_factory=set)
    _asked: set[UUID] = field(default_factory=set)
    _born: set[UUID] = field(default_factory=set)
    _circumstances: Circumstances | None = None
    _orders: dict[UUID, Order] = field(default_factory=dict)
    _outcomes: dict[UUID, Outcome] = field(default_factory=dict)

    def lock(self, stream_ids: Iterable[UUID], orders: Sequence[Order] = ()) -> None:
        """Nobody else appends to these streams until the transaction ends; whichever of them does not exist is not held.

        `orders`: that will be decided on them, if nothing has moved; what was answered to these before is asked in the same question.
        """
        self._look(orders, set(stream_ids))

    def decide(self, orders: Sequence[Order], ahead: UnitOfWork | None = None) -> list[Outcome]:
        """An outcome for each order, none of it stored yet; of an order that comes twice in one call, the second is repeated.

        Raises CommandIdReused, UnknownType.

        `ahead`: has decided the same orders without a lock; of that, what still stands is kept.
        """
        must_agree([*self._orders.values(), *orders])
        fresh = {order.command_id: order for order in orders if order.command_id not in self._orders}
        if fresh:
            self._orders |= fresh
            concerned = _streams(fresh.values())
            circumstances = self._look(fresh.values(), concerned)
            foreseen = self._standing(fresh, concerned, ahead) if ahead else {}
            for command_id, order in fresh.items():
                if command_id not in self._outcomes:
                    self._outcomes[command_id] = foreseen.get(command_id) or self._decide(order, circumstances)
        outcomes = [self._outcomes[order.command_id] for order in orders]
        return outcomes if len(fresh) == len(orders) else _each_once(outcomes)

    def follow(self, before: UnitOfWork, orders: Sequence[Order]) -> None:
        """Before these orders are decided ahead: let every stream stand as `before` will leave it, which may not be stored yet.

        What was answered to the orders is not asked: whoever decides them under a lock asks.
        """
        theirs = _streams(before._orders.values()) & before.heads.keys()
        self._take(before, theirs)
        self._before, self._locked = dict(self.heads), theirs
        self._asked = {order.command_id for order in orders}

    def append(self) -> None:
        """Store all that was decided. Raises VersionConflict, TooLate; the caller's transaction must then be rolled back."""
        outcomes = [each for each in self._outcomes.values() if not each.repeated]
        if not outcomes:
            return
        events = [event for outcome in outcomes for event in outcome.events]
        answers = [answer_to(self._orders[each.command_id], each) for each in outcomes]
        deadlines = [each.not_after for each in outcomes if each.not_after]
        store.append(self.cursor, self.codec, events, answers, min(deadlines, default=None))
        for stream_id, last in {event.stream_id: event for event in events}.items():
            before, head = self._before.get(stream_id, NOWHERE).version, self.heads[stream_id]
            category, state = category_of(last.message), self.states[stream_id]
            self.cursor.once_committed(partial(self.known.remember, category, stream_id, before, head, state))

    def _look(self, orders: Iterable[Order], stream_ids: set[UUID]) -> Circumstances:
        """Locks what is not locked yet, and learns what was answered before, where there can be an answer."""
        wanted, asked = stream_ids - self._locked, [order for order in orders if self._may_be_answered(order)]
        if self._circumstances is not None and not wanted and not asked:
            return self._circumstances
        seen, known = self.known.look(self.cursor, wanted, [order.command_id for order in asked], lock=self.locking)
        self._locked |= wanted
        self._asked |= {order.command_id for order in asked}
        self._outcomes |= answered(asked, seen.answers)
        heads = {stream_id: of.head for stream_id, of in seen.streams.items()}
        self._before |= heads
        self.heads |= heads
        self.states |= self.known.states(self.cursor, seen, known)
        self._circumstances = Circumstances(seen.asked_at, seen.chain_time, seen.chain_age, self.policy)
        return self._circumstances

    def _may_be_answered(self, order: Order) -> bool:
        """Not what we have asked about; nor what an event leads to that was decided here: before it, nobody could have ordered that."""
        return order.command_id not in self._asked and order.cause.causation_id not in self._born

    def _standing(
        self, orders: Mapping[UUID, Order], concerned: set[UUID], ahead: UnitOfWork
    ) -> Mapping[UUID, Outcome]:
        """What was decided ahead, but for orders on a stream that has moved since, or that share a stream with such an order."""
        moved = {each for each in concerned if self._before.get(each) != ahead._before.get(each)}
        moved |= _streams(orders[command_id] for command_id in orders.keys() & self._outcomes.keys())
        standing: Mapping[UUID, Outcome] = ahead._outcomes
        if moved:
            reach = {command_id: _streams([order]) for command_id, order in orders.items()}
            while touched := [each for each in reach.values() if each & moved and not each <= moved]:
                moved = moved.union(*touched)
            standing = {each: standing[each] for each, streams in reach.items() if not streams & moved}
        self._take(ahead, ahead.heads.keys() & concerned - moved)
        return standing

    def _take(self, other: UnitOfWork, streams: Iterable[UUID]) -> None:
        """These streams stand as they do there."""
        self.states |= {each: other.states[each] for each in streams}
        self.heads |= {each: other.heads[each] for each in streams}

    def _decide(self, order: Order, circumstances: Circumstances) -> Outcome:
        decision = _decision(order.message)
        payment_id, account_id = decision.streams(order.message)
        of_payment, of_account = self._state(payment_id), self._state(account_id)
        deadline = getattr(order.message, "deadline", None) or (of_payment.deadline if of_payment else None)
        messages = decision.decide(order.message, of_payment, of_account, circumstances)
        events = self._placed(order, messages)
        not_after = deadline if decision.timely and events else None
        return Outcome(
            order.command_id, events, {"events": [str(event.event_id) for event in events]}, not_after=not_after
        )

    def _state(self, stream_id: UUID | None) -> State | None:
        return self.states.get(stream_id) if stream_id else None

    def _placed(self, order: Order, messages: Iterable[Message]) -> tuple[NewEvent, ...]:
        """Each at the next version of its stream, whose state moves on."""
        metadata = order.cause.metadata(type(order.message).__name__)
        placed = []
        for ordinal, message in enumerate(messages):
            stream_id = message.key
            version = self.heads.get(stream_id, NOWHERE).version + 1
            placed.append(event := new_event(ids.event_id(order.command_id, ordinal), version, message, metadata))
            self._born.add(event.event_id)
            self.states[stream_id] = evolve(category_of(message), self.states.get(stream_id), message)
            self.heads[stream_id] = Head(version, event.hash)
        return tuple(placed)


def _each_once(outcomes: list[Outcome]) -> list[Outcome]:
    """Who gives the same order a second time in one call is told as at any later time."""
    told: set[UUID] = set()
    for place, each in enumerate(outcomes):
        if each.command_id in told:
            outcomes[place] = each._replace(events=(), repeated=True)
        told.add(each.command_id)
    return outcomes


def _streams(orders: Iterable[Order]) -> set[UUID]:
    """All that their decisions may touch."""
    touched = {each for order in orders for each in _decision(order.message).streams(order.message)}
    return {each for each in touched if each}


def _decision(message: Any) -> Decision:
    try:
        return DECISIONS[type(message)]
    except KeyError:
        raise UnknownType(
            f"nobody decides {type(message).__name__}; it has no row in streams/domain/decisions.py"
        ) from None
