"""Parking per key: what a consumer could not take waits here for a person, and its stream's later messages behind it.

While a key of a consumer has a message `parked` or `queued`, every later message of that key is stored as `queued`; all
other keys go on. A message without a key holds nobody up. Replay (replay.py) ends the wait, in order.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2.extras import Json

from infra.database import Cursor
from infra.errors import PayriverError
from streams.runtime.records import Place, Record, Run, without_nul

ERROR_CHARACTERS = 2000
NAMESPACE = uuid.UUID("6d8a3f52-0f6b-5c0e-9a54-6b2f6f0c7d11")

HELD = """
SELECT key, min("offset"), false FROM parked_messages
 WHERE consumer = %(consumer)s AND topic_id = %(topic_id)s AND key = ANY(%(keys)s) AND state IN ('parked', 'queued')
 GROUP BY key
UNION ALL
SELECT key, "offset", true FROM parked_messages
 WHERE consumer = %(consumer)s AND topic_id = %(topic_id)s AND partition = %(partition)s
   AND "offset" >= %(start)s AND "offset" < %(end)s AND state = 'discarded'
"""
STORE = """
INSERT INTO parked_messages (parked_id, consumer, topic, topic_id, partition, "offset", key, headers, value, timestamp_ms,
                             state, reason, error)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
AGAIN = """ ON CONFLICT (consumer, topic_id, partition, "offset") DO UPDATE
 SET state = excluded.state, reason = excluded.reason, error = excluded.error, parked_at = clock_timestamp(),
     ended_at = NULL, ended_by = NULL, end_reason = NULL"""


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """One row: a message that waits (`parked`, `queued`) or whose wait has ended (`replayed`, `discarded`)."""

    parked_id: uuid.UUID
    consumer: str
    topic_id: str
    record: Record
    state: str
    reason: str | None
    error: str | None
    parked_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None


def park(cursor: Cursor, consumer: str, place: Place, record: Record, error: Exception) -> None:
    """Store the message as the one its key waits for. A message that was replayed once and fails again is parked again."""
    _store(cursor, consumer, place, record, "parked", reason_of(error), describe(error), AGAIN)


def queue_behind(cursor: Cursor, consumer: str, run: Run) -> tuple[Record, ...]:
    """Store the run's messages whose key waits; gives the others, which the handler may have.

    Redelivery: a message that comes before the one its key waits for is not behind it and goes to the handler; one that
    waits already is left as it is, one that was replayed once waits again; a discarded one is dropped, as a person decided.
    """
    held, discarded = _held(cursor, consumer, run)
    if not held and not discarded:
        return run.records
    if held:  # a replay of these keys may be under way: wait for its commit, then look again
        for key in sorted(held):
            lock_key(cursor, consumer, key)
        held, discarded = _held(cursor, consumer, run)
    records = [record for record in run.records if record.offset not in discarded]
    waiting = [record for record in records if record.offset >= held.get(record.key_text or "", record.offset + 1)]
    for record in waiting:
        _store(
            cursor,
            consumer,
            run.place,
            record,
            "queued",
            None,
            None,
            f"{AGAIN} WHERE parked_messages.state = 'replayed'",
        )
    stored = {record.offset for record in waiting}
    return tuple(record for record in records if record.offset not in stored)


def lock_key(cursor: Cursor, consumer: str, key: str) -> None:
    """Until this transaction ends, nobody else replays this key of the consumer or queues behind it."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"parked {consumer} {key}",))


def reason_of(error: Exception) -> str:
    """The short word of a named error; `failed` for any other."""
    return error.reason if isinstance(error, PayriverError) else "failed"


def describe(error: Exception) -> str:
    """The error's kind and text as the operator sees them, bounded; the traceback stands in the log."""
    return without_nul(f"{type(error).__name__}: {error}")[:ERROR_CHARACTERS]


def _held(cursor: Cursor, consumer: str, run: Run) -> tuple[dict[str, int], set[int]]:
    """Per waiting key of the run the offset of the first that waits; and the run's discarded offsets. One query."""
    keys = sorted({record.key_text for record in run.records if record.key_text is not None})
    place = {"topic_id": run.place.topic_id, "partition": run.place.partition, "start": run.start, "end": run.end}
    cursor.execute(HELD, {"consumer": consumer, "keys": keys, **place})
    rows: Sequence[tuple[str, int, bool]] = cursor.fetchall()
    return {key: offset for key, offset, ended in rows if not ended}, {offset for _, offset, ended in rows if ended}


def _store(
    cursor: Cursor,
    consumer: str,
    place: Place,
    record: Record,
    state: str,
    reason: str | None,
    error: str | None,
    conflict: str,
) -> None:
    parked_id = uuid.uuid5(NAMESPACE, f"{consumer} {place.topic_id} {place.partition} {record.offset}")
    cursor.execute(
        STORE + conflict,
        (
            parked_id,
            consumer,
            place.topic,
            place.topic_id,
            place.partition,
            record.offset,
            record.key_text,
            Json({without_nul(name): without_nul(value) for name, value in record.headers.items()}),
            record.value,
            record.timestamp_ms,
            state,
            reason,
            error,
        ),
    )
