"""The event store: one SQL function appends a batch over one or several streams, its outbox rows and its command answers.

Everything here works in the caller's transaction, on a psycopg2 cursor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg2
import psycopg2.errors

from infra.database import Cursor
from infra.errors import Retry, TooLate, VersionConflict
from schemas.codec import Codec
from schemas.definition import Message
from streams.event_store.recorded import NewEvent, RecordedEvent, category_of

VERSION_CONFLICT, DEADLINE_PASSED = "PR001", "PR002"

APPEND = """
SELECT append_events(
    %s::uuid[], %s::text[], %s::int[], %s::int[], %s::bytea[],
    %s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::text[], %s::smallint[], %s::jsonb[], %s::jsonb[], %s::bytea[],
    %s::text[], %s::bytea[],
    %s::uuid[], %s::text[], %s::jsonb[], %s::bytea[], %s::jsonb[], %s::timestamptz)
"""
SEND = "SELECT send_commands(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[], %s::text[])"
LOCK = "SELECT stream_id, version, head_hash FROM lock_streams(%s::uuid[])"
COLUMNS = "position, event_id, stream_id, version, category, type, schema_version, payload, metadata, recorded_at, hash"
READ_STREAMS = f"""
SELECT {COLUMNS} FROM events
INNER JOIN unnest(%s::uuid[], %s::int[]) AS wanted (id, known) ON events.stream_id = wanted.id AND version > wanted.known
ORDER BY stream_id, version
"""
READ_STREAM = f"SELECT {COLUMNS} FROM events WHERE stream_id = %s AND version > %s AND version <= %s ORDER BY version"
READ_ALL = f"""
SELECT transaction_id::text::bigint, {COLUMNS} FROM events
WHERE (transaction_id, position) > (%s::text::xid8, %s) AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY transaction_id, position LIMIT %s
"""
MAX_VERSION = 2**31 - 1


@dataclass(frozen=True)
class Answer:
    """A command's answer, stored under its id: the same command twice gives the first answer."""

    command_id: UUID
    type: str
    business: dict[str, Any]
    fingerprint: bytes
    answer: dict[str, Any]


@dataclass(frozen=True)
class Head:
    """Where a stream stands; version 0: it does not exist yet."""

    version: int
    hash: bytes


@dataclass(frozen=True, order=True)
class Mark:
    """How far a reader of all events has come."""

    transaction_id: int
    position: int


START = Mark(0, 0)


@dataclass(frozen=True)
class OutgoingCommand:
    """An order to another component, through the outbox."""

    command_id: UUID
    message: Message
    traceparent: str
    causation_id: UUID
    correlation_id: UUID


def lock(cursor: Cursor, stream_ids: Iterable[UUID]) -> dict[UUID, Head]:
    """Lock the streams' heads until the transaction ends, in one order; a stream that does not exist is left out."""
    cursor.execute(LOCK, (sorted(stream_ids),))
    return {stream_id: Head(version, bytes(digest)) for stream_id, version, digest in cursor.fetchall()}


def read_streams(cursor: Cursor, known: dict[UUID, int]) -> list[RecordedEvent]:
    """The events of several streams after the version known of each, stream by stream in order."""
    cursor.execute(READ_STREAMS, (list(known), list(known.values())))
    return [_recorded(row) for row in cursor.fetchall()]


def read_stream(cursor: Cursor, stream_id: UUID, *, after: int = 0, up_to: int = MAX_VERSION) -> list[RecordedEvent]:
    """The events of one stream with after < version <= up_to, in order."""
    cursor.execute(READ_STREAM, (stream_id, after, up_to))
    return [_recorded(row) for row in cursor.fetchall()]


def read_all(cursor: Cursor, *, after: Mark = START, limit: int = 1000) -> list[tuple[Mark, RecordedEvent]]:
    """All events, each with the mark to go on from. None is ever skipped because its transaction committed late.

    The order is that of transactions, then of positions: a reader only sees transactions below the oldest that is still open,
    and all that will ever come later is above them. (By position alone a late commit could fall behind a reader.)
    """
    cursor.execute(READ_ALL, (str(after.transaction_id), after.position, limit))
    return [(Mark(row[0], row[1]), _recorded(row[1:])) for row in cursor.fetchall()]


def append(
    cursor: Cursor,
    codec: Codec,
    events: Sequence[NewEvent],
    answers: Sequence[Answer] = (),
    not_after: datetime | None = None,
) -> int | None:
    """Append all or nothing; gives the newest position. The versions in `events` are the expected ones, counted on.

    Raises VersionConflict when a stream has moved on, TooLate when the server's clock is past `not_after`.
    """
    ids, categories, expected, added, heads = _streams(events)
    values = (
        ids, categories, expected, added, heads,
        [event.event_id for event in events],
        [event.stream_id for event in events],
        [event.version for event in events],
        [category_of(event.message) for event in events],
        [type(event.message).__name__ for event in events],
        [event.message.schema_version for event in events],
        [orjson.dumps(event.payload).decode() for event in events],
        [orjson.dumps(event.metadata).decode() for event in events],
        [event.hash for event in events],
        [event.message.topic for event in events],
        [codec.encode(event.message) for event in events],
        [answer.command_id for answer in answers],
        [answer.type for answer in answers],
        [orjson.dumps(answer.business).decode() for answer in answers],
        [answer.fingerprint for answer in answers],
        [orjson.dumps(answer.answer).decode() for answer in answers],
        not_after,
    )  # fmt: skip
    try:
        cursor.execute(APPEND, values)
    except psycopg2.Error as error:
        raise _named(error) from error
    row = cursor.fetchone()
    return row[0] if row else None


def send(cursor: Cursor, codec: Codec, commands: Sequence[OutgoingCommand]) -> None:
    """Put orders to other components in the outbox, in the caller's transaction."""
    if not commands:
        return
    cursor.execute(
        SEND,
        (
            [each.command_id for each in commands],
            [each.message.topic for each in commands],
            [str(each.message.key) for each in commands],
            [type(each.message).__name__ for each in commands],
            [codec.encode(each.message) for each in commands],
            [each.traceparent for each in commands],
            [str(each.causation_id) for each in commands],
            [str(each.correlation_id) for each in commands],
        ),
    )


def _streams(events: Sequence[NewEvent]) -> tuple[list[UUID], list[str], list[int], list[int], list[bytes]]:
    by_stream: dict[UUID, list[NewEvent]] = {}
    for event in events:
        by_stream.setdefault(event.stream_id, []).append(event)
    ordered = sorted(by_stream.items())
    return (
        [stream_id for stream_id, _ in ordered],
        [category_of(each[0].message) for _, each in ordered],
        [each[0].version - 1 for _, each in ordered],
        [len(each) for _, each in ordered],
        [each[-1].hash for _, each in ordered],
    )


def _named(error: psycopg2.Error) -> Exception:
    if error.pgcode == VERSION_CONFLICT:
        stream_id, expected, actual = (error.diag.message_detail or "").split()
        return VersionConflict(stream_id, int(expected), int(actual))
    if error.pgcode == DEADLINE_PASSED:
        return TooLate(f"{error.diag.message_primary}; nothing was appended")
    if isinstance(error, psycopg2.errors.UniqueViolation):
        return Retry(
            f"the same command arrived twice at once ({error.diag.constraint_name}); again, and the first answer is there"
        )
    return error


def _recorded(row: tuple[Any, ...]) -> RecordedEvent:
    told: list[Any] = [*row[:-1], bytes(row[-1])]
    return RecordedEvent(*told)
