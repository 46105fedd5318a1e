"""One saga taken through its table again, input by input as its recorded steps name them; and where its orders went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from connectors.verify.report import Findings
from connectors.verify.walk import MALFORMED, Context, Event
from schemas.definition import Message
from schemas.topics import CHAIN_COMMANDS
from streams.domain import ids
from streams.sagas.authorization import DEADLINE, EXPIRY, PATIENCE, react
from streams.sagas.rows import Due
from streams.sagas.saga import Saga

NAMES = (DEADLINE, PATIENCE, EXPIRY)
DRIVERS = ("gateway", "sagas", "timeout", "operator")
STEP = ("saga_id", "step", "input", "input_id", "from_state", "to_state", "commands", "driver", "taken_at")
ORDERED = """
SELECT ordered.id, coalesce(o.type, d.type), o.causation_id, o.correlation_id, o.traceparent, a.type, o.id IS NULL AND d.id IS NOT NULL
FROM unnest(%s::uuid[]) AS ordered (id) LEFT JOIN outbox AS o ON o.id = ordered.id
LEFT JOIN dropped_orders AS d ON d.id = ordered.id LEFT JOIN command_answers AS a ON a.command_id = ordered.id
"""
BATCH = 1000
Started = dict[str, tuple[str, datetime | None]]
"""Timeout's name -> (its state, when the step that started it was taken)"""


@dataclass(frozen=True, slots=True)
class Order:
    """What a step ordered, and by which way it must have gone: a gateway decides its orders to payments itself."""

    command_id: UUID
    kind: str
    step: str
    inline: bool
    causation_id: str
    correlation_id: str | None
    traceparent: str | None


@dataclass
class Orders:
    """Asks, a batch at a time, whether what was ordered ever left."""

    context: Context
    _waiting: dict[UUID, Order] = field(default_factory=dict)

    def add(self, order: Order) -> None:
        """Ask later."""
        self.context.findings.checked["saga orders"] += 1
        self._waiting[order.command_id] = order
        if len(self._waiting) >= BATCH:
            self.ask()

    def ask(self) -> None:
        """Ask now."""
        waiting, self._waiting = self._waiting, {}
        for command_id, kind, causation_id, correlation_id, traceparent, answered, dropped in self.context.write.rows(
            ORDERED, (list(waiting),)
        ):
            told = {"causation_id": causation_id, "correlation_id": correlation_id, "traceparent": traceparent}
            found = {} if dropped else told
            self._ask(waiting[command_id], kind, answered, found)

    def _ask(self, order: Order, kind: str | None, answered: str | None, found: dict[str, Any]) -> None:
        findings = self.context.findings
        table, left = ("command_answers", answered) if order.inline else ("outbox", kind)
        if left != order.kind:
            about = f"saga step {order.step} ordered it"
            findings.differ(table, order.command_id, left or "no row", order.kind, about)
        elif not order.inline:
            expected = {name: getattr(order, name) for name in found}
            about = f"saga step {order.step} says otherwise"
            findings.compare("outbox", order.command_id, found, expected, about)


class Replay:
    """The saga as its table makes it of the payment's events and of the timeouts that fired."""

    def __init__(self, findings: Findings, orders: Orders, saga_id: UUID, history: Sequence[Event]) -> None:
        self._findings, self._orders, self._history = findings, orders, history
        self.saga = Saga(saga_id)
        self.handled, self.number, self.ended = 0, 0, False
        self.timeouts: Started = {}
        self.fired: set[str] = set()
        self.correlation_id: str | None = None
        self.traceparent: str | None = None

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
            about = "the saga cannot take this input"
            self._findings.differ("saga_steps", key, repr(error), "a step of the table", about)
            return
        self.saga, self.ended = reaction.saga, reaction.ended
        orders = [self._order(order, step, cause, key) for order in reaction.orders]
        expected = {
            "step": self.number,
            "input_id": cause,
            "from_state": before.state,
            "to_state": reaction.saga.state,
            "commands": [{"id": str(each.command_id), "type": each.kind} for each in orders],
        }
        self._findings.compare("saga_steps", key, step, expected, "the saga's table says otherwise")
        if step["driver"] not in DRIVERS:
            self._findings.differ("saga_steps", key, step["driver"], " or ".join(DRIVERS), "column driver")
        for each in orders:
            self._orders.add(each)
        self._time(step, reaction.start, reaction.cancel)

    def missing(self, handled: int) -> None:
        """Events that the saga says it took, and no step tells of."""
        for event in self._history[self.handled : handled]:
            about = f"the saga took {event.type}, version {event.version}"
            self._findings.absent("saga_steps", f"{self.saga.saga_id} {self.number + 1}", event.type, about)

    def _input(self, step: dict[str, Any], key: str) -> tuple[UUID, Any] | None:
        """(what caused the step, the message or timeout itself)"""
        if step["input"] in NAMES:
            return self._timeout(step["input"], key)
        if self.handled >= len(self._history):
            about = "the stream has no event left for this step"
            self._findings.differ("saga_steps", key, step["input"], "no step", about)
            return None
        event = self._history[self.handled]
        self.handled += 1
        metadata = event.metadata if isinstance(event.metadata, dict) else {}
        self.correlation_id, self.traceparent = metadata.get("correlation_id"), metadata.get("traceparent")
        if step["input"] != event.type:
            about = f"column input: the stream's event {event.version} is another"
            self._findings.differ("saga_steps", key, step["input"], event.type, about)
        return None if event.message is None else (event.event_id, event.message)

    def _timeout(self, name: str, key: str) -> tuple[UUID, Any]:
        state, started = self.timeouts.get(name, ("never started", None))
        if state != "waiting":
            self._findings.differ("saga_steps", key, name, f"a waiting timeout, not one {state}", "column input")
        self.timeouts[name] = ("fired", started)
        self.fired.add(name)
        return ids.step_id(self.saga.saga_id, f"{name}/{self.number}"), Due(name)

    def _order(self, order: Message, step: dict[str, Any], cause: UUID, key: str) -> Order:
        kind = type(order).__name__
        inline = step["driver"] == "gateway" and order.topic != CHAIN_COMMANDS
        told = self.correlation_id or str(self.saga.saga_id), self.traceparent or ""
        return Order(ids.step_id(cause, kind), kind, key, inline, str(cause), *told)

    def _time(self, step: dict[str, Any], start: Sequence[str], cancel: Sequence[str]) -> None:
        for name in cancel:
            state, started = self.timeouts.get(name, ("", None))
            if state == "waiting":
                self.timeouts[name] = ("cancelled", started)
        for name in start:
            self.timeouts[name] = ("waiting", step["taken_at"])
