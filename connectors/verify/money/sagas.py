"""Subject: sagas. Each payment has one, at its stream's end; every step is what the table says of the events and timeouts it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from connectors.verify.money.replay import STEP, Orders, Replay, Started
from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import Context, Event, PaymentSubject
from streams.sagas.authorization import DEADLINE
from streams.sagas.rows import TYPE

SAGAS = """
SELECT saga_id, type, state, handled, data, reason, correlation_id, traceparent, ended_at IS NOT NULL, steps FROM sagas ORDER BY saga_id
"""
SAGA = ("saga_id", "type", "state", "handled", "data", "reason", "correlation_id", "traceparent", "ended", "steps")
INBOX = "SELECT saga_id, version, event_id, state FROM saga_inbox ORDER BY saga_id, version"
STEPS = f"SELECT {', '.join(STEP)} FROM saga_steps ORDER BY saga_id, step"
TIMEOUTS = "SELECT saga_id, name, due_at, state FROM saga_timeouts ORDER BY saga_id, name"
OVERDUE = timedelta(seconds=30)


class Sagas(PaymentSubject):
    """Replays each saga's table over what its steps say they took."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._findings, self._orders = context.findings, Orders(context)
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

    def payment(self, payment_id: UUID, history: Sequence[Event]) -> None:
        """The saga's rows against the payment's events."""
        self._findings.checked["sagas"] += 1
        sagas, inbox, steps, timeouts = (
            each.take(payment_id) for each in (self._sagas, self._inbox, self._steps, self._timeouts)
        )
        if not sagas:
            self._findings.absent("sagas", payment_id, f"handled {history[-1].version}", "nobody manages this payment")
            return
        saga = dict(zip(SAGA, sagas[0], strict=True))
        self._in_box(payment_id, saga["handled"], history, inbox)
        replay = Replay(self._findings, self._orders, payment_id, history)
        for row in steps:
            replay.take(dict(zip(STEP, row, strict=True)))
        replay.missing(saga["handled"])
        self._compare(saga, replay, history)
        self._due(payment_id, timeouts, replay)

    def finish(self) -> None:
        """Nothing is left over, and no order was lost."""
        for each in (self._sagas, self._inbox, self._steps, self._timeouts):
            each.rest()
        self._orders.ask()

    def _in_box(self, saga_id: UUID, handled: int, history: Sequence[Event], inbox: Sequence[Row]) -> None:
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
                key, about = f"{saga_id} {version}", "the saga has not taken such an event"
                self._findings.surplus("saga_inbox", key, row[3], about)

    def _compare(self, saga: dict[str, Any], replay: Replay, history: Sequence[Event]) -> None:
        """The row against the replayed steps, and these against the stream's end."""
        saga_id, told = saga["saga_id"], replay.saga
        if saga["handled"] != history[-1].version:
            about = "column handled: events of this payment wait for their saga"
            self._findings.differ("sagas", saga_id, saga["handled"], history[-1].version, about)
        expected = {
            "type": TYPE,
            "state": told.state,
            "handled": replay.handled,
            "data": told.data(),
            "reason": told.reason,
            "correlation_id": replay.correlation_id,
            "traceparent": replay.traceparent,
            "ended": replay.ended,
            "steps": replay.number,
        }
        self._findings.compare("sagas", saga_id, saga, expected, "its steps say otherwise")
        if saga["state"] == "parked":
            self._findings.wait("sagas", saga_id, f"parked for a person: {saga['reason']}")

    def _due(self, saga_id: UUID, timeouts: Sequence[Row], replay: Replay) -> None:
        expected: Started = dict(replay.timeouts)
        found = {name: (due_at, state) for _, name, due_at, state in timeouts}
        for name, (wanted, started) in expected.items():
            key = f"{saga_id} {name}"
            if name in found:
                self._timeout(key, found.pop(name), wanted, replay, name, started)
            elif wanted != "cancelled":  # started and cancelled in one save, a timeout leaves no row
                self._findings.absent("saga_timeouts", key, wanted, "a step started it")
        for name, (_, state) in found.items():
            self._findings.surplus("saga_timeouts", f"{saga_id} {name}", state, "no step started it")

    def _timeout(self, key: str, found: Any, wanted: str, replay: Replay, name: str, started: Any) -> None:
        due_at, state = found
        self._findings.checked["saga timeouts"] += 1
        if not (wanted == "cancelled" and state == "fired" and name in replay.fired):
            self._findings.expect("saga_timeouts", key, state, wanted, "column state: the steps say otherwise")
        if name == DEADLINE:
            self._findings.expect(
                "saga_timeouts", key, due_at, replay.saga.deadline, "column due_at: the payment's own"
            )
        elif wanted != "cancelled" and started is not None and due_at < started:
            # One that was cancelled in the save that started it left the row as an earlier one had it.
            about = "column due_at: before it was started"
            self._findings.differ("saga_timeouts", key, due_at, f"after {started}", about)
        if state == "waiting" and due_at + OVERDUE < self._now:
            about = "past due, and nobody fires it"
            self._findings.differ("saga_timeouts", key, f"waiting since {due_at}", "fired", about)

    def _stray(self, table: str, row: Row) -> None:
        self._findings.surplus(table, f"{row[0]} {row[1]}", row[3], "W knows no such payment")


def _aligned(context: Context, query: str, table: str, stray: Any) -> Aligned:
    rows: Iterator[Row] = context.write.stream(query)
    return Aligned(rows, lambda row: row[0], lambda row: stray(table, row))
