"""The low door of the event store: insert events with their outbox rows, select them again. Everything else stands on this.

All of it works in the caller's transaction, on a psycopg2 cursor: atomic with whatever else the caller writes, and nothing is kept
between two calls. It knows no message and no schema: a payload is a JSON object, a record the bytes that go to Kafka as they are.

    insert(cursor, entries)            -> positions, one an entry; raises VersionConflict, EventIdReused
    select_stream(cursor, stream_id)   -> one stream by version: gt, lte, descending, limit
    select_all(cursor, after=...)      -> all events by position: after or from, up_to, limit, types, categories, tags
    highest_position(cursor)           -> the position up to which all is read; 0: nothing is stored
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg2
import psycopg2.errors

from infra.database import Cursor
from infra.errors import Deadlocked, EventIdReused, Misconfigured, PayriverError, Retry, TooLate, VersionConflict
from streams.event_store.arrays import blobs, documents, numbers, texts, uuids
from streams.event_store.recorded import RecordedEvent

VERSION_CONFLICT, DEADLINE_PASSED, EVENT_ID_REUSED, NOT_READ_COMMITTED = "PR001", "PR002", "PR003", "PR004"
MAX_VERSION, MAX_POSITION = 2**31 - 1, 2**63 - 1

APPEND = """
SELECT append_events(
    %s::uuid[], %s::text[], %s::int[], %s::int[], %s::bytea[],
    %s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::text[], %s::smallint[], %s::bytea[], %s::jsonb, %s::jsonb,
    %s::text[], %s::bytea[],
    %s::uuid[], %s::text[], %s::bytea[], %s::jsonb, %s::jsonb, %s::timestamptz)
"""
COLUMNS = """
position, event_id::text, events.stream_id::text, version, category, type, schema_version, payload::text, metadata::text,
recorded_at::text, hash::text
"""
STREAM = f"SELECT {COLUMNS} FROM events WHERE events.stream_id = %s AND version > %s AND version <= %s ORDER BY version"
STREAMS = f"""
SELECT {COLUMNS} FROM events
INNER JOIN unnest(%s::uuid[], %s::int[]) AS wanted (id, known) ON events.stream_id = wanted.id AND version > wanted.known
ORDER BY events.stream_id, version
"""
ALL = f"SELECT {COLUMNS} FROM events WHERE position > %s AND position <= %s"
FILTERS = {
    "types": " AND type = ANY(%s::text[])",
    "categories": " AND category = ANY(%s::text[])",
    "tags": " AND tags_of(payload, metadata) @> %s::text[]",
}
HIGHEST = "SELECT coalesce(max(position), 0) FROM events WHERE position <= %s"


class Entry(NamedTuple):
    """An event as it is handed over. Its version is the expected one, counted on; `topic` and `record` are its outbox row.

    `hash` must be over all that the event says: it is what tells the same append again from another under the same ids.
    """

    event_id: UUID
    stream_id: UUID
    version: int
    category: str
    type: str
    schema_version: int
    payload: dict[str, Any]
    metadata: dict[str, Any]
    hash: bytes
    topic: str
    record: bytes


@dataclass(frozen=True)
class Filters:
    """Which of all events: of one of these types, of streams of one of these categories, with all of these tags. None: all."""

    types: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None

    @classmethod
    def of(cls, types: Iterable[str] | None, categories: Iterable[str] | None, tags: Iterable[str] | None) -> Filters:
        """From what a caller has at hand."""
        return cls(*(None if each is None else tuple(each) for each in (types, categories, tags)))

    def sql(self) -> tuple[str, tuple[list[str], ...]]:
        """Conditions and their values."""
        given = {name: wanted for name in FILTERS if (wanted := getattr(self, name)) is not None}
        return "".join(FILTERS[name] for name in given), tuple(list(wanted) for wanted in given.values())


class Answer(NamedTuple):
    """A command's answer, stored under its id: the same command twice gives the first answer."""

    command_id: UUID
    type: str
    business: Mapping[str, Any]
    fingerprint: bytes
    answer: Mapping[str, Any]


def insert(
    cursor: Cursor, entries: Sequence[Entry], answers: Sequence[Answer] = (), not_after: datetime | None = None
) -> list[int]:
    """Append over one or several streams, all or nothing, in one round trip; gives the positions, entry by entry.

    A stream's first entry says what is expected: version 1, that there is no stream; n, that it is at n - 1. The same entries again
    give the positions that they have. Raises VersionConflict when a stream is elsewhere, EventIdReused for an id that came before
    with other content, TooLate when the server's clock is past `not_after`, Retry when the same command is being appended just now.

    Heads are locked in one order. A stream that is new to the caller has none to lock yet: of rivals that make it and hold others besides,
    one may be ended by the server. Raises Deadlocked there.
    """
    ids, categories, expected, added, heads = _streams(entries)
    values = (
        uuids(ids), texts(categories), numbers(expected), numbers(added), blobs(heads),
        uuids([each.event_id for each in entries]),
        uuids([each.stream_id for each in entries]),
        numbers([each.version for each in entries]),
        texts([each.category for each in entries]),
        texts([each.type for each in entries]),
        numbers([each.schema_version for each in entries]),
        blobs([each.hash for each in entries]),
        documents([each.payload for each in entries]),
        documents([each.metadata for each in entries]),
        texts([each.topic for each in entries]),
        blobs([each.record for each in entries]),
        uuids([each.command_id for each in answers]),
        texts([each.type for each in answers]),
        blobs([each.fingerprint for each in answers]),
        documents([each.business for each in answers]),
        documents([each.answer for each in answers]),
        not_after,
    )  # fmt: skip
    try:
        cursor.execute(APPEND, values)
    except psycopg2.errors.UniqueViolation as error:
        raise _twice(error, answers) from error
    except psycopg2.Error as error:
        raise named(error) from error
    return list(cursor.fetchall()[0][0])


def select_stream(
    cursor: Cursor,
    stream_id: UUID,
    *,
    gt: int = 0,
    lte: int = MAX_VERSION,
    descending: bool = False,
    limit: int | None = None,
) -> list[RecordedEvent]:
    """The events of one stream with gt < version <= lte, by version: forwards or backwards, at most `limit`."""
    query = STREAM + (" DESC" if descending else "") + " LIMIT %s"
    return recorded(cursor, query, (stream_id, gt, lte, limit))


def select_streams(cursor: Cursor, known: dict[UUID, int]) -> list[RecordedEvent]:
    """The events of several streams after the version known of each, stream by stream in order."""
    return recorded(cursor, STREAMS, (uuids(known), numbers(known.values())))


def select_all(
    cursor: Cursor,
    *,
    after: int = 0,
    up_to: int = MAX_POSITION,
    limit: int | None = None,
    types: Iterable[str] | None = None,
    categories: Iterable[str] | None = None,
    tags: Iterable[str] | None = None,
    descending: bool = False,
) -> list[RecordedEvent]:
    """All events with after < position <= up_to, by position, that pass every filter: one of the types, one of the categories, all tags.

    None is ever skipped because its transaction committed late: what lies above the horizon is not read yet. The transaction must
    be READ COMMITTED; raises Misconfigured for another.
    """
    settled = min(up_to, horizon(cursor))
    chosen = Filters.of(types, categories, tags)
    return select_settled(cursor, after, settled, limit=limit, chosen=chosen, descending=descending)


def select_settled(
    cursor: Cursor,
    after: int,
    up_to: int,
    *,
    limit: int | None = None,
    chosen: Filters | None = None,
    descending: bool = False,
) -> list[RecordedEvent]:
    """The same for a caller that knows a horizon, asked for in an earlier statement, and reads no further than that."""
    conditions, values = chosen.sql() if chosen else ("", ())
    order = "position DESC" if descending else "position"
    return recorded(cursor, f"{ALL}{conditions} ORDER BY {order} LIMIT %s", (after, up_to, *values, limit))


def highest_position(cursor: Cursor) -> int:
    """The newest position that is read; 0 when nothing is stored."""
    cursor.execute(HIGHEST, (horizon(cursor),))
    return int(cursor.fetchall()[0][0])


def horizon(cursor: Cursor) -> int:
    """Up to which position the cursor's next statement sees everything that was ever appended: nothing can still come below it."""
    try:
        cursor.execute("SELECT read_horizon()")
    except psycopg2.Error as error:
        raise named(error) from error
    return int(cursor.fetchall()[0][0])


def named(error: psycopg2.Error) -> Exception:
    """The driver's error by the product's name for it, or itself where we have none."""
    detail, primary = error.diag.message_detail or "", error.diag.message_primary or ""
    if error.pgcode == VERSION_CONFLICT:
        stream_id, expected, actual = detail.split()
        return VersionConflict(stream_id, int(expected), int(actual))
    if error.pgcode == DEADLINE_PASSED:
        return TooLate(f"{primary}; nothing was appended")
    if error.pgcode == EVENT_ID_REUSED:
        return _reused(detail)
    if error.pgcode == NOT_READ_COMMITTED:
        return Misconfigured(f"{primary}: in an older snapshot a late commit could be missed")
    if isinstance(error, psycopg2.errors.DeadlockDetected):
        return Deadlocked("appends that make the same streams waited for each other, and this one gave way; again")
    return error


def _twice(error: psycopg2.Error, answers: Sequence[Answer]) -> PayriverError:
    """An event's id follows from its command's: with a command it is the command that came twice, without one the id was used again."""
    constraint = error.diag.constraint_name
    if answers:
        return Retry(f"the same command arrived twice at once ({constraint}); again, and the first answer is there")
    return _reused(error.diag.message_detail or str(constraint))


def _reused(event_id: str) -> EventIdReused:
    return EventIdReused(f"event {event_id} was appended before with other content; a new event needs a new id")


def _streams(entries: Sequence[Entry]) -> tuple[list[UUID], list[str], list[int], list[int], list[bytes]]:
    by_stream: dict[UUID, list[Entry]] = {}
    for entry in entries:
        before = by_stream.setdefault(entry.stream_id, [])
        if before and entry.version != before[-1].version + 1:
            raise VersionConflict(entry.stream_id, entry.version - 1, before[-1].version)
        before.append(entry)
    ordered = sorted(by_stream.items(), key=lambda each: each[0].int)
    return (
        [stream_id for stream_id, _ in ordered],
        [each[0].category for _, each in ordered],
        [each[0].version - 1 for _, each in ordered],
        [len(each) for _, each in ordered],
        [each[-1].hash for _, each in ordered],
    )


def recorded(cursor: Cursor, query: str, values: Sequence[Any]) -> list[RecordedEvent]:
    """What a query finds whose columns are COLUMNS."""
    cursor.execute(query, values)
    return made(cursor.fetchall())


def made(rows: Iterable[Sequence[Any]]) -> list[RecordedEvent]:
    """Events out of COLUMNS. They come as text, and values are made of it here: asking the driver takes half as long again."""
    loads = orjson.loads
    return [
        RecordedEvent(
            position,
            event_id,
            _repeated(stream_id),
            version,
            category,
            kind,
            schema_version,
            loads(payload),
            metadata,
            at,
            digest,
        )
        for position, event_id, stream_id, version, category, kind, schema_version, payload, metadata, at, digest in rows
    ]


_repeated = lru_cache(4096)(UUID)
"""A stream's id comes with each of its events."""
