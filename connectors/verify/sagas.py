"""Subject: sagas. Each payment has one, at its stream's end; every step is what the table says of the events and timeouts it took."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import MALFORMED, Context, Event, Subject
from streams.domain import ids
from streams.sagas.authorization import DEADLINE, EXPIRY, PATIENCE, react
from streams.sagas.rows import TYPE, Due
from streams.sagas.saga import Saga

SAGAS = """
SELECT saga_id, type, state, handled, data, lease_until, reason, correlation_id, traceparent, ended_at IS NOT NULL
FROM sagas ORDER BY saga_id
"""
SAGA = (
    "saga_id", "type", "state", "handled", "data", "lease_until", "reason", "correlation_id", "traceparent", "ended",
)  # fmt: skip
INBOX = "SELECT saga_id, version, event_id, state FROM saga_inbox ORDER BY saga_id, version"
STEPS = """
SELECT saga_id, step, input, input_id, from_state, to_state, commands, driver, taken_at FROM saga_steps ORDER BY saga_id, step
"""
STEP = ("saga_id", "step", "input", "input_id", "from_state", "to_state", "commands", "driver", "taken_at")
TIMEOUTS = "SELECT saga_id, name, due_at, state FROM saga_timeouts ORDER BY saga_id, name"
LOST = """
SELECT id FROM unnest(%s::uuid[]) AS ordered (id)
WHERE NOT EXISTS (SELECT 1 FROM command_answers AS a WHERE a.command_id = ordered.id AND a.type = %s)
  AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.id = ordered.id AND o.type = %s)
"""
NAMES = (DEADLINE, PATIENCE, EXPIRY)
DRIVERS = ("gateway", "sagas", "timeout", "operator")
OVERDUE = timedelta(seconds=30)
BATCH = 1000
Started = dict[str, tuple[str, datetime | None]]
"""Timeout's name -> (its state, when the step that started it was taken)"""


class Sagas(Subject):
    """Replays each saga's table over what its steps say they took."""

    def __init__(self, context: Context) -> None:
        self._context, self._findings = context, context.findings
        self._sagas, self._inbox, self._steps, self._timeouts = (
            _aligned(context, query, table, self._stray)
            for query, table in (
                (SAGAS, "sagas"),
                (INBOX, "saga_inbox"),
                (STEPS, "saga_steps"),
                (TIMEOUTS, "saga_timeouts"),
            )
        )
        (self._now,) = context.write.one("SELECT clock_timestamp()")
        self._history: list[Event] = []
        self._orders: dict[str, dict[UUID, str]] = {}

    def event(self, event: Event) -> None:
        """Keep the payment's history until it is whole."""
        if event.category == "payment":
            self._history.append(event)

    def end(self, stream_id: UUID, category: str) -> None:
        """The saga's rows against the payment's events."""
        if category != "payment":
            return
        self._findings.checked["sagas"] += 1
        history, self._history = self._history, []
        sagas, inbox, steps, timeouts = (
            each.take(stream_id) for each in (self._sagas, self._inbox, self._steps, self._timeouts)
        )
        if not sagas:
            self._findings.absent("sagas", stream_id, f"handled {history[-1].version}", "nobody manages this payment")
            return
        saga = dict(zip(SAGA, sagas[0], strict=True))
        self._in_box(stream_id, saga["handled"], history, inbox)
        replay = Replay(self, stream_id, history)
        for row in steps:
            replay.take(dict(zip(STEP, row, strict=True)))
        self._compare(saga, replay, history)
        self._due(stream_id, timeouts, replay)

    def finish(self) -> None:
        """Nothing is left over, and no order was lost."""
        for each in (self._sagas, self._inbox, self._steps, self._timeouts):
            each.rest()
        for kind in list(self._orders):
            self._ask_for_orders(kind)

    def differ(self, table: str, key: object, found: object, expected: object, about: str) -> None:
        """For the replay."""
        self._findings.differ(table, key, found, expected, about)

    def ordered(self, order: dict[str, Any], key: str) -> None:
        """A step ordered something: ask later whether it ever left."""
        self._findings.checked["saga orders"] += 1
        orders = self._orders.setdefault(order["type"], {})
        orders[UUID(order["id"])] = key
        if len(orders) >= BATCH:
            self._ask_for_orders(order["type"])

    def _ask_for_orders(self, kind: str) -> None:
        orders = self._orders.pop(kind)
        for (lost,) in self._context.write.rows(LOST, (list(orders), kind, kind)):
            about = (
                f"{kind} was ordered by saga step {orders[lost]} and stands neither in the outbox nor among the answers"
            )
            self._findings.absent("command_answers", lost, kind, about)

    def _in_box(self, saga_id: UUID, handled: int, history: list[Event], inbox: list[Row]) -> None:
        rows = {row[1]: row for row in inbox}
        for event in history[:handled]:
            row, key = rows.pop(event.version, None), f"{saga_id} {event.version}"
            if row is None:
                self._findings.absent("saga_inbox", key, event.type, "the saga took this event")
            else:
                found = {"event_id": row[2], "state": row[3]}
                expected = {"event_id": event.event_id, "state": "done"}
                self._findings.compare("saga_inbox", key, found, expected, "the saga took this event")
        known = {event.version: event.event_id for event in history}
        for version, row in rows.items():
            if row[3] != "pending" or known.get(version) != row[2]:
                self._findings.surplus(
                    "saga_inbox", f"{saga_id} {version}", row[3], "the saga has not taken such an event"
                )

    def _compare(self, saga: dict[str, Any], replay: Replay, history: list[Event]) -> None:
        """The row against the replayed steps, and these against the stream's end."""
        saga_id, told = saga["saga_id"], replay.saga
        if saga["handled"] != history[-1].version:
            about = "column handled: events of this payment wait for their saga"
            self._findings.differ("sagas", saga_id, saga["handled"], history[-1].version, about)
        last = replay.last_event
        metadata = last.metadata if last is not None and isinstance(last.metadata, dict) else {}
        expected = {
            "type": TYPE,
            "state": told.state,
            "handled": replay.handled,
            "data": told.data(),
            "reason": told.reason,
            "correlation_id": metadata.get("correlation_id"),
            "traceparent": metadata.get("traceparent"),
            "ended": replay.ended,
        }
        self._findings.compare("sagas", saga_id, saga, expected, "its steps say otherwise")
        if saga["state"] == "parked":
            self._findings.wait("sagas", saga_id, f"parked for a person: {saga['reason']}")

    def _due(self, saga_id: UUID, timeouts: list[Row], replay: Replay) -> None:
        expected = dict(replay.timeouts)
        # Started and cancelled in one save, a timeout leaves no row, or the row that it had.
        for name in [each for each, (state, _) in expected.items() if state == "cancelled"]:
            found = [row[3] for row in timeouts if row[1] == name]
            if not found or (found == ["fired"] and name in replay.fired):
                del expected[name]
                timeouts = [row for row in timeouts if row[1] != name]
        for _, name, due_at, state in timeouts:
            key = f"{saga_id} {name}"
            self._findings.checked["saga timeouts"] += 1
            if name not in expected:
                self._findings.surplus("saga_timeouts", key, state, "no step started it")
                continue
            wanted, started = expected.pop(name)
            self._findings.expect("saga_timeouts", key, state, wanted, "column state: the steps say otherwise")
            if name == DEADLINE:
                self._findings.expect(
                    "saga_timeouts", key, due_at, replay.saga.deadline, "column due_at: the payment's own"
                )
            elif started is not None and due_at < started:
                self._findings.differ(
                    "saga_timeouts", key, due_at, f"after {started}", "column due_at: before its start"
                )
            if state == "waiting" and due_at + OVERDUE < self._now:
                self._findings.differ(
                    "saga_timeouts", key, f"waiting since {due_at}", "fired", "past due: nobody fires it"
                )
        for name, (state, _) in expected.items():
            self._findings.absent("saga_timeouts", f"{saga_id} {name}", state, "a step started it")

    def _stray(self, table: str, row: Row) -> None:
        self._findings.surplus(table, f"{row[0]} {row[1]}", row[3], "W knows no such payment")


class Replay:
    """One saga, taken through its table again, input by input as its steps name them."""

    def __init__(self, sagas: Sagas, saga_id: UUID, history: list[Event]) -> None:
        self._sagas, self._history = sagas, history
        self.saga = Saga(saga_id)
        self.handled, self.number, self.ended = 0, 0, False
        self.timeouts: Started = {}
        self.fired: set[str] = set()
        self.last_event: Event | None = None

    def take(self, step: dict[str, Any]) -> None:
        """One recorded step: what the table says of its input must be what it says it did."""
        self.number += 1
        key = f"{self.saga.saga_id} {step['step']}"
        found = self._input(step, key)
        if found is None:
            return
        cause, message = found
        before = self.saga
        try:
            reaction = react(before, step["input"], message)
        except (*MALFORMED, AssertionError) as error:
            self._sagas.differ("saga_steps", key, repr(error), "a step of the table", "the saga cannot take this input")
            return
        self.saga, self.ended = reaction.saga, reaction.ended
        orders = [
            {"id": str(ids.step_id(cause, type(order).__name__)), "type": type(order).__name__}
            for order in reaction.orders
        ]
        expected = {
            "step": self.number,
            "input_id": cause,
            "from_state": before.state,
            "to_state": reaction.saga.state,
            "commands": orders,
        }
        for name, value in expected.items():
            if step[name] != value:
                self._sagas.differ("saga_steps", key, step[name], value, f"column {name}: the table says otherwise")
        if step["driver"] not in DRIVERS:
            self._sagas.differ("saga_steps", key, step["driver"], " or ".join(DRIVERS), "column driver")
        for order in orders:
            self._sagas.ordered(order, key)
        self._time(step, reaction.start, reaction.cancel)

    def _input(self, step: dict[str, Any], key: str) -> tuple[UUID, Any] | None:
        """(what caused the step, the message or timeout itself)"""
        if step["input"] in NAMES:
            state, started = self.timeouts.get(step["input"], ("never started", None))
            if state != "waiting":
                self._sagas.differ(
                    "saga_steps", key, step["input"], f"a waiting timeout, not one {state}", "column input"
                )
            self.timeouts[step["input"]] = ("fired", started)
            self.fired.add(step["input"])
            return ids.step_id(self.saga.saga_id, f"{step['input']}/{self.number}"), Due(step["input"])
        if self.handled >= len(self._history):
            self._sagas.differ(
                "saga_steps", key, step["input"], "no step", "the stream has no event left for this step"
            )
            return None
        event = self._history[self.handled]
        self.handled, self.last_event = event.version, event
        if step["input"] != event.type:
            about = f"column input: the stream's event {event.version} is another"
            self._sagas.differ("saga_steps", key, step["input"], event.type, about)
        if event.message is None:
            return None
        return event.event_id, event.message

    def _time(self, step: dict[str, Any], start: tuple[str, ...], cancel: tuple[str, ...]) -> None:
        for name in cancel:
            state, started = self.timeouts.get(name, ("", None))
            if state == "waiting":
                self.timeouts[name] = ("cancelled", started)
        for name in start:
            self.timeouts[name] = ("waiting", step["taken_at"])


def _aligned(context: Context, query: str, table: str, stray: Any) -> Aligned:
    rows: Iterator[Row] = context.write.stream(query)
    return Aligned(rows, lambda row: row[0], lambda row: stray(table, row))
