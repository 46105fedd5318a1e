"""The event store as the product speaks to it: messages in, events out. The low door beneath it is recorder.py.

Everything here works in the caller's transaction, on its cursor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from infra.database import Cursor
from infra.errors import Deadlocked, EventIdReused, VersionConflict
from schemas.codec import Codec
from schemas.definition import Message
from streams.event_store import recorder
from streams.event_store.arrays import uuids
from streams.event_store.recorded import NewEvent, RecordedEvent, category_of, new_event
from streams.event_store.recorder import MAX_POSITION, Answer, Entry, Filters

SEND = "SELECT send_commands(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[], %s::text[])"
MAX_VERSION = recorder.MAX_VERSION
BY_IDS = f"SELECT {recorder.COLUMNS} FROM events WHERE event_id = ANY(%s::uuid[])"
LOCK = "SELECT stream_id, version, head_hash FROM lock_streams(%s::uuid[])"


class Head(NamedTuple):
    """Where a stream stands."""

    version: int
    hash: bytes


NOWHERE = Head(0, b"")
"""Of a stream that does not exist."""


@dataclass(frozen=True)
class Draft:
    """An event whose place in its stream is not known yet: for `append_any`."""

    event_id: UUID
    message: Message
    metadata: dict[str, Any]


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
    return recorder.select_streams(cursor, known)


def read_stream(
    cursor: Cursor,
    stream_id: UUID,
    *,
    after: int = 0,
    up_to: int = MAX_VERSION,
    backwards: bool = False,
    limit: int | None = None,
) -> list[RecordedEvent]:
    """The events of one stream with after < version <= up_to, in order or backwards, at most `limit`."""
    return recorder.select_stream(cursor, stream_id, gt=after, lte=up_to, descending=backwards, limit=limit)


def read_all(
    cursor: Cursor,
    *,
    after: int = 0,
    up_to: int = MAX_POSITION,
    inclusive: bool = False,
    limit: int | None = 1000,
    types: Iterable[str] | None = None,
    categories: Iterable[str] | None = None,
    tags: Iterable[str] | None = None,
    backwards: bool = False,
) -> list[RecordedEvent]:
    """All events by position, after the one given (`inclusive`: from it on), that pass every filter given.

    `types`, `categories`: one of them. `tags`: all of them, as `account:`, `payment:`, `card:`, `tx:` or `correlation:` and the value.

    Whoever goes on from the last position read is told every event once, in the one order that all readers see: positions grow along
    every stream, and none is ever skipped because its transaction committed late. Numbers are missing where an append was rolled back.
    """
    start = after - 1 if inclusive else after
    settled = min(up_to, recorder.horizon(cursor))
    chosen = Filters.of(types, categories, tags)
    return recorder.select_settled(cursor, start, settled, limit=limit, chosen=chosen, descending=backwards)


def append(
    cursor: Cursor,
    codec: Codec,
    events: Sequence[NewEvent],
    answers: Sequence[Answer] = (),
    not_after: datetime | None = None,
) -> list[int]:
    """Append all or nothing; gives the positions. The versions in `events` are the expected ones, counted on.

    Raises VersionConflict when a stream has moved on, EventIdReused for an id that came before with other content, TooLate when the
    server's clock is past `not_after`. The same events again give the first append's positions.
    """
    return recorder.insert(cursor, [entry(codec, event) for event in events], answers, not_after)


def append_any(
    cursor: Cursor,
    codec: Codec,
    drafts: Sequence[Draft],
    answers: Sequence[Answer] = (),
    not_after: datetime | None = None,
) -> list[int]:
    """Append at whatever version the streams are, new or not: what is true whatever was said before. Gives the positions.

    One question more than `append`: an event's hash covers its version, so the heads are locked first. Drafts that were all appended
    before give the positions that they have. Raises EventIdReused, TooLate.
    """
    known = _appended(cursor, drafts)
    if known is not None:
        return known
    while True:
        cursor.execute("SAVEPOINT append_any")
        heads = lock(cursor, {draft.message.key for draft in drafts})
        try:
            positions = append(cursor, codec, _placed(drafts, heads), answers, not_after)
        except (
            VersionConflict,
            Deadlocked,
        ):  # a stream that was not there, to be locked, is made by others; our locks go, too
            cursor.execute("ROLLBACK TO SAVEPOINT append_any")
            continue
        cursor.execute("RELEASE SAVEPOINT append_any")
        return positions


def _placed(drafts: Sequence[Draft], heads: Mapping[UUID, Head]) -> list[NewEvent]:
    versions = {stream_id: head.version for stream_id, head in heads.items()}
    placed = []
    for draft in drafts:
        stream_id = draft.message.key
        versions[stream_id] = versions.get(stream_id, 0) + 1
        placed.append(new_event(draft.event_id, versions[stream_id], draft.message, draft.metadata))
    return placed


def _appended(cursor: Cursor, drafts: Sequence[Draft]) -> list[int] | None:
    """The positions of drafts that were appended before; None where none of them was. Raises EventIdReused for other content, or some."""
    ids = uuids(draft.event_id for draft in drafts)
    found = {event.event_id: event for event in recorder.recorded(cursor, BY_IDS, (ids,))}
    if not found:
        return None
    for draft in drafts:
        event = found.get(draft.event_id)
        if event is None:
            raise EventIdReused(
                f"event {next(iter(found))} was appended before, without event {draft.event_id} beside it"
            )
        if new_event(draft.event_id, event.version, draft.message, draft.metadata).hash != event.hash:
            raise EventIdReused(
                f"event {draft.event_id} was appended before with other content; a new event needs a new id"
            )
    return [found[draft.event_id].position for draft in drafts]


def entry(codec: Codec, event: NewEvent) -> Entry:
    """The event with its outbox row, as the low door takes it."""
    message = event.message
    return Entry(
        event_id=event.event_id,
        stream_id=event.stream_id,
        version=event.version,
        category=category_of(message),
        type=type(message).__name__,
        schema_version=message.schema_version,
        payload=event.payload,
        metadata=event.metadata,
        hash=event.hash,
        topic=message.topic,
        record=codec.encode(message, event.payload),
    )


def send(cursor: Cursor, codec: Codec, commands: Sequence[OutgoingCommand]) -> None:
    """Put orders to other components in the outbox, with the caller's transaction's next statement."""
    if not commands:
        return
    cursor.postpone(
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
