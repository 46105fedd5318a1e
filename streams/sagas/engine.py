"""Runs sagas: takes a payment's events in the stream's own order, under the saga's row lock, in the caller's transaction.

A saga's row says up to which version of the payment's stream it has taken events; a delivery is only a hint to look, so that
nothing is taken twice and no jump can be taken over. What a step orders leaves in the same commit as the step.

A hint may come too early: PostgreSQL's log tells of a commit before any other session sees it. So one that finds nothing waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from infra.database import Cursor
from infra.errors import NotFound, VersionConflict
from infra.failpoints import failpoint
from schemas.definition import Message
from streams.domain import ids
from streams.domain.circumstances import Policy
from streams.event_store import store
from streams.event_store.recorded import NewEvent, RecordedEvent
from streams.event_store.store import OutgoingCommand
from streams.sagas import rows
from streams.sagas.authorization import DEADLINE, EXPIRY, PATIENCE, react
from streams.sagas.rows import Due, Step, Stored

Send = Callable[[Cursor, Sequence[OutgoingCommand]], None]
Happened = tuple[RecordedEvent | NewEvent, Message]
"""An event of a payment's stream, and what it says."""
Decide = Callable[[Sequence[OutgoingCommand]], tuple[Sequence[Happened], Sequence[OutgoingCommand]]]
"""Orders -> the events of the payments' streams that they led to, and the orders that are for others."""
VISIBLE_SECONDS, PAUSE_SECONDS = 10.0, 0.005
"""How long a delivered event may take to be seen in W, and how often it is looked for."""


@dataclass(frozen=True)
class Engine:
    """The saga engine of a process. `send`: where orders go: the outbox, or straight to the command handler."""

    policy: Policy
    driver: str
    send: Send

    def deliver(self, cursor: Cursor, delivered: Mapping[UUID, Sequence[tuple[int, UUID]]]) -> None:
        """Events (version, event id) of payments arrived: take what no gateway's lease keeps for later. Raises NotFound for one that W has not."""
        stored = rows.lock(cursor, delivered, create=True)
        leased = {saga_id: delivered[saga_id] for saga_id, each in stored.items() if each.leased}
        rows.receive(cursor, leased)
        free = [each for each in stored.values() if not each.leased]
        self.advance(cursor, free, {each.saga.saga_id: max(delivered[each.saga.saga_id])[0] for each in free})

    def advance(self, cursor: Cursor, stored: Sequence[Stored], delivered: Mapping[UUID, int] | None = None) -> None:
        """Take every event that these sagas have not taken, and send what follows. `delivered`: up to which version there must be some."""
        if not stored:
            return
        found = _visible(cursor, stored, delivered or {})
        steps = [step for each in stored for step in take(each, found[each.saga.saga_id])]
        self._save(cursor, stored, steps, orders_of(steps))

    def follow(
        self, cursor: Cursor, stored: Sequence[Stored], events: Mapping[UUID, Sequence[Happened]], decide: Decide
    ) -> None:
        """Take events, by saga, whose orders are decided in this very transaction, and what comes of that, until nothing does; then save all of it.

        What `decide` leaves over goes out. A saga's events of each round must be its stream's next ones.
        """
        steps: list[Step] = []
        leaving: list[OutgoingCommand] = []
        while events:
            taken = [step for each in stored for step in _next(each, events.get(each.saga.saga_id, ()))]
            happened, left = decide(orders_of(taken))
            events = by_stream(happened)
            steps, leaving = [*steps, *taken], [*leaving, *left]
        self._save(cursor, stored, steps, leaving)

    def fire(self, cursor: Cursor, limit: int = 100) -> int:
        """Fire timeouts that are due by W's clock, then take the events that waited behind a lease. Gives how many fired."""
        due = rows.claim_due(cursor, limit)
        failpoint("timeout.after_claim")
        for stored, name in due:
            steps = [_step(stored, name, Due(name), None)]
            self._save(cursor, [stored], steps, orders_of(steps))
            self.advance(cursor, [stored])
        return len(due)

    def _save(
        self, cursor: Cursor, stored: Sequence[Stored], steps: Sequence[Step], leaving: Sequence[OutgoingCommand]
    ) -> None:
        rows.save(cursor, stored, steps, self.driver, self._delays())
        failpoint(f"{self.driver}.after_rows")
        self.send(cursor, leaving)

    def _delays(self) -> Mapping[str, timedelta | None]:
        """How long each timeout waits; the deadline is the payment's own."""
        return {DEADLINE: None, PATIENCE: self.policy.patience, EXPIRY: self.policy.hold_expiry}


def untaken(cursor: Cursor, stored: Sequence[Stored]) -> dict[UUID, list[Happened]]:
    """The events that sagas have not taken yet, by saga."""
    read = store.read_streams(cursor, {each.saga.saga_id: each.handled for each in stored})
    return {each.saga.saga_id: [] for each in stored} | by_stream((event, event.message()) for event in read)


def _visible(cursor: Cursor, stored: Sequence[Stored], delivered: Mapping[UUID, int]) -> dict[UUID, list[Happened]]:
    """As `untaken`, once all that was delivered is there to be seen. Raises NotFound."""
    until = time.monotonic() + VISIBLE_SECONDS
    while True:
        found = untaken(cursor, stored)
        there = {each.saga.saga_id: each.handled + len(found[each.saga.saga_id]) for each in stored}
        missing = [each for each, version in delivered.items() if there[each] < version]
        if not missing:
            return found
        if time.monotonic() > until:
            raise NotFound(
                f"payment {missing[0]} has no event {delivered[missing[0]]} in the event store, though it was delivered; "
                "was W restored? infra/runbooks/restore.md"
            )
        time.sleep(PAUSE_SECONDS)


def by_stream(happened: Iterable[Happened]) -> dict[UUID, list[Happened]]:
    """Each stream's events, in their order."""
    found: dict[UUID, list[Happened]] = {}
    for each in happened:
        found.setdefault(each[0].stream_id, []).append(each)
    return found


def _next(stored: Stored, events: Sequence[Happened]) -> list[Step]:
    """As `take`, of events that must be the stream's next ones. Raises VersionConflict."""
    if events and events[0][0].version != stored.handled + 1:
        raise VersionConflict(stored.saga.saga_id, stored.handled + 1, events[0][0].version)
    return take(stored, events)


def orders_of(steps: Sequence[Step]) -> list[OutgoingCommand]:
    """What the steps order, in their order."""
    return [order for step in steps for order in step.orders]


def take(stored: Stored, events: Iterable[Happened]) -> list[Step]:
    """A row of the table for each event, in order: the stored saga moves on in memory."""
    return [_step(stored, type(message).__name__, message, event) for event, message in events]


def _step(stored: Stored, name: str, message: Any, event: RecordedEvent | NewEvent | None) -> Step:
    """One row of the table: the stored saga moves on in memory."""
    before = stored.saga
    reaction = react(before, name, message)
    stored.saga, stored.ended = reaction.saga, reaction.ended
    stored.steps += 1
    if event is not None:
        stored.handled = event.version
        why = event.metadata
        stored.correlation_id, stored.traceparent = why["correlation_id"], why["traceparent"]
    cause = event.event_id if event is not None else ids.step_id(before.saga_id, f"{name}/{stored.steps}")
    orders = tuple(
        OutgoingCommand(
            command_id=ids.step_id(cause, type(order).__name__),
            message=order,
            traceparent=stored.traceparent,
            causation_id=cause,
            correlation_id=UUID(stored.correlation_id),
        )
        for order in reaction.orders
    )
    return Step(stored.steps, name, cause, before, reaction, orders, event.version if event is not None else None)
