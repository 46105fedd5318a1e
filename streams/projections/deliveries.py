"""The read model `deliveries`: every event with its place in Kafka, so that delivery can be proved after the topic forgot it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from infra.database import Cursor
from schemas.definition import to_json
from streams.delivered import Delivered

# The first place stands. An event that was taken from the store gets its place when its record comes.
WRITE = """
INSERT INTO deliveries (event_id, stream_id, version, type, position, payload, headers, topic, partition, "offset", recorded_at)
VALUES %s
ON CONFLICT (event_id) DO UPDATE
SET headers = excluded.headers, topic = excluded.topic, partition = excluded.partition, "offset" = excluded."offset",
    delivered_at = clock_timestamp()
WHERE deliveries.topic IS NULL AND excluded.topic IS NOT NULL
"""
PLACED = "SELECT event_id FROM deliveries WHERE event_id = ANY(%s) AND topic IS NOT NULL"


def write(cursor: Cursor, events: Iterable[Delivered]) -> None:
    """Record the events that are not yet recorded with a place."""
    once = {event.event_id: event for event in reversed(list(events))}
    cursor.execute(PLACED, (list(once),))
    placed = {event_id for (event_id,) in cursor.fetchall()}
    rows = [_row(event) for event in once.values() if event.event_id not in placed]
    cursor.postpone_values(WRITE, rows[::-1])


def _row(event: Delivered) -> tuple[Any, ...]:
    said, headers = orjson.dumps(to_json(event.message)).decode(), orjson.dumps(dict(event.headers)).decode()
    told = event.event_id, event.stream_id, event.version, event.type, event.position
    return *told, said, headers, *(event.place or (None, None, None)), event.recorded_at
