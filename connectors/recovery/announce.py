"""Events that the topics lack and whose outbox row went with a dropped slice: announced again from the event itself, as they were first.

A record says what the event says in the shape that it was stored in, under the newest schema id of that shape which W knew when the event was
recorded: the bytes that were on the topic. They may bear another id of the same fields only where an older process still wrote after a newer
one had registered another wording of its documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from psycopg2.extras import execute_values

from connectors.debezium.register import HEADERS
from infra.database import Cursor
from infra.errors import UnknownType
from schemas.codec import Codec

GONE = """
SELECT e.event_id, e.category, e.stream_id, e.type, e.schema_version, e.payload, e.metadata, e.recorded_at, e.version, e.position,
       e.transaction_id::text
FROM events AS e
WHERE EXISTS (SELECT FROM outbox_drops AS d WHERE d.positions @> e.position)
  AND NOT EXISTS (SELECT FROM told AS t WHERE t.id = e.event_id) AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.id = e.event_id)
ORDER BY e.position
"""
COUNT = f"SELECT count(*) FROM ({GONE}) AS gone"
GIVEN = "SELECT schema_id, recorded_at FROM schema_ids"
ROW = f"INSERT INTO outbox (id, topic, key, type, payload, {', '.join(HEADERS)}) VALUES %s"


def gone(cursor: Cursor) -> int:
    """How many there are, after `survey` in the same session."""
    cursor.execute(COUNT)
    return int(cursor.fetchall()[0][0])


def announce(cursor: Cursor, codec: Codec) -> int:
    """Write their rows, after `survey` in the same session; gives how many. Raises UnknownType for an event whose shape no schema id has."""
    cursor.execute(GIVEN)
    given = dict(cursor.fetchall())
    cursor.execute(GONE)
    rows = [_row(codec, given, *found) for found in cursor.fetchall()]
    if rows:
        execute_values(cursor, ROW, rows)
    return len(rows)


def _row(
    codec: Codec,
    given: Mapping[int, datetime],
    event_id: Any,
    category: str,
    stream_id: Any,
    kind: str,
    schema_version: int,
    payload: Any,
    *rest: Any,
) -> tuple[Any, ...]:
    metadata, recorded_at, version, position, transaction = rest
    told = {name: metadata.get(name) for name in ("traceparent", "causation_id", "correlation_id", "actor", "command")}
    told |= {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_type": kind,
        "ce_source": "payriver",
        "ce_subject": stream_id,
    }
    told |= {"ce_time": recorded_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "stream_version": version}
    told |= {"position": position, "transaction_id": transaction}
    shapes = codec.ids_of(kind, schema_version, payload)
    if not shapes:
        raise UnknownType(
            f"event {event_id}: W has no schema id for a {kind} of schema_version {schema_version} with these fields; "
            "`payriver verify` says which are missing"
        )
    then = [number for number in shapes if given[number] <= recorded_at]
    record = codec.encode_stored(then[-1] if then else shapes[0], payload)
    headers = (None if told[name] is None else str(told[name]) for name in HEADERS)
    return (event_id, f"{category}s.events", stream_id, kind, record, *headers)
