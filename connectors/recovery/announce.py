"""Events that the topics lack and whose outbox row went with a dropped slice: announced again from the event itself, in today's schema."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from psycopg2.extras import execute_values

from connectors.debezium.register import HEADERS
from infra.database import Cursor
from schemas.codec import Codec
from schemas.upcasters import message_of

GONE = """
SELECT e.event_id, e.category, e.stream_id, e.type, e.schema_version, e.payload, e.metadata, e.recorded_at, e.version, e.position,
       e.transaction_id::text
FROM events AS e
WHERE EXISTS (SELECT FROM outbox_drops AS d WHERE d.positions @> e.position)
  AND NOT EXISTS (SELECT FROM told AS t WHERE t.id = e.event_id) AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.id = e.event_id)
ORDER BY e.position
"""
COUNT = f"SELECT count(*) FROM ({GONE}) AS gone"
ROW = f"INSERT INTO outbox (id, topic, key, type, payload, {', '.join(HEADERS)}) VALUES %s"


def gone(cursor: Cursor) -> int:
    """How many there are, after `survey` in the same session."""
    cursor.execute(COUNT)
    return int(cursor.fetchall()[0][0])


def announce(cursor: Cursor, codec: Codec) -> int:
    """Write their rows, after `survey` in the same session; gives how many. Raises UnknownType for an event of a type that we lack."""
    cursor.execute(GONE)
    rows = [_row(codec, *found) for found in cursor.fetchall()]
    if rows:
        execute_values(cursor, ROW, rows)
    return len(rows)


def _row(
    codec: Codec, event_id: Any, category: str, stream_id: Any, kind: str, schema: int, payload: Any, *rest: Any
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
    record = codec.encode(message_of(kind, schema, payload))
    headers = (None if told[name] is None else str(told[name]) for name in HEADERS)
    return (event_id, f"{category}s.events", stream_id, kind, record, *headers)
