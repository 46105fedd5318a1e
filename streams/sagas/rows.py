"""The sagas' tables: locked in one order, written in bulk. Every function works in the caller's transaction, by W's clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from infra.database import Cursor
from streams.event_store.store import OutgoingCommand
from streams.sagas.saga import Reaction, Saga

TYPE = "authorization"

CREATE = """
INSERT INTO sagas (saga_id, type, state, handled, data)
SELECT id, %s, 'new', 0, '{}' FROM unnest(%s::uuid[]) AS wanted (id) ORDER BY id ON CONFLICT DO NOTHING
"""
COLUMNS = """
s.saga_id, s.state, s.handled, s.data, s.correlation_id, s.traceparent,
coalesce(s.lease_until > clock_timestamp(), false), s.steps
"""
LOCK = f"SELECT {COLUMNS} FROM sagas AS s WHERE s.saga_id = ANY(%s::uuid[]) ORDER BY s.saga_id FOR UPDATE"
LEASE = "UPDATE sagas SET lease_until = %s WHERE saga_id = %s"
OPEN_LEASED = "INSERT INTO sagas (saga_id, type, state, handled, data, lease_until) VALUES (%s, %s, 'new', 0, '{}', %s)"
PENDING = """
INSERT INTO saga_inbox (saga_id, version, event_id, state) VALUES %s ON CONFLICT (saga_id, version) DO NOTHING
"""
TAKEN = """
INSERT INTO saga_inbox (saga_id, version, event_id, state) VALUES %s
ON CONFLICT (saga_id, version) DO UPDATE SET state = 'done'
"""
UPDATE = """
UPDATE sagas SET state = new.state, handled = new.handled, steps = new.steps, data = new.data::jsonb, reason = new.reason,
    correlation_id = new.correlation_id, traceparent = new.traceparent, changed_at = clock_timestamp(),
    ended_at = CASE WHEN new.ended THEN clock_timestamp() END, lease_until = CASE WHEN new.leased THEN sagas.lease_until END
FROM (VALUES %s) AS new (saga_id, state, handled, steps, data, reason, correlation_id, traceparent, ended, leased)
WHERE sagas.saga_id = new.saga_id
"""
HISTORY = """
INSERT INTO saga_steps (saga_id, step, input, input_id, from_state, to_state, commands, driver) VALUES %s
"""
START = """
INSERT INTO saga_timeouts (saga_id, name, due_at, state) VALUES %s
ON CONFLICT (saga_id, name) DO UPDATE SET due_at = excluded.due_at, state = 'waiting'
"""
CANCEL = """
UPDATE saga_timeouts AS t SET state = 'cancelled' FROM (VALUES %s) AS c (saga_id, name)
WHERE t.saga_id = c.saga_id AND t.name = c.name AND t.state = 'waiting'
"""
DUE = f"""
SELECT t.name, {COLUMNS} FROM sagas AS s INNER JOIN saga_timeouts AS t ON t.saga_id = s.saga_id
WHERE t.state = 'waiting' AND t.due_at <= clock_timestamp()
  AND (s.lease_until IS NULL OR s.lease_until <= clock_timestamp())
ORDER BY t.due_at LIMIT %s FOR UPDATE OF s SKIP LOCKED
"""
FIRED = """
UPDATE saga_timeouts SET state = 'fired'
WHERE saga_id = %s AND name = %s AND state = 'waiting' AND due_at <= clock_timestamp()
"""


@dataclass
class Stored:
    """A saga's row while it is locked: moves on in memory, is saved once. `leased`: to a gateway; false gives it back when it is saved."""

    saga: Saga
    handled: int
    correlation_id: str
    traceparent: str
    leased: bool
    steps: int
    ended: bool = False


@dataclass(frozen=True)
class Due:
    """A timeout that fired, as an input of the saga."""

    name: str


@dataclass(frozen=True)
class Step:
    """One row of the saga's table as it was taken: for the record, and what it sends."""

    number: int
    input: str
    input_id: UUID
    before: Saga
    reaction: Reaction
    orders: tuple[OutgoingCommand, ...]
    version: int | None = None


def lock(cursor: Cursor, saga_ids: Collection[UUID], *, create: bool = False) -> dict[UUID, Stored]:
    """The sagas' rows, locked until the transaction ends; `create`: those of payments nobody has met yet, too."""
    wanted = list(saga_ids)
    if create:
        cursor.postpone(CREATE, (TYPE, wanted))
    cursor.execute(LOCK, (wanted,))
    return {row[0]: _stored(row) for row in cursor.fetchall()}


def lease(cursor: Cursor, saga_id: UUID, until: datetime) -> Stored:
    """The saga of a payment that somebody has met before, locked, and given to the caller until then."""
    stored = lock(cursor, [saga_id], create=True)[saga_id]
    cursor.postpone(LEASE, (until, saga_id))
    stored.leased = True
    return stored


def open_leased(cursor: Cursor, saga_id: UUID, until: datetime) -> Stored:
    """The saga of a payment whose first event is being decided here, given to the caller until then. A rival's is told at the append, as Retry."""
    cursor.postpone(OPEN_LEASED, (saga_id, TYPE, until))
    return _stored((saga_id, "new", 0, {}, None, None, True, 0))


def receive(cursor: Cursor, delivered: Mapping[UUID, Sequence[tuple[int, UUID]]]) -> None:
    """Keep events whose saga a gateway is driving; they are taken when its lease ends."""
    found = [
        (saga_id, version, event_id, "pending") for saga_id, each in delivered.items() for version, event_id in each
    ]
    cursor.postpone_values(PENDING, found)


def claim_due(cursor: Cursor, limit: int) -> list[tuple[Stored, str]]:
    """Timeouts that are due and whose saga nobody drives, marked fired; rows that others hold are passed over.

    A saga may have moved between the look and its lock: what was cancelled, fired or started anew meanwhile is left alone.
    """
    cursor.execute(DUE, (limit,))
    found: dict[UUID, tuple[Stored, str]] = {}
    for name, *row in cursor.fetchall():
        if row[0] in found:  # a saga's second timeout waits for the next claim: it must see what the first one did
            continue
        cursor.execute(FIRED, (row[0], name))
        if cursor.rowcount:
            found[row[0]] = (_stored(row), name)
    return list(found.values())


def save(
    cursor: Cursor, stored: Sequence[Stored], steps: Sequence[Step], driver: str, delays: Mapping[str, timedelta | None]
) -> None:
    """Write what the steps changed: the sagas, their inbox, history and timeouts; with the transaction's next statement."""
    if not steps:
        return
    moved = {step.before.saga_id for step in steps}
    taken = [(step.before.saga_id, step.version, step.input_id, "done") for step in steps if step.version is not None]
    cursor.postpone_values(UPDATE, [_row(each) for each in stored if each.saga.saga_id in moved])
    cursor.postpone_values(HISTORY, [_history(step, driver) for step in steps])
    cursor.postpone_values(TAKEN, taken)
    _move_timeouts(cursor, steps, delays)


def _move_timeouts(cursor: Cursor, steps: Sequence[Step], delays: Mapping[str, timedelta | None]) -> None:
    """Timeouts in the order of the steps: the last word on each name counts."""
    last: dict[tuple[UUID, str], Step | None] = {}
    for step in steps:
        last |= {(step.before.saga_id, name): None for name in step.reaction.cancel}
        last |= {(step.before.saga_id, name): step for name in step.reaction.start}
    cancelled = [key for key, step in last.items() if step is None]
    started = [(*key, *_due(step.reaction.saga, delays[key[1]])) for key, step in last.items() if step is not None]
    cursor.postpone_values(CANCEL, cancelled)
    cursor.postpone_values(START, started, "(%s, %s, coalesce(%s, clock_timestamp() + %s), 'waiting')")


def _due(saga: Saga, delay: timedelta | None) -> tuple[datetime | None, timedelta | None]:
    return (saga.deadline, timedelta(0)) if delay is None else (None, delay)


def _row(stored: Stored) -> tuple[Any, ...]:
    saga = stored.saga
    data = orjson.dumps(saga.data()).decode()
    return (
        saga.saga_id, saga.state, stored.handled, stored.steps, data, saga.reason, stored.correlation_id,
        stored.traceparent, stored.ended, stored.leased,
    )  # fmt: skip


def _history(step: Step, driver: str) -> tuple[Any, ...]:
    commands = [{"id": str(order.command_id), "type": type(order.message).__name__} for order in step.orders]
    return (
        step.before.saga_id, step.number, step.input, step.input_id, step.before.state, step.reaction.saga.state,
        orjson.dumps(commands).decode(), driver,
    )  # fmt: skip


def _stored(row: Sequence[Any]) -> Stored:
    saga_id, state, handled, data, correlation_id, traceparent, leased, steps = row
    return Stored(
        saga=Saga.restored(saga_id, state, data),
        handled=handled,
        correlation_id=correlation_id or str(saga_id),
        traceparent=traceparent or "",
        leased=leased,
        steps=steps,
    )
