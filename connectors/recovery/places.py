"""Consumers' places after Kafka lost records: none is beyond what the topics have, so what is announced again is taken, as is what comes next."""

from __future__ import annotations

from collections.abc import Mapping

from infra.database import Cursor
from streams.runtime.records import Place

HAVE = "unnest(%s::text[], %s::text[], %s::int[], %s::bigint[], %s::bigint[]) AS has (cluster, topic_id, partition, first, beyond)"
ON = "c.cluster = has.cluster AND c.topic_id = has.topic_id AND c.partition = has.partition AND c.next_offset NOT BETWEEN has.first AND has.beyond"
ASTRAY = f"SELECT count(*) FROM checkpoints AS c INNER JOIN {HAVE} ON {ON}"
SET_RIGHT = f"UPDATE checkpoints AS c SET next_offset = least(greatest(c.next_offset, has.first), has.beyond) FROM {HAVE} WHERE {ON}"
# What waits keeps its order, ahead of all that comes; its offset is given to another record.
UNPLACE_PARKED = f"""
UPDATE parked_messages AS p SET "offset" = p."offset" - (1::bigint << 62) FROM {HAVE}
WHERE p.topic_id = has.topic_id AND p.partition = has.partition AND p."offset" >= has.beyond
"""
# As what was taken from the store: the record that comes gives it its place.
UNPLACE_DELIVERED = """
UPDATE deliveries AS d SET topic = NULL, partition = NULL, "offset" = NULL
FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS has (topic, partition, beyond)
WHERE d.topic = has.topic AND d.partition = has.partition AND d."offset" >= has.beyond
"""


def astray(cursor: Cursor, extents: Mapping[Place, range]) -> int:
    """How many checkpoints stand where their topic has nothing."""
    cursor.execute(ASTRAY, _columns(extents))
    return int(cursor.fetchall()[0][0])


def set_right(cursor: Cursor, extents: Mapping[Place, range], *, read_side: bool) -> int:
    """Move them to what there is; gives how many. Nothing else bears an offset any more that Kafka will give away again."""
    cursor.execute(UNPLACE_PARKED, _columns(extents))
    if read_side:
        found = [(place.topic, place.partition, has.stop) for place, has in extents.items()]
        cursor.execute(UNPLACE_DELIVERED, [list(column) for column in zip(*found, strict=True)])
    cursor.execute(SET_RIGHT, _columns(extents))
    return cursor.rowcount


def _columns(extents: Mapping[Place, range]) -> list[list[object]]:
    found = [(place.cluster, place.topic_id, place.partition, has.start, has.stop) for place, has in extents.items()]
    return [list(column) for column in zip(*found, strict=True)]
