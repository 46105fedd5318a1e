"""The operator's side of parking: see what waits and why, let it be taken again in order, or end it with a reason.

Rules. Replay takes the whole key, from its first waiting message on, each in a transaction of its own through the same
handler as the consumer's; it stops at the first that fails, which is then the parked one. Discard ends one message; those
behind it stay queued, and are replayed by a replay of any message of the key. When none waits, the key flows again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Engine

from infra.database import Cursor, transaction
from infra.errors import BadInput, Conflict, NotFound, Stop
from infra.transient import is_transient
from streams.runtime.consumer import Handler, must_be_open
from streams.runtime.parked import ParkedMessage, describe, lock_key, reason_of
from streams.runtime.records import Record

log = structlog.get_logger(__name__)

WAITING = ("parked", "queued")
COLUMNS = """parked_id, consumer, topic_id, topic, partition, "offset", key, value, headers, timestamp_ms,
             state, reason, error, parked_at, ended_at, ended_by, end_reason"""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: how many messages were taken, and the one it stopped at, if any."""

    done: int
    stopped_at: ParkedMessage | None


def find(
    cursor: Cursor, *, consumer: str | None = None, states: Iterable[str] = WAITING, limit: int = 1000
) -> list[ParkedMessage]:
    """Messages in these states, in the order in which each key wants them."""
    cursor.execute(
        f"SELECT {COLUMNS} FROM parked_messages WHERE state = ANY(%s) AND consumer = coalesce(%s, consumer)"
        ' ORDER BY consumer, topic, key, partition, "offset" LIMIT %s',
        (list(states), consumer, limit),
    )
    return [_message(row) for row in cursor.fetchall()]


def show(cursor: Cursor, parked_id: uuid.UUID) -> ParkedMessage:
    """One message by its id. Raises NotFound."""
    cursor.execute(f"SELECT {COLUMNS} FROM parked_messages WHERE parked_id = %s", (parked_id,))
    if row := cursor.fetchone():
        return _message(row)
    raise NotFound(f"no parked message {parked_id}; `payriver parked list` shows those that wait")


def behind(cursor: Cursor, message: ParkedMessage) -> int:
    """How many later messages of its key wait behind this one."""
    cursor.execute(
        "SELECT count(*) FROM parked_messages WHERE consumer = %s AND topic_id = %s AND key = %s"
        " AND state IN ('parked', 'queued') AND \"offset\" > %s",
        (message.consumer, message.topic_id, message.record.key_text, message.record.offset),
    )
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def replay(engine: Engine, handler: Handler, parked_id: uuid.UUID, *, by: str) -> Replayed:
    """Take the message's whole key again, in order. Raises what is transient: run it again, what is done is done."""
    with transaction(engine) as cursor:
        asked = _waiting(cursor, parked_id)
    done = 0
    while True:
        message = None
        try:
            with transaction(engine) as cursor:
                message = _first(cursor, asked)
                if message is None:
                    return Replayed(done, None)
                handler.apply(cursor, [message.record])
                must_be_open(cursor)
                _end(cursor, message, "replayed", by, None)
        except Exception as error:  # the message stays parked, with what is wrong with it now
            if message is None or is_transient(error) or isinstance(error, Stop):
                raise
            log.error("replay_stopped", parked_id=str(message.parked_id), exc_info=error)
            return Replayed(done, _park_again(engine, message, error))
        done += 1


def discard(engine: Engine, parked_id: uuid.UUID, *, by: str, reason: str) -> ParkedMessage:
    """End the message without taking it, for a reason that is kept. Redelivered, it is dropped again."""
    if not reason.strip():
        raise BadInput("a discard wants a reason, for those who ask later why this message was never taken")
    with transaction(engine) as cursor:
        message = _waiting(cursor, parked_id)
        if (key := message.record.key_text) is not None:
            lock_key(cursor, message.consumer, key)
        _end(cursor, message, "discarded", by, reason)
        return show(cursor, parked_id)


def _waiting(cursor: Cursor, parked_id: uuid.UUID) -> ParkedMessage:
    message = show(cursor, parked_id)
    if message.state not in WAITING:
        raise Conflict(f"message {parked_id} was {message.state} by {message.ended_by} at {message.ended_at}")
    return message


def _first(cursor: Cursor, asked: ParkedMessage) -> ParkedMessage | None:
    """The first message of the key that still waits, with the key locked. A message without a key is a key of its own."""
    key = asked.record.key_text
    if key is not None:
        lock_key(cursor, asked.consumer, key)
    cursor.execute(
        f"SELECT {COLUMNS} FROM parked_messages WHERE consumer = %s AND topic_id = %s AND state IN ('parked', 'queued')"
        ' AND (key = %s OR parked_id = %s) ORDER BY "offset" LIMIT 1 FOR UPDATE',
        (asked.consumer, asked.topic_id, key, asked.parked_id),
    )
    row = cursor.fetchone()
    return _message(row) if row else None


def _end(cursor: Cursor, message: ParkedMessage, state: str, by: str, reason: str | None) -> None:
    cursor.execute(
        "UPDATE parked_messages SET state = %s, ended_at = clock_timestamp(), ended_by = %s, end_reason = %s"
        " WHERE parked_id = %s AND state IN ('parked', 'queued')",
        (state, by, reason, message.parked_id),
    )
    if cursor.rowcount != 1:
        raise Conflict(f"message {message.parked_id} was ended by somebody else just now; look again")


def _park_again(engine: Engine, message: ParkedMessage, error: Exception) -> ParkedMessage:
    with transaction(engine) as cursor:
        cursor.execute(
            "UPDATE parked_messages SET state = 'parked', reason = %s, error = %s"
            " WHERE parked_id = %s AND state IN ('parked', 'queued')",
            (reason_of(error), describe(error), message.parked_id),
        )
        return show(cursor, message.parked_id)


def _message(row: tuple[Any, ...]) -> ParkedMessage:
    parked_id, consumer, topic_id, topic, partition, offset, key, value, headers, timestamp_ms, *rest = row
    record = Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=None if key is None else key.encode(),
        value=None if value is None else bytes(value),
        headers=headers,
        timestamp_ms=timestamp_ms,
    )
    state, reason, error, parked_at, ended_at, ended_by, end_reason = rest
    at: tuple[datetime, datetime | None] = parked_at, ended_at
    return ParkedMessage(parked_id, consumer, topic_id, record, state, reason, error, *at, ended_by, end_reason)
